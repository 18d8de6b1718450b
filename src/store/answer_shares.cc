#include "store/answer_shares.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

// What was kept is forgotten a page at a time, all day long.
constexpr std::int64_t kRetryAfterMs = 60'000;

}  // namespace

void AnswerOptions::Declare(OptionRegistry& options) {
  options.AddInteger("store.idempotency.answers_max", &answers_max,
                     "How many answers to requests with an Idempotency-Key one data file or group keeps at most; some "
                     "600 bytes each. A caller may keep as many as are still free.",
                     {.min = 1'000, .max = 1'000'000'000});
}

Result<void> AnswerShares::CheckLocked(AnswerOwner owner) const {
  const std::int64_t free = answers_max_ - kept_;
  const auto own = counts_.find(owner);
  if ((own == counts_.end() ? 0 : own->second) < free) return {};
  Error error{Reason::kOverloaded,
              "too many answers are kept for Idempotency-Keys; raise store.idempotency.answers_max, or shorten "
              "store.idempotency.retention"};
  if (free > 0) {
    error = {Reason::kRateLimited,
             "as many answers are kept for this caller's Idempotency-Keys as it may have at once; send fewer writes "
             "with a key a day, or have store.idempotency.answers_max raised"};
  }
  error.retry_after_ms = kRetryAfterMs;
  return std::unexpected(std::move(error));
}

Result<void> AnswerShares::Check(AnswerOwner owner) {
  std::lock_guard lock(mutex_);
  return CheckLocked(owner);
}

Result<void> AnswerShares::Take(AnswerOwner owner) {
  std::lock_guard lock(mutex_);
  MUSTER_TRY(CheckLocked(owner));
  ++counts_[owner];
  ++kept_;
  return {};
}

void AnswerShares::Return(AnswerOwner owner, std::int64_t count) {
  std::lock_guard lock(mutex_);
  const auto found = counts_.find(owner);
  if (found == counts_.end()) return;
  count = std::min(count, found->second);
  kept_ -= count;
  found->second -= count;
  if (found->second == 0) counts_.erase(found);
}

void AnswerShares::Set(Counts counts) {
  std::int64_t kept = 0;
  for (const auto& [owner, count] : counts) kept += count;
  std::lock_guard lock(mutex_);
  counts_ = std::move(counts);
  kept_ = kept;
}

}  // namespace muster
