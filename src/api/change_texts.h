#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ports/change_feed.h"

namespace muster {

// How changes are written for the streams of one loop: a run of events once, for all streams that are at the same
// place. Streams at the end are, since one wake-up of the loop serves them one after the other.
class ChangeTexts {
 public:
  using Append = void (*)(std::string& out, const ChangeEvent& event);
  // How many are written at a time.
  static constexpr std::size_t kEventsMax = 64;

  explicit ChangeTexts(Append append) : append_(append) {}

  // Texts of events, one behind the other. Until the next Write.
  class Run {
   public:
    Run(std::string_view text, std::span<const std::size_t> ends) : text_(text), ends_(ends) {}
    std::string_view all() const { return Between(0, ends_.size() - 1); }
    std::string_view operator[](std::size_t index) const { return Between(index, index + 1); }

   private:
    std::string_view Between(std::size_t from, std::size_t to) const {
      return text_.substr(ends_[from], ends_[to] - ends_[from]);
    }

    std::string_view text_;
    std::span<const std::size_t> ends_;  // where each begins, and where the last one ends
  };
  // `events`, 1 to kEventsMax, follow one another in the feed.
  Run Write(std::span<const ChangeEvent> events);

 private:
  const Append append_;
  std::vector<std::int64_t> positions_;  // of what is written
  std::vector<std::size_t> ends_ = {0};
  std::string text_;
};

}  // namespace muster
