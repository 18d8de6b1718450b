#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/event_loop.h"

namespace muster {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

struct HttpHeader {
  std::string_view name;
  std::string_view value;
};

// One parsed request. Views into the connection's input: valid only during HttpHandler::Handle.
struct HttpRequest {
  HttpMethod method = HttpMethod::kOther;
  std::string_view target;  // as sent
  std::string_view path;    // before '?', still percent-encoded
  std::string_view query;   // after '?', still percent-encoded
  int version_minor = 1;
  std::span<const HttpHeader> headers;
  std::string_view body;    // whole: chunked bodies arrive joined

  // The header's value, or null view when absent. Names compare without case.
  std::string_view Header(std::string_view name) const;
};

// The place of one answer in its connection; answers leave in the order of their requests whatever the order of Send.
// Move-only. Used on its loop's thread only; when the connection is gone, Send does nothing. Destroying one without Send
// answers 500.
class HttpExchange {
 public:
  struct Reply {
    int status = 200;
    std::string_view content_type;    // empty: no Content-Type (and no body)
    std::string_view extra_headers;   // whole lines, each ended by \r\n
    std::string_view body;
  };

  class Connection;
  HttpExchange(std::shared_ptr<Connection> connection, std::uint64_t sequence);
  HttpExchange(HttpExchange&&) noexcept;
  HttpExchange& operator=(HttpExchange&&) noexcept;
  ~HttpExchange();

  // Copies all it needs before it returns. Content-Length, Connection and Date are the server's business, and HEAD's body is
  // dropped there. Once.
  void Send(const Reply& reply);
  EventLoop& loop() const;

 private:
  std::shared_ptr<Connection> connection_;
  std::uint64_t sequence_ = 0;
};

// What a server does with requests. One for each loop, called on that loop's thread.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Answers now or later through `exchange`.
  virtual void Handle(const HttpRequest& request, HttpExchange exchange) = 0;
  // A request that could not be parsed (400, 413, 414, 431, 408, 501, 505): the body of the answer, application/problem+json.
  virtual std::string DescribeRejection(int status, std::string_view detail) = 0;
};

}  // namespace muster
