#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "base/check.h"
#include "lab/descriptor.h"

// What tests of the lab share: sockets of 127.0.0.1.
namespace muster::lab::testing {

// Looks again and again, for half a minute.
inline bool AwaitThat(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline sockaddr_in LoopbackAt(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// A listening socket on a free port.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = LoopbackAt(0);
    socklen_t length = sizeof address;
    MUSTER_CHECK(::bind(socket_.number(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    MUSTER_CHECK(::getsockname(socket_.number(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    MUSTER_CHECK(::listen(socket_.number(), SOMAXCONN) == 0);
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }
  bool HasCaller(int patience_ms = 0) const {
    pollfd waiting{.fd = socket_.number(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, patience_ms) > 0;
  }
  void Close() { socket_.Close(); }
  int number() const { return socket_.number(); }

 private:
  Descriptor socket_;
  std::uint16_t port_ = 0;
};

// One end of a connection. Each call waits at most half a minute.
class Peer {
 public:
  static Peer Connect(std::uint16_t port) {
    Peer peer(Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const sockaddr_in address = LoopbackAt(port);
    MUSTER_CHECK(::connect(peer.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return peer;
  }
  static Peer Accept(const Listener& listener) {
    MUSTER_CHECK(listener.HasCaller(kPatienceMs));
    return Peer(Descriptor(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  explicit Peer(Descriptor socket) : socket_(std::move(socket)) {}

  int number() const { return socket_.number(); }
  std::uint16_t local_port() const {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    MUSTER_CHECK(::getsockname(number(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    return ntohs(address.sin_port);
  }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      MUSTER_CHECK(size > 0);
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  bool IsReadable(int patience_ms = 0) const {
    pollfd waiting{.fd = number(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, patience_ms) > 0;
  }
  // So many bytes, or fewer when the connection ends before.
  std::string Receive(std::size_t count) {
    std::string bytes;
    std::array<char, 65536> buffer{};
    while (bytes.size() < count && IsReadable(kPatienceMs)) {
      const ssize_t size = ::recv(number(), buffer.data(), std::min(buffer.size(), count - bytes.size()), 0);
      if (size <= 0) break;
      bytes.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return bytes;
  }
  // "end", "reset", or what came instead.
  std::string ReceiveEnd() {
    if (!IsReadable(kPatienceMs)) return "nothing";
    char byte = 0;
    const ssize_t size = ::recv(number(), &byte, 1, 0);
    return size == 0 ? "end" : size < 0 ? "reset" : "a byte";
  }
  void Finish() { ::shutdown(number(), SHUT_WR); }
  void Close() { socket_.Close(); }
  void Reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    socket_.Close();
  }

  static constexpr int kPatienceMs = 30'000;

 private:
  Descriptor socket_;
};

inline std::uint16_t FreeLoopbackPort() {
  Listener listener;
  return listener.port();
}

}  // namespace muster::lab::testing
