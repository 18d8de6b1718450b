#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/task.h"
#include "base/timer.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/write_context.h"

namespace muster {

// How long to wait before another look at what somebody else's operation is doing: 1 ms, twice as long with each look
// up to 100 ms, and never longer than `left`.
inline Duration PauseBeforeLook(int look, Duration left) {
  constexpr Duration kPauseMin = std::chrono::milliseconds(1);
  constexpr Duration kPauseMax = std::chrono::milliseconds(100);
  constexpr int kDoublingsMax = 7;
  return std::min({kPauseMin * (1 << std::min(look, kDoublingsMax)), kPauseMax, left});
}

enum class MoveEnd : std::uint8_t {
  kUndecided,  // its process may still commit it
  kFinished,   // it was committed, and both members are as they shall be
  kCleared,    // it was aborted, and the giver is as it was
  kGone,       // somebody else did one of the two
};

// Brings moves to their end (move_steps.h), whoever began them; what it leaves when it fails or is destroyed, the next
// one finds. Thread-safe. Errors are those of the store.
class MoveSettler {
 public:
  explicit MoveSettler(ShardStore& shards) : shards_(shards) {}

  // The move of `marked`'s mark. With `may_abort` one that nobody has committed never will be, and the end is not
  // kUndecided.
  Task<Result<MoveEnd>> Settle(Member marked, bool may_abort);
  // A move that is committed: passes the lookup rows on, and takes both marks away.
  Task<Result<MoveEnd>> Finish(Member giver);

 private:
  Task<Result<MoveEnd>> SettleTaker(Member taker);
  Task<Result<std::optional<Member>>> Read(MemberId id);
  Task<Result<bool>> Unmark(MemberId id, OperationId operation);

  ShardStore& shards_;
};

// The same for a write whose member is marked: it waits a while for whoever is at it (kPatienceWith… in binding.h), and
// then aborts.
class MoveWaiter {
 public:
  MoveWaiter(ShardStore& shards, const Clock& clock, Timer& timer)
      : shards_(shards), settler_(shards), clock_(clock), timer_(timer) {}

  MoveSettler& settler() { return settler_; }

  // Returns when `marked` bears that mark no more. `own` is the operation that waits. Nothing of that operation has
  // been written by this: DEADLINE_EXCEEDED, OVERLOADED, WRITES_UNAVAILABLE say so.
  Task<Result<void>> WaitFor(Member marked, OperationId own, const WriteContext& context);
  // Whether `marked` bears that mark no more; waits for nobody. What is committed is finished.
  Task<Result<bool>> TryNow(Member marked);

 private:
  // Known for sure, where this process has the databases for itself.
  bool HasEnded(OperationId operation) const;

  ShardStore& shards_;
  MoveSettler settler_;
  const Clock& clock_;
  Timer& timer_;
};

}  // namespace muster
