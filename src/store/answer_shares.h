#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

#include "base/options.h"
#include "base/result.h"
#include "domain/ids.h"

namespace muster {

struct AnswerOptions {
  std::int64_t answers_max = 10'000'000;  // of one file or group; some 600 bytes each

  void Declare(OptionRegistry& options);  // store.idempotency.answers_max
};

// How many answers one database keeps for Idempotency-Keys, and whose they are. A caller may keep as many as are still
// free: alone it gets half of all, and what is left halves with each further one that keeps as many as it may. So a
// caller that has none yet finds room unless some two dozen others (the logarithm of `answers_max`) do.
// Several processes on one database know what the others have kept as of the last count. Thread-safe.
class AnswerShares {
 public:
  using Counts = std::map<AnswerOwner, std::int64_t>;

  explicit AnswerShares(const AnswerOptions& options) : answers_max_(options.answers_max) {}

  // Whether there may be one more. RATE_LIMITED: this caller has its share; OVERLOADED: nobody may keep any more.
  Result<void> Check(AnswerOwner owner);
  // One more. The same errors.
  Result<void> Take(AnswerOwner owner);
  void Return(AnswerOwner owner, std::int64_t count = 1);
  // As they were counted in the database.
  void Set(Counts counts);

  std::int64_t kept() const { return kept_.load(std::memory_order_relaxed); }

 private:
  Result<void> CheckLocked(AnswerOwner owner) const;

  const std::int64_t answers_max_;
  std::mutex mutex_;
  Counts counts_;                      // guarded by mutex_
  std::atomic<std::int64_t> kept_{0};  // of all; changed under mutex_
};

}  // namespace muster
