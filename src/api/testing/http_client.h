#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A blocking HTTP/1.1 client for tests of whole servers: one connection that is kept, answers with Content-Length.
namespace muster::testing {

class HttpClient {
 public:
  struct Answer {
    int status = 0;
    std::string head;
    std::string body;

    std::string Header(std::string_view name) const {
      const std::string begin = "\r\n" + std::string(name) + ": ";
      const std::size_t at = head.find(begin);
      if (at == std::string::npos) return "";
      return head.substr(at + begin.size(), head.find("\r\n", at + begin.size()) - at - begin.size());
    }
  };

  // `address` is "127.0.0.1:port".
  HttpClient(const std::string& address, std::string key) : key_(std::move(key)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient() { ::close(socket_); }

  Answer Send(std::string_view method, std::string_view target, std::string_view body = {},
              const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    std::string request(method);
    request.append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n");
    if (!key_.empty()) request.append("Authorization: Bearer ").append(key_).append("\r\n");
    for (const auto& [name, value] : headers) request.append(name).append(": ").append(value).append("\r\n");
    if (!body.empty()) request.append("Content-Type: application/json\r\n");
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
    SendRaw(request);
    return Receive(method == "HEAD");
  }
  void SendRaw(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // The next answer; status 0 when the connection ended before it was whole.
  Answer Receive(bool head_only = false) {
    Answer answer;
    std::size_t end = std::string::npos;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!ReceiveMore()) return {};
    }
    answer.head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    answer.status = std::atoi(answer.head.c_str() + 9);
    const std::string length = answer.Header("Content-Length");
    const std::size_t size = head_only || length.empty() ? 0 : std::stoul(length);
    while (input_.size() < size) {
      if (!ReceiveMore()) return {};
    }
    answer.body = input_.substr(0, size);
    input_.erase(0, size);
    return answer;
  }

 private:
  bool ReceiveMore() {
    char buffer[16384];
    const ssize_t received = ::recv(socket_, buffer, sizeof buffer, 0);
    if (received <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(received));
    return true;
  }

  int socket_ = -1;
  std::string key_;
  std::string input_;
};

}  // namespace muster::testing
