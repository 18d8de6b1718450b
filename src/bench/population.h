#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/pii.h"
#include "base/random.h"
#include "base/result.h"
#include "bench/load_call.h"
#include "domain/ids.h"

namespace muster {

// Identities in clear, packed: about eight bytes each beside their texts.
class IdentityList {
 public:
  // More bytes of text than this are not kept.
  static constexpr std::size_t kTextBytesMax = std::size_t{256} << 20;

  // False: it did not fit, or has parts that no identity has.
  bool Add(std::string_view kind, std::string_view platform, std::string_view value);
  IdentityView At(std::size_t index) const;
  std::size_t size() const { return entries_.size(); }
  void Append(const IdentityList& other);
  void Shuffle(Random& random);

 private:
  struct Entry {
    std::uint32_t begin;
    std::uint8_t kind_bytes;
    std::uint8_t platform_bytes;
    std::uint16_t value_bytes;
  };
  std::vector<Entry> entries_;
  std::string texts_;  // personal: leaves as Pii only
};

// Whom the requests of a benchmark are about: ACTIVE members, and one identity of each that has one. Immutable while
// the load runs, so shared by its threads.
struct Population {
  std::vector<MemberId> members;
  IdentityList identities;          // empty unless they are needed
  std::vector<std::string> cities;  // some in which members are, each once
  bool is_sample = false;           // the server has more members

  static constexpr std::size_t kCitiesMax = 256;
  // One that is known already, or cannot stand in a filter as it is, is left out.
  void AddCity(std::string_view city);
  // Popular ranks should not be neighbours on disk.
  void Shuffle(Random& random);
};

// Adds the members of some lines of an export. A line that is no member is an error, which does not repeat it; members
// that are not ACTIVE, and those beyond `members_max`, are left out. `first_line` is the number of the first of them in
// a message. Answers the ids of all lines, in their order.
Result<std::vector<std::int64_t>> AddMembers(Population& population, std::string_view lines, bool with_identities,
                                             std::size_t members_max = SIZE_MAX, std::uint64_t first_line = 1);

}  // namespace muster
