#include "lab/flow.h"

#include <algorithm>

#include "base/check.h"

namespace muster::lab {
namespace {

// What a link may send at once after a rest: a twentieth of a second, and never less than a few packets.
constexpr double kBurstSeconds = 0.05;
constexpr double kBurstBytesMin = 1500;

double BurstOf(std::int64_t rate) { return std::max(static_cast<double>(rate) * kBurstSeconds, kBurstBytesMin); }

double SecondsOf(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void Flow::Put(std::string_view bytes, Instant due) {
  MUSTER_CHECK(bytes.size() <= room());
  if (bytes.empty()) return;
  chunks_.push_back({.bytes = std::string(bytes), .due = due});
  bytes_ += bytes.size();
}

void Flow::Close(Next last, Instant due) {
  if (is_closed()) return;
  last_ = last;
  last_due_ = due;
}

void Flow::Abort(Instant due) {
  if (last_ == Next::kAbort || is_finished_) return;
  last_ = Next::kAbort;
  last_due_ = due;
}

Flow::Next Flow::NextAt(Instant now) const {
  if (is_finished_) return Next::kNothing;
  if (!chunks_.empty()) return chunks_.front().due <= now ? Next::kBytes : Next::kNothing;
  return is_closed() && last_due_ <= now ? last_ : Next::kNothing;
}

std::optional<Instant> Flow::DueAfter(Instant now) const {
  if (is_finished_) return std::nullopt;
  if (!chunks_.empty() && chunks_.front().due > now) return chunks_.front().due;
  return is_closed() && last_due_ > now ? std::optional(last_due_) : std::nullopt;
}

std::string_view Flow::Front() const { return std::string_view(chunks_.front().bytes).substr(taken_); }

void Flow::Take(std::size_t count) {
  taken_ += count;
  bytes_ -= count;
  if (taken_ < chunks_.front().bytes.size()) return;
  chunks_.pop_front();
  taken_ = 0;
}

std::size_t TokenBucket::Available(std::int64_t rate, Instant now) {
  const double gained = SecondsOf(now - std::min(filled_at_, now)) * static_cast<double>(rate);
  tokens_ = std::min(tokens_ + gained, BurstOf(rate));
  filled_at_ = now;
  return tokens_ < 1 ? 0 : static_cast<std::size_t>(tokens_);
}

Instant TokenBucket::Again(std::int64_t rate, Instant now) {
  // Not for each byte: a tenth of a burst at a time.
  const double seconds = BurstOf(rate) / 10 / static_cast<double>(rate);
  return now + std::chrono::ceil<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace muster::lab
