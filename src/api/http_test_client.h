#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

// A blocking HTTP client of tests that does exactly what it is told, byte by byte. Every wait has a deadline; passing
// it fails the test.
class HttpTestClient {
 public:
  struct Answer {
    int status = 0;
    std::map<std::string, std::string> fields;  // names as sent
    std::string body;
  };

  // `receive_buffer_bytes` 0: the system's. A small one makes the server's sends partial.
  explicit HttpTestClient(const std::string& address, int receive_buffer_bytes = 0);
  ~HttpTestClient();
  HttpTestClient(const HttpTestClient&) = delete;

  void Send(std::string_view bytes) const;
  // As much as the socket takes without waiting.
  std::size_t SendSome(std::string_view bytes) const;
  void EndSending() const;
  // Closes with a reset rather than in order.
  void Reset();

  // The next answer; `to_head`: without a body, whatever its length. Nothing when the connection ends before it.
  std::optional<Answer> Receive(bool to_head = false);
  // True when the server closes (in order or by a reset) without sending anything more.
  bool AwaitEnd();
  // What has come, after a wait for the first of it; empty when the server has closed.
  std::string ReceivePiece();
  // What comes until the server closes.
  std::string ReceiveAll();
  // Whether the connection was reset, as the last wait has seen it.
  bool was_reset() const { return was_reset_; }

 private:
  // False at the end.
  bool ReceiveSome();

  int socket_ = -1;
  std::string received_;
  bool was_reset_ = false;
};

}  // namespace muster
