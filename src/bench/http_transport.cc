#include "bench/http_transport.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kInputBytes = std::size_t{256} << 10;
constexpr BenchTime kSweepEvery = std::chrono::milliseconds(20);
// Between attempts to open a connection: doubled from one to the next, up to the maximum.
constexpr BenchTime kBackOffMin = std::chrono::milliseconds(10);
constexpr BenchTime kBackOffMax = std::chrono::seconds(1);
constexpr std::uint32_t kDoublingsMax = 7;

BenchTime BackOff(std::uint32_t failures) {
  if (failures == 0) return BenchTime{0};
  return std::min(kBackOffMax, kBackOffMin * (1U << std::min(failures - 1, kDoublingsMax)));
}

class NoSink final : public LoadAnswerSink {
 public:
  void OnAnswer(const LoadAnswer&) override { MUSTER_UNREACHABLE("an answer before the first request"); }
};

}  // namespace

struct HttpTransport::Events {
  std::array<epoll_event, 256> list{};
  int count = 0;
};

Result<std::unique_ptr<HttpTransport>> HttpTransport::Make(Options options) {
  MUSTER_CHECK(options.connections > 0 && options.pipeline > 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return Fail(Reason::kInternal, "no epoll set can be made: too many files are open");
  return std::unique_ptr<HttpTransport>(new HttpTransport(std::move(options), epoll));
}

HttpTransport::HttpTransport(Options options, int epoll)
    : options_(std::move(options)),
      writer_(options_.target.host, options_.key),
      epoll_(epoll),
      slots_(options_.connections),
      closed_(options_.connections),
      input_(kInputBytes, '\0'),
      events_(std::make_unique<Events>()) {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) slots_[i].channel.Initialise(epoll_, i, options_.pipeline);
}

HttpTransport::~HttpTransport() {
  slots_.clear();
  close(epoll_);
}

BenchTime HttpTransport::Now() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + BenchTime(now.tv_nsec);
}

void HttpTransport::Open(BenchTime until) {
  NoSink sink;
  while (usable_ < slots_.size() && Now() < until) Poll(std::min(until, Now() + kSweepEvery), sink);
}

LoadTransport::State HttpTransport::state() const {
  if (usable_ > 0) return State::kReady;
  return closed_ == slots_.size() ? State::kDown : State::kBusy;
}

void HttpTransport::NoteReady(std::uint32_t index) {
  if (!std::exchange(slots_[index].is_queued, true)) ready_.push_back(index);
}

void HttpTransport::Send(const LoadCall& call, std::uint32_t token) {
  while (!IsUsable(slots_[ready_.front()])) {
    slots_[ready_.front()].is_queued = false;
    ready_.pop_front();
  }
  const std::uint32_t index = ready_.front();
  Slot& slot = slots_[index];
  slot.channel.Push({.token = token, .sent = Now()});
  writer_.Append(slot.channel.output(), call);
  // A pipeline is filled before the next connection is: fewer, larger sends on both sides.
  if (!slot.channel.has_room()) {
    --usable_;
    slot.is_queued = false;
    ready_.pop_front();
  }
  if (options_.pipeline > 1) {
    if (!std::exchange(slot.is_dirty, true)) dirty_.push_back(index);
  } else if (!slot.channel.Flush()) {
    slot.is_broken = true;
    broken_.push_back(index);
  }
}

void HttpTransport::FlushDirty() {
  for (const std::uint32_t index : std::exchange(dirty_, {})) {
    Slot& slot = slots_[index];
    slot.is_dirty = false;
    if (slot.channel.phase() != HttpChannel::Phase::kOpen || slot.is_broken || slot.channel.Flush()) continue;
    if (slot.channel.has_room()) --usable_;
    slot.is_broken = true;
    broken_.push_back(index);
  }
}

void HttpTransport::Connect(Slot& slot, BenchTime now) {
  --closed_;
  if (slot.channel.Connect(options_.target, now)) return;
  slot.channel.Close();
  ++closed_;
  slot.retry_at = now + BackOff(++slot.failures);
}

// Closes it; what is under way on it has to have been answered.
void HttpTransport::Break(std::uint32_t index, BenchTime now) {
  Slot& slot = slots_[index];
  if (IsUsable(slot)) --usable_;
  // A connection that has served may be opened again at once.
  if (slot.channel.phase() == HttpChannel::Phase::kConnecting) ++slot.failures;
  slot.channel.Close();
  slot.is_broken = false;
  ++closed_;
  slot.retry_at = now + BackOff(slot.failures);
}

