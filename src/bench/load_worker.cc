#include "bench/load_worker.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr BenchTime kSecond = std::chrono::seconds(1);
// How long it may take until a request to stop is heard.
constexpr BenchTime kAttention = std::chrono::milliseconds(50);
// After a stop, the answers under way have so long.
constexpr BenchTime kHurry = std::chrono::milliseconds(500);
constexpr int kBurstMax = 64;
// What waited for a connection is made up for at so many times the rate by a generator that is not the limit.
constexpr std::uint64_t kCatchUpFactor = 2;
// A thread that is later than this did not run, and hears late what was said in time.
constexpr BenchTime kAway = std::chrono::milliseconds(20);

// Between two requests of one thread, as long as it makes up for what waited.
BenchTime CatchUpStep(const LoadSchedule& schedule) {
  if (schedule.rate == 0) return BenchTime{0};
  return kSecond * schedule.threads / (schedule.rate * kCatchUpFactor);
}

}  // namespace

LoadWorker::LoadWorker(const LoadSchedule& schedule, CallMaker& calls, LoadTransport& transport, ReadUsage read_usage,
                       TakeWindow take_window)
    : schedule_(schedule),
      catch_up_step_(CatchUpStep(schedule)),
      calls_(calls),
      transport_(transport),
      read_usage_(std::move(read_usage)),
      take_window_(std::move(take_window)),
      pending_(transport.capacity()) {
  MUSTER_CHECK(schedule.rate <= LoadSchedule::kRateMax && schedule.threads > 0 && schedule.index < schedule.threads);
  for (std::uint32_t token = transport.capacity(); token > 0; --token) free_tokens_.push_back(token - 1);
}

void LoadWorker::Run(BenchTime begin, const std::atomic<bool>& stop) {
  begin_ = begin;
  measure_from_ = begin + schedule_.warm_up;
  end_ = measure_from_ + schedule_.duration;
  window_.index = -((schedule_.warm_up + kSecond - BenchTime(1)) / kSecond);
  window_from_ = begin;
  window_usage_ = read_usage_();
  const ThreadUsage usage_begin = window_usage_;
  silence_ = SilenceWatch(measure_from_);
  BenchTime now = transport_.Now();
  awake_by_ = now;
  for (; now < end_ && !stop.load(std::memory_order_relaxed); now = transport_.Now()) {
    AdvanceWindow(now);
    SendDue(now);
    polled_from_ = now;
    Listen(NextWake(now));
  }
  // What was due when it last looked, and could have been sent then, is only late.
  has_more_ = !is_waiting_;
  while (has_more_ && !stop.load(std::memory_order_relaxed)) SendDue(now);
  AdvanceWindow(std::min(now, end_ - BenchTime(1)));
  end_ = std::min(now, end_);
  measured_ = std::max(end_ - measure_from_, BenchTime{0});
  measurement_.usage = read_usage_() - usage_begin;
  measurement_.busiest = BusySince(usage_begin, begin, now);
  CountUnsent();
  Drain(stop);
  silence_.End(transport_.Now());
  CountUnanswered();
  CloseWindow(end_);
}

BenchTime LoadWorker::DueAt(std::uint64_t number) const {
  const std::uint64_t of_all = schedule_.index + number * schedule_.threads;
  const std::uint64_t rest = of_all % schedule_.rate * 1'000'000'000 / schedule_.rate;
  return begin_ + kSecond * (of_all / schedule_.rate) + BenchTime(rest);
}

void LoadWorker::SendDue(BenchTime now) {
  const bool is_open_loop = schedule_.rate > 0;
  has_more_ = false;
  for (int burst = 0; burst < kBurstMax; ++burst) {
    const BenchTime due = is_open_loop ? DueAt(next_) : now;
    const LoadTransport::State state = transport_.state();
    const bool is_due = due <= now && due < end_ && (is_open_loop || state != LoadTransport::State::kDown);
    if (!is_due || state == LoadTransport::State::kBusy) {
      is_waiting_ = is_due;
      if (is_due) return silence_.Owe(now);
      could_send_ = BenchTime{0};
      return;
    }
    if (state == LoadTransport::State::kReady) {
      SendOne(due, now);
    } else {
      is_waiting_ = false;
      silence_.Owe(now);
      FailOne(due);
    }
    ++next_;
    now = transport_.Now();
  }
  has_more_ = true;
}

void LoadWorker::SendOne(BenchTime due, BenchTime now) {
  MUSTER_CHECK(!free_tokens_.empty());
  const std::uint32_t token = free_tokens_.back();
  free_tokens_.pop_back();
  const LoadCall call = calls_.Make();
  pending_[token] = {.due = due,
                     .sent = now,
                     .verb = call.verb,
                     .thing = call.thing,
                     .is_measured = IsMeasured(due),
                     .is_under_way = true};
  const BenchTime own_lag = OwnLag(due, now);
  window_.own_lag.Record(own_lag);
  silence_.Owe(now);
  ++window_.sent;
  if (pending_[token].is_measured) {
    measurement_.delay.Record(now - due);
    measurement_.own_lag.Record(own_lag);
    ++measurement_.sent;
  }
  transport_.Send(call, token);
}

