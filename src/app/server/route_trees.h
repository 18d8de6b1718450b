#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "app/server/center_caches.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/socket_loop.h"
#include "base/timer.h"
#include "domain/commit_floor.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/member_reader.h"
#include "store/member_store.h"

namespace muster {

// The read routes of a server: one tree a loop, each owned by its loop's handler, all described as one. Thread-safe.
class RouteTrees {
 public:
  struct Parts {
    MemberStore* store = nullptr;
    MemberCache* near_cache = nullptr;
    const CommitFloor* floor = nullptr;
    CenterCaches* center_caches = nullptr;  // null: there are none
    const Clock* clock = nullptr;
    Timer* timer = nullptr;
    std::size_t loops = 1;  // that will have a tree, of which each gets its part of the memory
  };
  RouteTrees(std::string expression, Parts parts) : expression_(std::move(expression)), parts_(parts) {}

  // A tree for `loop`.
  Result<std::unique_ptr<MemberReader>> Grow(SocketLoop& loop);
  // What a reader of the first tree that has grown would be answered now. False: none has. On its loop, so as Describe:
  // stop asking before the handlers go.
  bool Get(MemberId id, const ReadOptions& options, MemberReply reply) const;
  // Of the trees that live; they must outlive the call, so stop asking before the handlers go.
  RouteDescription Describe() const;

 private:
  const std::string expression_;
  const Parts parts_;
  mutable std::mutex mutex_;
  struct Grown {
    SocketLoop* loop = nullptr;
    MemberReader* tree = nullptr;
  };
  std::vector<Grown> trees_;
};

// INVALID_ARGUMENT when no tree can be built of it. `has_centers`: there are caches of centers.
Result<void> CheckRouteExpression(std::string_view expression, bool has_centers);

}  // namespace muster