void HttpTransport::GiveUp(std::uint32_t index, BenchTime now, LoadAnswerSink& sink) {
  Slot& slot = slots_[index];
  if (IsUsable(slot)) --usable_;
  slot.is_broken = true;
  if (slot.channel.under_way() > 0) ++slot.failures;
  while (slot.channel.under_way() > 0) {
    const HttpChannel::UnderWay request = slot.channel.Pop();
    const bool is_late = now - request.sent >= options_.timeout;
    sink.OnAnswer({.token = request.token,
                   .kind = is_late ? LoadAnswer::Kind::kTimedOut : LoadAnswer::Kind::kBroken,
                   .is_success = false,
                   .code = is_late ? "timeout" : "connection",
                   .at = now});
  }
  Break(index, now);
}

void HttpTransport::Poll(BenchTime until, LoadAnswerSink& sink) {
  FlushDirty();
  const BenchTime now = Now();
  for (const std::uint32_t index : std::exchange(broken_, {})) GiveUp(index, now, sink);
  if (now >= next_sweep_) Sweep(now, sink);
  Wait(std::min(until, next_sweep_));
  for (int i = 0; i < events_->count; ++i) {
    const epoll_event& event = events_->list[static_cast<std::size_t>(i)];
    OnEvent(event.data.u32, event.events, sink);
  }
}

void HttpTransport::Wait(BenchTime until) {
  const BenchTime patience = std::max(until - Now(), BenchTime{0});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (patience - seconds).count()};
  const auto size = static_cast<int>(events_->list.size());
  events_->count = epoll_pwait2(epoll_, events_->list.data(), size, &timeout, nullptr);
  // Kernels before 5.11 know milliseconds only: the last of them is spent asking.
  if (events_->count < 0 && errno == ENOSYS) {
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(patience);
    events_->count = epoll_wait(epoll_, events_->list.data(), size, static_cast<int>(whole.count()));
  }
}

void HttpTransport::OnEvent(std::uint32_t index, std::uint32_t events, LoadAnswerSink& sink) {
  Slot& slot = slots_[index];
  switch (slot.channel.phase()) {
    case HttpChannel::Phase::kClosed:
      return;
    case HttpChannel::Phase::kConnecting:
      if (!slot.channel.FinishConnect()) return GiveUp(index, Now(), sink);
      ++usable_;
      return NoteReady(index);
    case HttpChannel::Phase::kOpen:
      if ((events & EPOLLOUT) != 0 && !slot.channel.Flush()) return GiveUp(index, Now(), sink);
      if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !TakeAnswers(index, sink)) GiveUp(index, Now(), sink);
      return;
  }
}

bool HttpTransport::TakeAnswers(std::uint32_t index, LoadAnswerSink& sink) {
  Slot& slot = slots_[index];
  std::string_view input;
  if (!slot.channel.Receive(input_, input)) return false;
  const BenchTime now = Now();
  while (!input.empty()) {
    HttpAnswerReader& reader = slot.channel.reader();
    const HttpAnswerReader::State state = reader.Take(input);
    if (state == HttpAnswerReader::State::kMore) return true;
    if (state == HttpAnswerReader::State::kMalformed || slot.channel.under_way() == 0) return false;
    const bool had_room = slot.channel.has_room();
    const HttpChannel::UnderWay request = slot.channel.Pop();
    slot.failures = 0;
    const bool is_success = reader.status() >= 200 && reader.status() < 300;
    if (!is_success) {
      code_ = std::to_string(reader.status());
      if (!reader.code().empty()) code_.append(" ").append(reader.code());
    }
    sink.OnAnswer({.token = request.token,
                   .kind = LoadAnswer::Kind::kAnswered,
                   .is_success = is_success,
                   .code = is_success ? std::string_view() : std::string_view(code_),
                   .at = now});
    if (!had_room && !slot.is_broken) ++usable_;
    NoteReady(index);
    if (reader.closes()) return false;
  }
  return true;
}

// Opens what is closed, and gives up what takes too long.
void HttpTransport::Sweep(BenchTime now, LoadAnswerSink& sink) {
  next_sweep_ = now + kSweepEvery;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const HttpChannel& channel = slot.channel;
    if (channel.phase() == HttpChannel::Phase::kClosed) {
      if (now >= slot.retry_at) Connect(slot, now);
      continue;
    }
    const bool is_connecting = channel.phase() == HttpChannel::Phase::kConnecting;
    const bool is_late = is_connecting ? now - channel.connecting_since() >= options_.timeout
                                       : channel.under_way() > 0 && now - channel.oldest().sent >= options_.timeout;
    if (is_late) GiveUp(i, now, sink);
  }
}

}  // namespace muster
