#include "api/http_test_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace muster {
namespace {

constexpr int kPatienceMs = 30'000;

}  // namespace

HttpTestClient::HttpTestClient(const std::string& address, int receive_buffer_bytes)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer_bytes != 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  const std::size_t colon = address.rfind(':');
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0) << errno;
}

HttpTestClient::~HttpTestClient() {
  if (socket_ >= 0) close(socket_);
}

void HttpTestClient::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    pollfd writable{.fd = socket_, .events = POLLOUT, .revents = 0};
    ASSERT_EQ(poll(&writable, 1, kPatienceMs), 1) << "the server does not read";
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // A server that has refused may have closed: what it said is still there to be read.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (sent < 0 && errno == EAGAIN) continue;
    ASSERT_GE(sent, 0) << errno;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t HttpTestClient::SendSome(std::string_view bytes) const {
  const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void HttpTestClient::EndSending() const { shutdown(socket_, SHUT_WR); }

void HttpTestClient::Reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(std::exchange(socket_, -1));
}

bool HttpTestClient::ReceiveSome() {
  pollfd readable{.fd = socket_, .events = POLLIN, .revents = 0};
  if (poll(&readable, 1, kPatienceMs) != 1) {
    ADD_FAILURE() << "the server is silent";
    return false;
  }
  std::array<char, 65536> buffer;
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
  was_reset_ = count < 0;
  if (count <= 0) return false;
  received_.append(buffer.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<HttpTestClient::Answer> HttpTestClient::Receive(bool to_head) {
  std::size_t head_end = 0;
  while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReceiveSome()) {
      EXPECT_EQ(received_, "");
      return {};
    }
  }
  Answer answer;
  const std::string head = received_.substr(0, head_end + 2);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 ")) << head;
  answer.status = std::stoi(head.substr(9, 3));
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t colon = head.find(": ", at);
    const std::size_t end = head.find("\r\n", at);
    answer.fields[head.substr(at, colon - at)] = head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  const bool has_body = !to_head && answer.fields.contains("Content-Length");
  const std::size_t length = has_body ? std::stoul(answer.fields["Content-Length"]) : 0;
  while (received_.size() < head_end + 4 + length) {
    if (!ReceiveSome()) {
      ADD_FAILURE() << "the connection ended within an answer";
      return {};
    }
  }
  answer.body = received_.substr(head_end + 4, length);
  received_.substr(head_end + 4 + length).swap(received_);  // gives its memory back
  return answer;
}

bool HttpTestClient::AwaitEnd() { return received_.empty() && !ReceiveSome(); }

std::string HttpTestClient::ReceivePiece() {
  if (received_.empty()) ReceiveSome();
  return std::exchange(received_, {});
}

std::string HttpTestClient::ReceiveAll() {
  while (ReceiveSome()) {
  }
  return std::exchange(received_, {});
}

}  // namespace muster
