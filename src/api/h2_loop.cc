#include "api/h2_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "api/connection_bounds.h"
#include "base/check.h"

namespace muster {
namespace {

// Streams that are kept for later ones; more are freed.
constexpr std::size_t kIdleStreamsMax = 1024;

}  // namespace

H2Loop::H2Loop(std::unique_ptr<AsioEventLoop> events, int listening_socket, const GrpcServerOptions& options,
               HttpMetrics& metrics, const Clock& clock, Logger& logger)
    : options_(options),
      buffer_bytes_max_(std::max(options.buffer_bytes_max / options.threads, 2 * options.message_bytes_max)),
      metrics_(metrics),
      clock_(clock),
      logger_(logger),
      now_(clock.Monotonic()),
      wheel_(now_),
      input_(std::make_unique<std::array<char, kInputBytes>>()),
      events_(std::move(events)),
      acceptor_(
          *events_, listening_socket, [this](int socket) { OnAccepted(socket); }, metrics.refused, clock, logger) {
  events_->SetTurnEnd([this] { EndTurn(); });
  events_->SetTick(TimerWheel::kTick, [this] { Tick(); });
}

H2Loop::~H2Loop() {
  CloseAll();
  EndTurn();
  handler_.reset();  // its calls may still refer to streams
  for (H2Stream* stream : idle_streams_) delete stream;
}

Result<void> H2Loop::FindRoom(std::size_t bytes, std::size_t more) {
  const std::int64_t large_bytes_max = buffer_bytes_max_ / 2;
  if (static_cast<std::int64_t>(bytes) > large_bytes_max) {
    return Fail(Reason::kInvalidArgument, "the answer would be larger than this server keeps; ask for less at a time");
  }
  if (buffered_bytes_ + static_cast<std::int64_t>(more) > large_bytes_max) {
    wanted_bytes_ = std::max(wanted_bytes_, static_cast<std::int64_t>(more));
    return Fail(Reason::kOverloaded, "the server holds as many answers as it may; send it again after a moment");
  }
  return {};
}

H2Stream& H2Loop::TakeStream() {
  if (idle_streams_.empty()) return *new H2Stream(*this);
  H2Stream* const stream = idle_streams_.back();
  idle_streams_.pop_back();
  return *stream;
}

void H2Loop::GiveStream(H2Stream& stream) {
  if (idle_streams_.size() < kIdleStreamsMax) {
    idle_streams_.push_back(&stream);
  } else {
    delete &stream;
  }
}

void H2Loop::OnAccepted(int socket) {
  ReadClock();
  metrics_.accepted.Add();
  if (metrics_.open->load(std::memory_order_relaxed) >= options_.connections_max) {
    metrics_.refused.Add();
    close(socket);
    return;
  }
  // Everything of a turn leaves in one send, and what is left of it must not wait for the client.
  constexpr int kOn = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  auto* connection = new H2Connection(*this, socket);
  connection->next_ = connections_;
  if (connections_ != nullptr) connections_->previous_ = connection;
  connections_ = connection;
  metrics_.open->fetch_add(1, std::memory_order_relaxed);
  connection->Start();
}

void H2Loop::OnClosed(H2Connection& connection) {
  (connection.previous_ != nullptr ? connection.previous_->next_ : connections_) = connection.next_;
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  metrics_.open->fetch_sub(1, std::memory_order_relaxed);
  closed_.push_back(&connection);
}

void H2Loop::Mark(H2Connection& connection) { marked_.push_back(&connection); }

void H2Loop::Yield(H2Connection& connection) {
  yielded_.push_back(&connection);
  if (yielded_.size() == 1) events_->Post([this] { ResumeYielded(); });
}

void H2Loop::ResumeYielded() { std::ranges::move(std::exchange(yielded_, {}), std::back_inserter(marked_)); }

void H2Loop::EndTurn() {
  for (std::size_t i = 0; i < marked_.size(); ++i) marked_[i]->EndTurn();
  marked_.clear();
  for (H2Connection* connection : closed_) {
    std::erase(yielded_, connection);
    delete connection;
  }
  closed_.clear();
  if (draining_ && connections_ == nullptr && drained_) std::exchange(drained_, {})();
}

void H2Loop::Tick() {
  wheel_.Advance(ReadClock());
  acceptor_.Resume();
  handler_->Tick();
  MakeRoom();
  if (draining_ && now_ >= drain_until_) CloseAll();
}

// Ends connections with streams that have stalled, those that hold the most first, until what was refused would find
// room and a quarter is free: a look at all connections is to pay for many refusals.
void H2Loop::MakeRoom() {
  const std::int64_t wanted = std::exchange(wanted_bytes_, 0);
  if (wanted == 0 && !crowded()) return;
  const std::int64_t most = wanted == 0 ? buffer_bytes_max_ : buffer_bytes_max_ / 2;
  const std::int64_t enough = std::min(most - wanted, most / 4 * 3);
  std::vector<std::pair<std::int64_t, H2Connection*>> stalled;
  for (H2Connection* connection = connections_; connection != nullptr; connection = connection->next_) {
    const std::int64_t bytes = connection->StalledBytes(now_ - kStallTime);
    if (bytes > 0) stalled.emplace_back(bytes, connection);
  }
  std::ranges::sort(stalled, std::greater());
  std::size_t count = 0;
  for (; count < stalled.size() && buffered_bytes_ > enough; ++count) stalled[count].second->Close();
  if (count == 0) return;
  metrics_.shed.Add(count);
  logger_.Warning("stalled gRPC connections were ended to make room", {{"connections", count}});
}

void H2Loop::Drain(std::function<void()> drained) {
  events_->Post([this, drained = std::move(drained)]() mutable {
    drained_ = std::move(drained);
    BeginDrain();
  });
}

void H2Loop::BeginDrain() {
  ReadClock();
  draining_ = true;
  drain_until_ = now_ + std::chrono::milliseconds(options_.drain_timeout_ms);
  acceptor_.Stop();
  for (H2Connection* connection = connections_; connection != nullptr;) {
    H2Connection* const next = connection->next_;
    connection->Drain();
    connection = next;
  }
}

void H2Loop::CloseAll() {
  std::size_t count = 0;
  for (; connections_ != nullptr; ++count) connections_->Close();
  if (count > 0 && draining_)
    logger_.Warning("gRPC connections were closed with calls under way", {{"connections", count}});
}

}  // namespace muster
