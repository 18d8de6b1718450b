#include "lab/proxied_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace muster::lab {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
// Before other connections have their turn.
constexpr int kRoundsOfMove = 16;

bool IsForLater(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

void ProxiedConnection::OnEvents(Side side, std::uint32_t events) {
  End& end = side == Side::kClient ? client_ : server_;
  if ((events & EPOLLIN) != 0) end.readable = true;
  if ((events & EPOLLOUT) != 0) end.writable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) end.readable = end.hung_up = true;
  if ((events & EPOLLERR) != 0) end.broken = true;
}

LinkCondition ProxiedConnection::Forward(const Transit& transit) const {
  if (!from_) return {};
  return transit.links[static_cast<std::size_t>(*from_)][static_cast<std::size_t>(to_)];
}

LinkCondition ProxiedConnection::Back(const Transit& transit) const {
  if (!from_) return {};
  return transit.links[static_cast<std::size_t>(to_)][static_cast<std::size_t>(*from_)];
}

TokenBucket* ProxiedConnection::BucketOf(Transit& transit, Center from, Center to) const {
  if (!from_) return nullptr;
  return &transit.buckets[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

void ProxiedConnection::DueBy(std::optional<Instant> when) {
  if (when && (!due_ || *when < *due_)) due_ = when;
}

bool ProxiedConnection::Move(Transit& transit) {
  due_.reset();
  if (state_ == State::kWaiting && !Begin(transit)) return false;
  if (state_ == State::kConnecting && !FinishConnecting()) return false;
  if (state_ != State::kOpen) return true;
  const LinkCondition forward = Forward(transit), back = Back(transit);
  const Instant now = transit.now;
  if (client_.broken) {
    up_.Abort(now + forward.delay);
    down_.Finish();
  }
  if (server_.broken) {
    down_.Abort(now + back.delay);
    up_.Finish();
  }
  TokenBucket* const up_bucket = BucketOf(transit, from_.value_or(to_), to_);
  TokenBucket* const down_bucket = BucketOf(transit, to_, from_.value_or(to_));
  for (int round = 0;; ++round) {
    const bool has_moved_up = Transfer(client_, server_, up_, forward, up_bucket, now);
    if (!server_.socket) return false;  // it was reset, since the client is gone
    const bool has_moved_down = Transfer(server_, client_, down_, back, down_bucket, now);
    if (!client_.socket) return false;
    if (up_.is_finished() && down_.is_finished()) return false;
    if (!has_moved_up && !has_moved_down) break;
    if (round == kRoundsOfMove) {
      DueBy(now);
      break;
    }
  }
  if (!forward.is_cut) DueBy(up_.DueAfter(now));
  if (!back.is_cut) DueBy(down_.DueAfter(now));
  return true;
}

bool ProxiedConnection::Begin(const Transit& transit) {
  if (client_.broken) return false;
  const LinkCondition forward = Forward(transit), back = Back(transit);
  if (forward.is_cut || back.is_cut) return !client_.hung_up;  // it gave up, and nothing of it has arrived
  const Instant opens_at = accepted_ + forward.delay + back.delay;
  if (transit.now < opens_at) {
    DueBy(opens_at);
    return true;
  }
  return Connect();
}

bool ProxiedConnection::Connect() {
  server_.socket = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server_.socket) {
    Reset(client_);
    return false;
  }
  const int yes = 1;
  ::setsockopt(server_.socket.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(target_port_);
  const int refused = ::connect(server_.socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (refused != 0 && errno != EINPROGRESS) {
    Reset(client_);
    return false;
  }
  new_server_socket_ = server_.socket.number();
  state_ = State::kConnecting;
  return true;
}

bool ProxiedConnection::FinishConnecting() {
  if (server_.broken || (server_.hung_up && !server_.writable)) {
    Reset(client_);
    return false;
  }
  if (server_.writable) state_ = State::kOpen;
  return true;
}

bool ProxiedConnection::Transfer(End& source, End& sink, Flow& flow, const LinkCondition& link, TokenBucket* bucket,
                                 Instant now) {
  const bool has_read = Read(source, flow, now + link.delay);
  const bool has_written = !link.is_cut && Write(sink, flow, link, bucket, now);
  return has_read || has_written;
}

bool ProxiedConnection::Read(End& source, Flow& flow, Instant due) {
  if (!source.readable || source.broken || flow.room() == 0 || flow.is_finished()) return false;
  std::array<char, kReadBytes> buffer;
  const ssize_t size = ::recv(source.socket.number(), buffer.data(), std::min(flow.room(), buffer.size()), 0);
  if (size > 0) {
    flow.Put({buffer.data(), static_cast<std::size_t>(size)}, due);
    return true;
  }
  if (size == 0) {
    flow.End(due);
  } else if (IsForLater(errno)) {
    source.readable = errno == EINTR;
    return false;
  } else {
    source.broken = true;
    flow.Abort(due);
  }
  return true;
}

bool ProxiedConnection::Write(End& sink, Flow& flow, const LinkCondition& link, TokenBucket* bucket, Instant now) {
  const Flow::Next next = flow.NextAt(now);
  if (next == Flow::Next::kNothing) return false;
  if (next == Flow::Next::kAbort || (!sink.writable && flow.IsAbortDue(now))) {
    Reset(sink);
    flow.Finish();
    return true;
  }
  if (next == Flow::Next::kEnd) {
    ::shutdown(sink.socket.number(), SHUT_WR);
    flow.Finish();
    return true;
  }
  if (!sink.writable) return false;
  std::string_view bytes = flow.Front();
  const bool is_throttled = bucket != nullptr && link.bytes_per_second > 0;
  if (is_throttled) {
    bytes = bytes.substr(0, bucket->Available(link.bytes_per_second, now));
    if (bytes.empty()) {
      DueBy(TokenBucket::Again(link.bytes_per_second, now));
      return false;
    }
  }
  const ssize_t size = ::send(sink.socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size > 0) {
    flow.Take(static_cast<std::size_t>(size));
    if (is_throttled) bucket->Spend(static_cast<std::size_t>(size));
    return true;
  }
  if (IsForLater(errno)) {
    sink.writable = errno == EINTR;
    return false;
  }
  sink.broken = true;  // what this means for the other side is the next Move's
  flow.Finish();
  DueBy(now);
  return false;
}

void ProxiedConnection::Reset(End& end) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(end.socket.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  end.socket.Close();
}

}  // namespace muster::lab
