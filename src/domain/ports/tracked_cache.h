#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"
#include "domain/member_document.h"

namespace muster {

// A near cache of a process whose entries other processes change: it hears of that from the center's cache, a little
// late, so what it answers may be old by up to a declared time, and says how old. It serves gets by id only: an
// identity must never be answered with whoever held it.
//
// Belongs to one event loop and is called on its thread.
class TrackedCache {
 public:
  // Until when an entry may be answered, counted from when it was asked for.
  static constexpr Duration kAgeMax = std::chrono::seconds(1);

  struct Found {
    MemberDocumentRef member;
    Duration age;  // it was true that recently
  };
  // What was known when the center's cache was asked: a fill is refused when anything has changed since.
  struct Ticket {
    std::uint64_t link = 0;  // zero: nothing can be filled
    std::uint64_t change = 0;
    Epoch epoch{0};
    Instant begun{};
  };

  virtual ~TrackedCache() = default;

  virtual std::optional<Found> Find(MemberId id) = 0;
  // Before the center's cache is asked.
  virtual Ticket Begin(MemberId id) = 0;
  // Only what the center's cache itself had: of anything else no change is told.
  virtual void Fill(MemberId id, const MemberDocumentRef& document, const Ticket& ticket) = 0;
  virtual std::vector<std::pair<std::string, std::uint64_t>> Counters() const = 0;
};

}  // namespace muster
