#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "api/connection_bounds.h"
#include "api/h2_connection.h"
#include "api/h2_loop.h"

// How a connection waits, and how it ends.

namespace muster {
namespace {

// Between the two GOAWAYs, unless the client shows that it has read the first.
constexpr std::int64_t kLeaveMs = 1000;

// How often streams are looked at that wait for their client.
constexpr std::int64_t kScanMs = 500;

}  // namespace

void H2Connection::Drain() {
  if (lingering_ || is_leaving_) return;
  if (!std::exchange(is_announced_, true)) session_.AnnounceEnd();
  busy_ = true;
  for (H2Stream* stream = streams_; stream != nullptr; stream = stream->next_) stream->Drain();
  busy_ = false;
  wait_ = Wait::kNothing;
  Settle();
}

void H2Connection::ConfirmEnd() {
  if (lingering_ || std::exchange(is_leaving_, true)) return;
  session_.ConfirmEnd();
  Settle();
}

void H2Connection::End() {
  if (lingering_) return;
  if (shutdown(socket_, SHUT_WR) != 0) return Close();
  lingering_ = true;
  blocked_ = false;
  UpdateInterest();
  UpdateDeadline();
}

void H2Connection::Discard() {
  const std::span<char> buffer = loop_.input_buffer();
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) discarded_bytes_ += static_cast<std::size_t>(count);
  if (count <= 0 || discarded_bytes_ > kLingerBytesMax) Close();
}

H2Connection::Wait H2Connection::NextWait() const {
  if (lingering_) return Wait::kLinger;
  if (blocked_) return Wait::kWrite;
  if (!is_greeted_) return Wait::kGreeting;
  if (session_.in_block()) return Wait::kBlock;
  if (is_announced_ && !is_leaving_) return Wait::kLeave;
  for (const H2Stream* stream = streams_; stream != nullptr; stream = stream->next_) {
    if (stream->unsent_bytes() > 0 || stream->AwaitsClient()) return Wait::kStreams;
  }
  return streams_ != nullptr ? Wait::kNothing : Wait::kIdle;
}

void H2Connection::UpdateDeadline() {
  const Wait wanted = NextWait();
  if (wanted == wait_) return;
  wait_ = wanted;
  switch (wait_) {
    case Wait::kNothing:
      return;  // what is still scheduled finds nothing to do
    case Wait::kGreeting:
    case Wait::kBlock:
      return loop_.Schedule(*this, loop_.options().header_timeout_ms);
    case Wait::kIdle:
      return loop_.Schedule(*this, loop_.options().idle_timeout_ms);
    case Wait::kStreams:
      return loop_.Schedule(*this, kScanMs);
    case Wait::kWrite:
      return loop_.Schedule(*this, loop_.options().write_timeout_ms);
    case Wait::kLeave:
      return loop_.Schedule(*this, kLeaveMs);
    case Wait::kLinger:
      return loop_.Schedule(*this, kLingerTime.count());
  }
}

void H2Connection::OnTimer(Instant /*now*/) {
  switch (std::exchange(wait_, Wait::kNothing)) {
    case Wait::kNothing:
      return;
    case Wait::kGreeting:
    case Wait::kBlock:
    case Wait::kWrite:
    case Wait::kLinger:
      return Close();
    case Wait::kIdle:
      return Drain();
    case Wait::kLeave:
      return ConfirmEnd();
    case Wait::kStreams:
      return Settle();
  }
}

void H2Connection::ScanStreams() {
  const Instant now = loop_.now();
  if (now - scanned_at_ < std::chrono::milliseconds(kScanMs)) return;
  scanned_at_ = now;
  for (H2Stream* stream = streams_; stream != nullptr; stream = stream->next_) {
    if (stream->IsStalledAt(now)) stream->GiveUp();
  }
}

std::int64_t H2Connection::StalledBytes(Instant since) const {
  if (lingering_) return 0;
  if (blocked_ || session_.in_block()) return moved_at_ <= since ? accounted_bytes_ : 0;
  // Whatever else it sends, a PING say, makes no stream move.
  std::int64_t bytes = 0;
  for (const H2Stream* stream = streams_; stream != nullptr; stream = stream->next_) {
    if (stream->HasWaitedSince(since)) bytes += static_cast<std::int64_t>(stream->counted_bytes());
  }
  return bytes;
}

void H2Connection::Close() {
  if (!is_open()) return;
  busy_ = true;
  while (streams_ != nullptr) OnStreamEnd(*streams_, false);
  loop_.wheel().Cancel(*this);
  Account(-accounted_bytes_);
  std::string().swap(output_);
  sent_ = 0;
  loop_.events().Forget(socket_);
  close(std::exchange(socket_, -1));
  loop_.OnClosed(*this);
}

}  // namespace muster
