#include "topology/testing/faulty_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace muster::testing {
namespace {

constexpr int kLookMs = 5;

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// What can be read within `kLookMs`; empty: nothing, and `is_over` if that was the end.
std::string ReadSome(int from, bool& is_over) {
  pollfd waiting{.fd = from, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, kLookMs) <= 0) return {};
  std::array<char, 65536> buffer{};
  const ssize_t count = ::recv(from, buffer.data(), buffer.size(), 0);
  is_over = count <= 0;
  return is_over ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(count));
}

void WriteAll(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

FaultyProxy::FaultyProxy(const std::string& target)
    : target_port_(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)))),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  MUSTER_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
  MUSTER_CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  MUSTER_CHECK(::listen(listener_, SOMAXCONN) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

FaultyProxy::~FaultyProxy() {
  Stop();
  ::close(listener_);
}

void FaultyProxy::Stop() {
  if (!acceptor_.joinable()) return;
  is_over_ = true;
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
}

void FaultyProxy::Set(Fault fault) {
  fault_ = fault;
  while (fault == Fault::kCutOff && open_ > 0) std::this_thread::yield();
}

void FaultyProxy::Accept() {
  while (!is_over_) {
    pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, kLookMs) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    ++open_;
    connections_.emplace_back([this, client] { Serve(client); });
  }
}

void FaultyProxy::Serve(int client) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(target_port_);
  bool is_over = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0;
  bool is_update = false;
  while (!is_over && !is_over_ && fault_ != Fault::kCutOff) {
    const std::string asked = ReadSome(client, is_over);
    if (asked.find("/v3/kv/txn") != std::string::npos) is_update = true;
    if (is_update && !asked.empty() && fault_ == Fault::kLoseRequest) {
      then_();
      break;
    }
    WriteAll(server, asked);
    bool is_answered = false;
    const std::string answer = ReadSome(server, is_answered);
    if (is_update && !answer.empty() && fault_ == Fault::kLoseAnswer) {
      then_();
      break;
    }
    WriteAll(client, answer);
    is_over = is_over || is_answered;
  }
  ::close(server);
  ::close(client);
  --open_;
}

}  // namespace muster::testing
