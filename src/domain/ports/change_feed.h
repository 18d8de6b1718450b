#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/change.h"
#include "domain/ids.h"

namespace muster {

// One committed change, at its place in the stream of all changes of all members.
struct ChangeEvent {
  std::int64_t position = 0;  // rises from event to event
  MemberId member_id;
  Version version;
  ChangeType type = ChangeType::kUpdated;
  Timestamp time{};
  friend bool operator==(const ChangeEvent&, const ChangeEvent&) = default;
};

// All committed changes in one order: that of their commits, and so of the versions of each member (of members in
// different databases, whose changes are committed at about the same moment, either may come first). An event that can
// be read stays at its position for ever, and nothing is added before it. It can be read soon after its commit; in an
// embedded store, at once. Thread-safe.
class ChangeFeed {
 public:
  struct Page {
    std::vector<ChangeEvent> events;
    std::int64_t next = 0;  // to go on after: at least the position of the last event
  };
  // Positions: everything after `before_earliest` up to `latest` can be read.
  struct Bounds {
    std::int64_t before_earliest = 0;
    std::int64_t latest = 0;
  };

  virtual ~ChangeFeed() = default;

  // Events after position `after`, at most `limit`; none when there are no more yet. Blocks on the store.
  // POSITION_EXPIRED when some after `after` are not kept any more.
  virtual Result<Page> Read(std::int64_t after, std::size_t limit) = 0;
  virtual Result<Bounds> ReadBounds() = 0;
  // Calls `wake` from any thread, soon after there is something new to read, until the subscription is destroyed, which
  // waits for a call under way. `wake` must be short and not call the feed.
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  virtual std::unique_ptr<Subscription> Subscribe(std::move_only_function<void()> wake) = 0;
};

// What keeps the feed bounded, one database (ports/shard_store.h) at a time. Thread-safe. Its tests are those of the
// engines (store/sqlite_change_feed_test.cc, store/mariadb/relay_test.cc).
class ChangeKeeper {
 public:
  virtual ~ChangeKeeper() = default;
  // Forgets the oldest events of `database`, a bounded number at a time: those from before `before`, and those that are
  // not among the `keep_max` newest of all databases. Positions up to theirs expire. The newest of a database that
  // keeps events stays. Answers how many (none: there are no more); `done` is called once, on any thread.
  virtual void ForgetChanges(std::uint32_t database, Timestamp before, std::int64_t keep_max,
                             std::move_only_function<void(Result<std::uint64_t>)> done) = 0;
};

}  // namespace muster
