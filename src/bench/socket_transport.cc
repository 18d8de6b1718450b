#include "bench/socket_transport.h"

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

struct SocketTransport::Events {
  std::array<epoll_event, 256> list{};
  int count = 0;
};

Result<std::unique_ptr<LoadTransport>> SocketTransport::Make(Options options, const ChannelFactory& channels) {
  MUSTER_CHECK(options.connections > 0 && options.depth > 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return Fail(Reason::kInternal, "no epoll set can be made: too many files are open");
  return std::unique_ptr<LoadTransport>(new SocketTransport(std::move(options), epoll, channels));
}

SocketTransport::SocketTransport(Options options, int epoll, const ChannelFactory& channels)
    : options_(std::move(options)),
      epoll_(epoll),
      slots_(options_.connections),
      closed_(options_.connections),
      input_(kInputBytes, '\0'),
      events_(std::make_unique<Events>()) {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) slots_[i].channel.Initialise(epoll_, i, channels());
}

SocketTransport::~SocketTransport() {
  slots_.clear();
  close(epoll_);
}

BenchTime SocketTransport::Now() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + BenchTime(now.tv_nsec);
}

void SocketTransport::Open(BenchTime until) {
  NoSink sink;
  while (usable_ < slots_.size() && Now() < until) Poll(std::min(until, Now() + kSweepEvery), sink);
}

LoadTransport::State SocketTransport::state() const {
  if (usable_ > 0) return State::kReady;
  return closed_ == slots_.size() ? State::kDown : State::kBusy;
}

void SocketTransport::Settle(std::uint32_t index) {
  Slot& slot = slots_[index];
  const bool is_usable = slot.channel.has_room() && !slot.is_broken;
  if (is_usable != slot.is_usable) usable_ += is_usable ? 1U : -1U;
  slot.is_usable = is_usable;
  if (is_usable && !std::exchange(slot.is_queued, true)) ready_.push_back(index);
}

void SocketTransport::MarkDirty(std::uint32_t index) {
  if (!std::exchange(slots_[index].is_dirty, true)) dirty_.push_back(index);
}

void SocketTransport::MarkBroken(std::uint32_t index) {
  slots_[index].is_broken = true;
  broken_.push_back(index);
  Settle(index);
}

void SocketTransport::Send(const LoadCall& call, std::uint32_t token) {
  while (!slots_[ready_.front()].is_usable) {
    slots_[ready_.front()].is_queued = false;
    ready_.pop_front();
  }
  const std::uint32_t index = ready_.front();
  Slot& slot = slots_[index];
  slot.channel.protocol().Append(slot.channel.output(), call, {.token = token, .sent = Now()});
  Settle(index);
  // A connection is filled before the next one is: fewer, larger sends on both sides.
  if (!slot.is_usable) {
    slot.is_queued = false;
    ready_.pop_front();
  }
  if (options_.depth > 1) {
    MarkDirty(index);
  } else if (!slot.channel.Flush()) {
    MarkBroken(index);
  }
}

void SocketTransport::FlushDirty() {
  for (const std::uint32_t index : std::exchange(dirty_, {})) {
    Slot& slot = slots_[index];
    slot.is_dirty = false;
    if (slot.channel.phase() == SocketChannel::Phase::kOpen && !slot.is_broken && !slot.channel.Flush()) {
      MarkBroken(index);
    }
  }
}

void SocketTransport::Connect(Slot& slot, BenchTime now) {
  --closed_;
  if (slot.channel.Connect(options_.target, now)) return;
  slot.channel.Close();
  ++closed_;
  slot.retry_at = now + BackOff(++slot.failures);
}

// Closes it; what is under way on it has to have been answered.
void SocketTransport::Break(std::uint32_t index, BenchTime now) {
  Slot& slot = slots_[index];
  // A connection that has served may be opened again at once.
  if (slot.channel.phase() == SocketChannel::Phase::kConnecting) ++slot.failures;
  slot.channel.Close();
  slot.is_broken = false;
  Settle(index);
  ++closed_;
  slot.retry_at = now + BackOff(slot.failures);
}

void SocketTransport::GiveUp(std::uint32_t index, BenchTime now, LoadAnswerSink& sink) {
  Slot& slot = slots_[index];
  LoadChannel& protocol = slot.channel.protocol();
  if (protocol.under_way() > 0) ++slot.failures;
  while (protocol.under_way() > 0) {
    const LoadChannel::UnderWay request = protocol.Drop();
    const bool is_late = now - request.sent >= options_.timeout;
    sink.OnAnswer({.token = request.token,
                   .kind = is_late ? LoadAnswer::Kind::kTimedOut : LoadAnswer::Kind::kBroken,
                   .is_success = false,
                   .code = is_late ? "timeout" : "connection",
                   .at = now});
  }
  Break(index, now);
}

void SocketTransport::Poll(BenchTime until, LoadAnswerSink& sink) {
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

void SocketTransport::Wait(BenchTime until) {
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

void SocketTransport::OnEvent(std::uint32_t index, std::uint32_t events, LoadAnswerSink& sink) {
  Slot& slot = slots_[index];
  switch (slot.channel.phase()) {
    case SocketChannel::Phase::kClosed:
      return;
    case SocketChannel::Phase::kConnecting:
      if (!slot.channel.FinishConnect()) return GiveUp(index, Now(), sink);
      return Settle(index);
    case SocketChannel::Phase::kOpen:
      if ((events & EPOLLOUT) != 0 && !slot.channel.Flush()) return GiveUp(index, Now(), sink);
      if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !TakeAnswers(index, sink)) GiveUp(index, Now(), sink);
      return;
  }
}

bool SocketTransport::TakeAnswers(std::uint32_t index, LoadAnswerSink& sink) {
  Slot& slot = slots_[index];
  LoadChannel& protocol = slot.channel.protocol();
  std::string_view input;
  if (!slot.channel.Receive(input_, input)) return false;
  const std::size_t under_way = protocol.under_way();
  const bool goes_on = protocol.Take(input, Now(), slot.channel.output(), sink);
  if (protocol.under_way() < under_way) slot.failures = 0;
  if (!goes_on) return false;
  Settle(index);
  if (!slot.channel.output().empty()) MarkDirty(index);
  return true;
}

// Opens what is closed, and gives up what takes too long.
void SocketTransport::Sweep(BenchTime now, LoadAnswerSink& sink) {
  next_sweep_ = now + kSweepEvery;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    SocketChannel& channel = slot.channel;
    if (channel.phase() == SocketChannel::Phase::kClosed) {
      if (now >= slot.retry_at) Connect(slot, now);
      continue;
    }
    if (channel.phase() == SocketChannel::Phase::kConnecting) {
      if (now - channel.connecting_since() >= options_.timeout) GiveUp(i, now, sink);
      continue;
    }
    const std::size_t under_way = channel.protocol().under_way();
    if (!channel.protocol().GiveUpLate(now - options_.timeout, now, channel.output(), sink)) {
      ++slot.failures;
      GiveUp(i, now, sink);
    } else if (channel.protocol().under_way() < under_way) {
      Settle(i);
      MarkDirty(i);
    }
  }
}

}  // namespace muster
