#include "bench/socket_channel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"

namespace muster {

void SocketChannel::Initialise(int epoll, std::uint32_t index, std::unique_ptr<LoadChannel> protocol) {
  epoll_ = epoll;
  index_ = index;
  protocol_ = std::move(protocol);
}

bool SocketChannel::Connect(const HttpTarget& target, BenchTime now) {
  MUSTER_CHECK(phase_ == Phase::kClosed);
  socket_ = socket(target.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) return false;
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  phase_ = Phase::kConnecting;
  connecting_since_ = now;
  const int failure = connect(socket_, reinterpret_cast<const sockaddr*>(&target.address), target.address_size);
  if (failure != 0 && errno != EINPROGRESS) return false;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u32 = index_;
  watches_output_ = true;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event) == 0;
}

bool SocketChannel::FinishConnect() {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) return false;
  phase_ = Phase::kOpen;
  protocol_->Begin(output_);
  return Flush();
}

void SocketChannel::WatchOutput(bool wanted) {
  if (watches_output_ == wanted) return;
  watches_output_ = wanted;
  epoll_event event{};
  event.events = EPOLLIN | (wanted ? EPOLLOUT : 0U);
  event.data.u32 = index_;
  MUSTER_CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &event) == 0);
}

bool SocketChannel::Flush() {
  while (flushed_ < output_.size()) {
    const ssize_t sent = send(socket_, output_.data() + flushed_, output_.size() - flushed_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) {
      WatchOutput(true);
      return true;
    }
    flushed_ += static_cast<std::size_t>(sent);
  }
  output_.clear();
  flushed_ = 0;
  WatchOutput(false);
  return true;
}

bool SocketChannel::Receive(std::string& buffer, std::string_view& input) {
  const ssize_t received = recv(socket_, buffer.data(), buffer.size(), 0);
  if (received > 0) {
    input = std::string_view(buffer.data(), static_cast<std::size_t>(received));
    return true;
  }
  return received < 0 && (errno == EAGAIN || errno == EINTR);
}

void SocketChannel::Close() {
  if (socket_ >= 0) close(socket_);  // which takes it out of the epoll set, too
  socket_ = -1;
  phase_ = Phase::kClosed;
  watches_output_ = false;
  output_.clear();
  flushed_ = 0;
}

}  // namespace muster
