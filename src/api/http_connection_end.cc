#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "api/connection_bounds.h"
#include "api/http_connection_stream.h"
#include "api/http_loop.h"

// How a connection waits, and how it ends.

namespace muster {
void HttpConnection::End() {
  streams_.clear();  // all are over
  if (!lingers_ || client_ended_ || shutdown(socket_, SHUT_WR) != 0) return Close();
  lingering_ = true;
  ReleaseInput();
  reader_.Forget();
  Account();
  UpdateInterest();
  UpdateDeadline();
}

void HttpConnection::Discard() {
  const std::span<char> buffer = loop_.input_buffer();
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) discarded_bytes_ += static_cast<std::size_t>(count);
  if (count <= 0 || discarded_bytes_ > kLingerBytesMax) Close();
}

void HttpConnection::UpdateDeadline() {
  const auto wanted = [this] {
    if (lingering_) return Wait::kLinger;
    if (!output_.empty() && blocked_) return Wait::kWrite;
    if (mid_request() && !ended_) return reader_.in_body() ? Wait::kBody : Wait::kHead;
    return output_.under_way() > 0 ? Wait::kAnswers : Wait::kIdle;
  }();
  if (wanted == wait_) return;
  wait_ = wanted;
  switch (wait_) {
    case Wait::kNothing:
    case Wait::kAnswers:
      // What is still scheduled finds nothing to do.
      return;
    case Wait::kIdle:
      return loop_.Schedule(*this, loop_.options().idle_timeout_ms);
    case Wait::kHead:
      return loop_.Schedule(*this, loop_.options().header_timeout_ms);
    case Wait::kBody:
      return loop_.Schedule(*this, loop_.options().body_timeout_ms);
    case Wait::kWrite:
      return loop_.Schedule(*this, loop_.options().write_timeout_ms * (streams_.empty() ? 1 : kStreamPatience));
    case Wait::kLinger:
      return loop_.Schedule(*this, kLingerTime.count());
  }
}

void HttpConnection::OnTimer(Instant) {
  switch (wait_) {
    case Wait::kNothing:
    case Wait::kAnswers:
      return;
    case Wait::kHead:
      return GiveUp({.status = 408, .detail = "the head of the request did not arrive in time"});
    case Wait::kBody:
      return GiveUp({.status = 408, .detail = "the body of the request did not arrive in time"});
    case Wait::kIdle:
    case Wait::kWrite:
    case Wait::kLinger:
      return Close();
  }
}

bool HttpConnection::IsStalledSince(Instant since) const {
  return moved_at_ <= since && !lingering_ && (blocked_ || (mid_request() && !ended_));
}

void HttpConnection::Shed() {
  if (blocked_) return Close();
  GiveUp({.status = 503, .detail = "the rest of the request did not come, and others need the room; try again later"});
}

void HttpConnection::Drain() {
  if (lingering_) return;
  DrainStreams();
  if (ended_) return;
  if (output_.under_way() > 0) {
    ended_ = true;
    lingers_ = true;  // the client did not know: requests may lie in the socket, or be on their way
    last_sequence_ = output_.begun() - 1;
    output_.AddLine(last_sequence_, "Connection: close\r\n");
    ReleaseInput();
    return Settle(true);
  }
  // What is still to come says so itself.
  if (mid_request() || yielded_) return;
  // A request may lie in the socket, sent before the client could know.
  Read();
  if (!is_open() || ended_ || mid_request()) return;
  if (!starved_ && !input_.empty()) return;  // requests that wait for room
  ended_ = true;
  lingers_ = output_.begun() > 0;  // one that was never used has nothing to lose
  Settle(true);
}

void HttpConnection::ReleaseInput() { loop_.buffers().Give(std::exchange(input_, {})); }

void HttpConnection::Close() {
  if (!is_open()) return;
  loop_.wheel().Cancel(*this);
  output_.Drop();
  streams_.clear();
  held_bytes_ = 0;
  ReleaseInput();
  reader_.Forget();
  Account();
  loop_.events().Forget(socket_);
  close(std::exchange(socket_, -1));
  loop_.OnClosed(*this);
}

}  // namespace muster
