#include "api/http_loop.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "api/connection_bounds.h"
#include "base/check.h"

namespace muster {
namespace {

// Connections above the bound that are being told so; those beyond are closed at once.
constexpr std::size_t kRefusedConnectionsMax = 128;

HttpLimits LimitsOf(const HttpServerOptions& options) {
  return {.target_bytes_max = static_cast<std::size_t>(options.target_bytes_max),
          .header_bytes_max = static_cast<std::size_t>(options.header_bytes_max),
          .body_bytes_max = static_cast<std::size_t>(options.body_bytes_max)};
}

}  // namespace

HttpLoop::HttpLoop(std::unique_ptr<AsioEventLoop> events, int listening_socket, const HttpServerOptions& options,
                   HttpMetrics& metrics, const Clock& clock, Logger& logger)
    : options_(options),
      limits_(LimitsOf(options)),
      buffer_bytes_max_(std::max(options.buffer_bytes_max / options.threads, 2 * options.body_bytes_max)),
      metrics_(metrics),
      clock_(clock),
      logger_(logger),
      now_(clock.Monotonic()),
      wheel_(now_),
      date_line_(clock),
      input_(std::make_unique<std::array<char, kInputBytes>>()),
      events_(std::move(events)),
      acceptor_(
          *events_, listening_socket, [this](int socket) { OnAccepted(socket); }, metrics.refused, clock, logger) {
  events_->SetTurnEnd([this] { EndTurn(); });
  events_->SetTick(TimerWheel::kTick, [this] { Tick(); });
}

HttpLoop::~HttpLoop() {
  CloseAll();
  for (HttpConnection* connection : yielded_) connection->RemoveReference();
  EndTurn();
}

Result<void> HttpLoop::FindRoom(std::size_t bytes, std::size_t more) {
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

void HttpLoop::OnAccepted(int socket) {
  ReadClock();
  metrics_.accepted.Add();
  const bool has_room = metrics_.open->load(std::memory_order_relaxed) < options_.connections_max;
  if (!has_room) metrics_.refused.Add();
  if (!has_room && refused_connections_ == kRefusedConnectionsMax) {
    close(socket);
    return;
  }
  auto* connection = new HttpConnection(*this, socket);
  connection->AddReference();
  connection->next_ = connections_;
  if (connections_ != nullptr) connections_->previous_ = connection;
  connections_ = connection;
  if (has_room) {
    metrics_.open->fetch_add(1, std::memory_order_relaxed);
    connection->Start();
  } else {
    ++refused_connections_;
    connection->Refuse({.status = 503, .detail = "the server has as many connections as it takes; try again later"});
  }
}

void HttpLoop::OnClosed(HttpConnection& connection) {
  (connection.previous_ != nullptr ? connection.previous_->next_ : connections_) = connection.next_;
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  if (connection.refused()) {
    --refused_connections_;
  } else {
    metrics_.open->fetch_sub(1, std::memory_order_relaxed);
  }
  closed_.push_back(&connection);
}

void HttpLoop::Mark(HttpConnection& connection) {
  connection.AddReference();
  marked_.push_back(&connection);
}

void HttpLoop::Yield(HttpConnection& connection) {
  connection.AddReference();
  yielded_.push_back(&connection);
  if (yielded_.size() == 1) events_->Post([this] { ResumeYielded(); });
}

void HttpLoop::ResumeYielded() {
  for (HttpConnection* connection : std::exchange(yielded_, {})) {
    connection->Resume();
    connection->RemoveReference();
  }
}

void HttpLoop::EndTurn() {
  // Sending makes room, room takes further requests, and those may answer other connections.
  for (std::size_t i = 0; i < marked_.size(); ++i) {
    marked_[i]->EndTurn();
    marked_[i]->RemoveReference();
  }
  marked_.clear();
  for (HttpConnection* connection : closed_) connection->RemoveReference();
  closed_.clear();
  if (draining_ && connections_ == nullptr && drained_) std::exchange(drained_, {})();
}

void HttpLoop::Tick() {
  wheel_.Advance(ReadClock());
  acceptor_.Resume();
  if (handler_ != nullptr) handler_->Tick();
  MakeRoom();
  if (draining_ && now_ >= drain_until_) CloseAll();
}

// Ends stalled connections, those that hold the most first, until what was refused would find room and a quarter is
// free: a look at all connections is to pay for many refusals.
void HttpLoop::MakeRoom() {
  const std::int64_t wanted = std::exchange(wanted_bytes_, 0);
  if (wanted == 0 && !crowded()) return;
  const std::int64_t most = wanted == 0 ? buffer_bytes_max_ : buffer_bytes_max_ / 2;
  const std::int64_t enough = std::min(most - wanted, most / 4 * 3);
  std::vector<HttpConnection*> stalled;
  for (HttpConnection* connection = connections_; connection != nullptr; connection = connection->next_) {
    if (connection->IsStalledSince(now_ - kStallTime)) stalled.push_back(connection);
  }
  std::ranges::sort(stalled, std::greater(), &HttpConnection::accounted_bytes);
  std::size_t count = 0;
  for (; count < stalled.size() && buffered_bytes_ > enough; ++count) stalled[count]->Shed();
  if (count == 0) return;
  metrics_.shed.Add(count);
  logger_.Warning("stalled connections were ended to make room", {{"connections", count}});
}

void HttpLoop::Drain(std::function<void()> drained) {
  events_->Post([this, drained = std::move(drained)]() mutable {
    drained_ = std::move(drained);
    BeginDrain();
  });
}

void HttpLoop::BeginDrain() {
  ReadClock();
  draining_ = true;
  drain_until_ = now_ + std::chrono::milliseconds(options_.drain_timeout_ms);
  acceptor_.Stop();
  for (HttpConnection* connection = connections_; connection != nullptr;) {
    HttpConnection* const next = connection->next_;
    connection->Drain();
    connection = next;
  }
}

void HttpLoop::CloseAll() {
  std::size_t count = 0;
  for (; connections_ != nullptr; ++count) connections_->Close();
  if (count > 0 && draining_)
    logger_.Warning("connections were closed with requests under way", {{"connections", count}});
}

}  // namespace muster