BenchTime LoadWorker::OwnLag(BenchTime due, BenchTime now) {
  could_send_ = std::max(due, could_send_ + catch_up_step_);
  if (std::exchange(is_waiting_, false)) {
    // No answer made room: a connection was opened again, and it was not for us to see that sooner.
    could_send_ = std::max(could_send_, freed_at_ > polled_from_ ? freed_at_ : now);
  }
  return std::max(now - could_send_, BenchTime{0});
}

// Nobody is there to be asked.
void LoadWorker::FailOne(BenchTime due) {
  const LoadVerb verb = calls_.DrawVerb();
  ++window_.failed;
  if (!IsMeasured(due)) return;
  ++measurement_.of(verb).failed;
  measurement_.failures.Add("unreachable");
}

BenchTime LoadWorker::NextWake(BenchTime now) const {
  if (has_more_) return now;
  const BenchTime attentive = std::min(now + kAttention, end_);
  const bool waits_for_time = schedule_.rate > 0 && !is_waiting_;
  return waits_for_time ? std::min(attentive, DueAt(next_)) : attentive;
}

void LoadWorker::Listen(BenchTime until) {
  awake_by_ = std::max(until, transport_.Now());
  transport_.Poll(until, *this);
  NoteTime(transport_.Now());
}

void LoadWorker::NoteTime(BenchTime now) {
  if (now > awake_by_ + kAway) silence_.Miss(awake_by_, now);
}

void LoadWorker::OnAnswer(const LoadAnswer& answer) {
  Pending& request = pending_[answer.token];
  MUSTER_CHECK(request.is_under_way);
  request.is_under_way = false;
  free_tokens_.push_back(answer.token);
  freed_at_ = answer.at;
  calls_.Settle(request.verb, request.thing, answer);
  if (answer.kind == LoadAnswer::Kind::kAnswered) {
    NoteTime(answer.at);
    silence_.Hear(answer.at, free_tokens_.size() < pending_.size());
  }
  ++(answer.is_success ? window_.succeeded : window_.failed);
  const bool is_timed = answer.is_success || answer.kind == LoadAnswer::Kind::kTimedOut;
  if (is_timed) {
    window_.latency.Record(answer.at - request.due);
    window_.service.Record(answer.at - request.sent);
  }
  if (!request.is_measured) return;
  Measurement::OfVerb& verb = measurement_.of(request.verb);
  ++(answer.is_success ? verb.succeeded : verb.failed);
  if (!answer.is_success) measurement_.failures.Add(answer.code);
  if (answer.kind == LoadAnswer::Kind::kAnswered) measurement_.answered.Record(answer.at - request.sent);
  if (is_timed) {
    verb.latency.Record(answer.at - request.due);
    verb.service.Record(answer.at - request.sent);
  }
}

// What was due before the end and never had a connection.
void LoadWorker::CountUnsent() {
  if (schedule_.rate == 0) return;
  for (BenchTime due = DueAt(next_); due < end_; due = DueAt(++next_)) {
    if (!IsMeasured(due)) continue;
    const LoadVerb verb = calls_.DrawVerb();
    ++measurement_.unsent;
    ++measurement_.of(verb).failed;
    measurement_.of(verb).latency.Record(end_ - due);
    window_.latency.Record(end_ - due);
  }
  if (measurement_.unsent > 0) measurement_.failures.Add("unsent", measurement_.unsent);
}

void LoadWorker::Drain(const std::atomic<bool>& stop) {
  const BenchTime patient = end_ + schedule_.patience;
  const BenchTime hurried = std::min(patient, end_ + kHurry);
  while (free_tokens_.size() < pending_.size()) {
    const BenchTime until = stop.load(std::memory_order_relaxed) ? hurried : patient;
    const BenchTime now = transport_.Now();
    if (now >= until) return;
    Listen(std::min(until, now + kAttention));
  }
}

void LoadWorker::CountUnanswered() {
  const BenchTime now = transport_.Now();
  for (const Pending& request : pending_) {
    if (!request.is_under_way || !request.is_measured) continue;
    ++measurement_.unanswered;
    Measurement::OfVerb& verb = measurement_.of(request.verb);
    ++verb.failed;
    verb.latency.Record(now - request.due);
    verb.service.Record(now - request.sent);
  }
  if (measurement_.unanswered > 0) measurement_.failures.Add("unanswered", measurement_.unanswered);
}

void LoadWorker::AdvanceWindow(BenchTime now) {
  while (now >= measure_from_ + kSecond * (window_.index + 1))
    CloseWindow(measure_from_ + kSecond * (window_.index + 1));
}

void LoadWorker::CloseWindow(BenchTime now) {
  window_.busiest = BusySince(window_usage_, window_from_, now);
  window_.length = now - window_from_;
  window_usage_ = read_usage_();
  window_from_ = now;
  const std::int64_t index = window_.index;
  take_window_(std::exchange(window_, LoadWindow()));
  window_.index = index + 1;
}

double LoadWorker::BusySince(const ThreadUsage& usage, BenchTime since, BenchTime now) const {
  const ThreadUsage spent = read_usage_() - usage;
  const double seconds = std::chrono::duration<double>(now - since).count();
  if (seconds <= 0) return 0;
  return std::min(1.0, std::chrono::duration<double>(spent.running + spent.waiting).count() / seconds);
}

}  // namespace muster
