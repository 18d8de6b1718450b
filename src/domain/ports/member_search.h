#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/search_filter.h"
#include "domain/search_order.h"

namespace muster {

// Finds members by what they are. It answers ids from a projection of the members that is a little behind them; whoever
// shows a member reads it, and judges anew whether it still matches. Thread-safe. There is one implementation, whose
// tests are its suite (search/search_index_test.cc).
class MemberSearch {
 public:
  struct Query {
    Filter filter = {};
    SearchOrder order = {};
    std::optional<SearchKey> after = std::nullopt;  // goes on behind this place
    std::size_t limit = 0;                          // at least one
    std::string caller = {};                        // who asks: callers take turns
    Deadline deadline = {};
  };
  struct Page {
    std::vector<SearchKey> hits;  // in order, at most `limit`; each id once
    // Where to go on; nullopt: there is nothing behind. A page may have fewer hits than its limit, or none, and still
    // go on: the work for one is bounded.
    std::optional<SearchKey> next;
  };
  using Reply = std::move_only_function<void(Result<Page>)>;

  virtual ~MemberSearch() = default;

  // `reply` is called once, from any thread, possibly during the call, and soon after the deadline at the latest.
  //
  // Errors: INVALID_ARGUMENT for "filter" or "orderBy" when no index serves the query within its bounds, with what to
  // add; OVERLOADED when too many searches wait, most of them this caller's, or while the index is being built (with
  // its progress); DEADLINE_EXCEEDED; INTERNAL.
  virtual void Search(Query query, Reply reply) = 0;
};

}  // namespace muster
