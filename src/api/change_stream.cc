#include "api/change_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

constexpr std::size_t kBatchEvents = 2 * ChangeTexts::kEventsMax;

}  // namespace

ChangeStreams::ChangeStreams(ChangeHub& hub, CallLedger& ledger, const ApiDependencies& dependencies,
                             ChangeTexts::Append append)
    : hub_(hub),
      ledger_(ledger),
      callers_(*dependencies.callers),
      clock_(*dependencies.clock),
      texts_(append),
      listener_(hub, ledger.loop(), [this] { PumpAll(); }) {}

ChangeStreams::~ChangeStreams() { MUSTER_CHECK(streams_.empty()); }

void ChangeStreams::Resolve(ChangeFrom from, std::move_only_function<void(Result<std::int64_t>)> then) {
  ledger_.Leave();
  hub_.Resolve(from, [this, then = std::move(then)](Result<std::int64_t> start) mutable {
    ledger_.loop().Post([then = std::move(then), start = std::move(start)]() mutable { then(std::move(start)); });
    ledger_.Return();
  });
}

ChangeStream* ChangeStreams::Find(std::uint64_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

void ChangeStreams::ReadPage(std::uint64_t id, std::int64_t after) {
  ledger_.Leave();
  hub_.ReadPage(after, [this, id](Result<ChangeHub::Page> page) mutable {
    ledger_.loop().Post([this, id, page = std::move(page)]() mutable {
      if (ChangeStream* const stream = Find(id)) stream->OnPage(std::move(page));
    });
    ledger_.Return();
  });
}

// A stream's sending may end it, but nothing is destroyed meanwhile.
void ChangeStreams::PumpAll() {
  for (const auto& [id, stream] : streams_) stream->Pump();
}

void ChangeStreams::Tick() {
  if (streams_.empty()) return;
  const Instant now = clock_.Monotonic();
  std::int64_t lag = 0;
  for (const auto& [id, stream] : streams_) {
    stream->Look(now);
    if (stream->has_begun_) lag = std::max(lag, hub_.latest() - stream->after_);
  }
  listener_.ReportLag(lag);
}

ChangeStream::ChangeStream(ChangeStreams& streams, ChangeHub::Place place, std::string authorization, Deadline deadline)
    : streams_(streams),
      id_(++streams.last_id_),
      place_(std::move(place)),
      authorization_(std::move(authorization)),
      deadline_(deadline),
      sent_at_(streams.clock_.Monotonic()),
      checked_at_(sent_at_) {
  streams_.streams_.emplace(id_, this);
  streams_.listener_.Listen(true);
}

ChangeStream::~ChangeStream() {
  streams_.streams_.erase(id_);
  if (!streams_.streams_.empty()) return;
  streams_.listener_.ReportLag(0);
  streams_.listener_.Listen(false);
}

void ChangeStream::Start(std::int64_t after, ChangeFilter filter) {
  if (is_over_) return;
  has_begun_ = true;
  after_ = seen_ = after;
  filter_ = std::move(filter);
  SendHeartbeat(seen_);
  Pump();
}

void ChangeStream::Pump() {
  std::array<ChangeEvent, kBatchEvents> batch;
  while (has_begun_ && !is_over_) {
    if (page_ != nullptr) {
      at_ += Deliver(std::span(page_->events).subspan(at_));
      if (is_over_ || at_ < page_->events.size()) return;
      after_ = page_->next;
      page_ = std::move(ahead_);
      ahead_ = nullptr;
      at_ = 0;
      if (page_ != nullptr) Ask(page_->next);
      continue;
    }
    const ChangeHub::Taken taken = streams_.hub_.Take(after_, batch);
    if (taken.is_behind) return Ask(after_);
    if (Deliver(std::span(batch).first(taken.count)) < taken.count) return;
    if (taken.count < batch.size()) return;  // that was the end; whatever comes wakes the loop
  }
}

// Looks at events in their order, and answers how many are done.
std::size_t ChangeStream::Deliver(std::span<const ChangeEvent> events) {
  std::size_t done = 0;
  std::size_t sent = 0;
  if (filter_.PassesAll()) {
    done = sent = Send(events);
  } else {
    for (; done < events.size(); ++done) {
      if (!filter_.Passes(events[done])) continue;
      if (Send(events.subspan(done, 1)) == 0) break;
      ++sent;
    }
  }
  if (done > 0) after_ = seen_ = events[done - 1].position;
  if (sent > 0) {
    sent_at_ = streams_.clock_.Monotonic();
    streams_.hub_.sent_events().Add(sent);
  }
  return done;
}

// One page is sent while the next one is read.
void ChangeStream::Ask(std::int64_t after) {
  if (is_asking_ || ahead_ != nullptr || !streams_.hub_.IsBehind(after)) return;
  is_asking_ = true;
  streams_.ReadPage(id_, after);
}

void ChangeStream::OnPage(Result<ChangeHub::Page> page) {
  is_asking_ = false;
  if (is_over_) return;
  if (!page) return FinishWith(&page.error());
  if (page_ != nullptr) {
    ahead_ = *std::move(page);
    return;
  }
  page_ = *std::move(page);
  at_ = 0;
  Ask(page_->next);
  Pump();
}

void ChangeStream::FinishWith(const Error* error) {
  if (std::exchange(is_over_, true)) return;
  page_ = ahead_ = nullptr;
  Finish(error);
}

void ChangeStream::Look(Instant now) {
  if (is_over_) return;
  if (deadline_.at() <= now) {
    const Error error{.reason = Reason::kDeadlineExceeded, .message = "the time that was asked for is over"};
    return FinishWith(&error);
  }
  const Duration heartbeat = streams_.hub_.heartbeat();
  if (now - checked_at_ >= heartbeat) {
    checked_at_ = now;
    if (const Result<void> known = CheckCaller(); !known) return FinishWith(&known.error());
  }
  if (!has_begun_ || now - sent_at_ < heartbeat) return;
  sent_at_ = now;
  SendHeartbeat(seen_);
}

Result<void> ChangeStream::CheckCaller() {
  MUSTER_ASSIGN(const auto caller, streams_.callers_.Authenticate(authorization_));
  if (caller->Has(Scope::kMembersRead)) return {};
  return Fail(Reason::kPermissionDenied, "the caller lost the scope members.read");
}

}  // namespace muster
