#pragma once

#include <condition_variable>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "domain/ports/member_search.h"

namespace muster {

// A search, and whom to tell what it found.
struct WaitingSearch {
  MemberSearch::Query query;
  MemberSearch::Reply reply;
};

// Searches that wait for a thread. Callers take turns, so that whoever sends many waits behind his own only; those of
// one caller come in the order in which they were sent. None waits past its deadline. Bounded over all callers; where
// it is full, who has the most waiting makes room. Thread-safe; replies are never called here.
class SearchQueue {
 public:
  SearchQueue(std::size_t capacity, const Clock& clock) : capacity_(capacity), clock_(clock) {}

  // What it gives back found no place: the search itself, or the newest of a caller who has more waiting.
  [[nodiscard]] std::optional<WaitingSearch> Push(WaitingSearch search);
  // Waits for the next one whose turn it is. Nullopt: closed and drained.
  std::optional<WaitingSearch> Pop();
  // Waits for one whose deadline has passed, and takes it. Nullopt: closed.
  std::optional<WaitingSearch> PopLate();
  // Further searches find no place; those that wait are still handed out by Pop.
  void Close();

 private:
  struct Waiting;
  struct Line;
  using Lines = std::list<Line>;
  struct Place {
    Lines::iterator line;
    std::list<Waiting>::iterator waiting;
  };
  using Deadlines = std::multimap<Instant, Place>;
  struct Waiting {
    WaitingSearch search;
    Deadlines::iterator deadline;
  };
  // Of one caller; never empty.
  struct Line {
    std::string caller;
    std::list<Waiting> waiting;  // the oldest first
  };

  Lines::iterator LineOf(const std::string& caller);
  WaitingSearch Take(Place place);

  const std::size_t capacity_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable sooner_;  // another deadline comes first, or it is closed
  Lines lines_;                     // whose turn comes next is first
  std::unordered_map<std::string, Lines::iterator> line_of_;
  Deadlines deadlines_;  // of all that wait
  bool is_closed_ = false;
};

}  // namespace muster
