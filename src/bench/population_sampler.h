#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/population.h"

namespace muster {

// Chooses which pages of a server's export to read, so that a bounded number of members stands for all of them however
// many there are. Reads in the order of ids; each time it holds twice what is wanted it drops every second page and
// from then on leaves out, after each page, as many members as it dropped between two: about wanted * log2(all /
// wanted) members are read of a directory of any size. How far ahead so many members are is judged by the page just
// read, since ids may be dense here and sparse there.
//
//   while (const auto page = sampler.Next()) { … GET members:export?after=…&limit=… …; sampler.Take(body); }
//   Population population = sampler.Finish();
class PopulationSampler {
 public:
  static constexpr std::size_t kWantedMax = 1'000'000;

  struct Options {
    std::size_t wanted = 100'000;  // 1 to kWantedMax
    bool with_identities = false;
  };
  explicit PopulationSampler(const Options& options);

  struct Page {
    std::int64_t after = 0;
    int limit = 0;
  };
  // What to read next; nothing when it knows enough.
  std::optional<Page> Next() const;
  // The lines of that page.
  Result<void> Take(std::string_view lines);

  // Members that are held now.
  std::size_t held() const { return held_; }
  // Once Next() has answered nothing. At most `wanted` members.
  Population Finish();

 private:
  void DropEverySecondPage();

  const Options options_;
  const int limit_;
  std::vector<Population> pages_;
  std::size_t held_ = 0;
  std::uint64_t stride_ = 1;  // one of so many pages is read
  std::int64_t after_ = 0;
  bool is_done_ = false;
};

}  // namespace muster
