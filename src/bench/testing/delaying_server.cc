#include "bench/testing/delaying_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "base/check.h"

namespace muster {

struct DelayingServer::Loop {
  struct Peer {
    int socket = -1;
    std::string input;
    std::deque<Reply> replies;
  };

  int listener = -1;
  Decide decide;
  std::vector<Peer> peers;

  ~Loop() {
    for (const Peer& peer : peers) close(peer.socket);
    close(listener);
  }

  // False: the connection is to be closed.
  bool Read(Peer& peer, std::atomic<std::uint64_t>& requests) {
    std::array<char, 65536> bytes{};
    const ssize_t received = recv(peer.socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (received <= 0) return false;
    peer.input.append(bytes.data(), static_cast<std::size_t>(received));
    // Tests of it send requests without bodies.
    for (std::size_t end = 0; (end = peer.input.find("\r\n\r\n")) != std::string::npos;) {
      peer.input.erase(0, end + 4);
      peer.replies.push_back(decide(requests.fetch_add(1), Now()));
    }
    return true;
  }

  static bool SendReplies(Peer& peer) {
    const Time now = Now();
    for (; !peer.replies.empty() && peer.replies.front().at <= now; peer.replies.pop_front()) {
      const std::string& reply = peer.replies.front().bytes;
      if (reply.empty()) return false;
      if (send(peer.socket, reply.data(), reply.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(reply.size()))
        return false;
    }
    return true;
  }

  int Patience() const {
    Time next = Now() + std::chrono::milliseconds(20);
    for (const Peer& peer : peers)
      if (!peer.replies.empty()) next = std::min(next, peer.replies.front().at);
    return static_cast<int>(
        std::max(std::chrono::ceil<std::chrono::milliseconds>(next - Now()).count(), std::int64_t{0}));
  }

  void Turn(std::atomic<std::uint64_t>& requests, std::atomic<std::uint64_t>& connections) {
    std::vector<pollfd> watched{{.fd = listener, .events = POLLIN, .revents = 0}};
    for (const Peer& peer : peers) watched.push_back({.fd = peer.socket, .events = POLLIN, .revents = 0});
    poll(watched.data(), watched.size(), Patience());
    for (std::size_t i = peers.size(); i-- > 0;) {
      const bool is_good = (watched[i + 1].revents == 0 || Read(peers[i], requests)) && SendReplies(peers[i]);
      if (is_good) continue;
      close(peers[i].socket);
      peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (watched[0].revents == 0) return;
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    connections.fetch_add(1);
    peers.push_back({.socket = socket, .input = {}, .replies = {}});
  }
};

DelayingServer::DelayingServer(Decide decide) : loop_(std::make_unique<Loop>()) {
  loop_->decide = std::move(decide);
  loop_->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  MUSTER_CHECK(bind(loop_->listener, any, size) == 0 && listen(loop_->listener, 512) == 0);
  MUSTER_CHECK(getsockname(loop_->listener, any, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] {
    while (!stopping_.load()) loop_->Turn(requests_, connections_);
  });
}

DelayingServer::~DelayingServer() {
  stopping_.store(true);
  thread_.join();
}

DelayingServer::Time DelayingServer::Now() { return std::chrono::steady_clock::now().time_since_epoch(); }

}  // namespace muster
