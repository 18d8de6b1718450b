#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/event_loop.h"

namespace muster {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

struct HttpHeader {
  std::string_view name;
  std::string_view value;  // without the white space around it
};

// One parsed request. Views into the connection's input: valid only during HttpHandler::Handle.
struct HttpRequest {
  HttpMethod method = HttpMethod::kOther;
  std::string_view method_name;  // as sent
  std::string_view target;       // as sent
  std::string_view path;         // before '?', still percent-encoded; without scheme and authority; "*" for OPTIONS *
  std::string_view query;        // after '?', still percent-encoded
  int version_minor = 1;
  std::span<const HttpHeader> headers;
  std::string_view body;  // whole: chunked bodies arrive joined

  // The first header of that name, or a null view when there is none. Names compare without case.
  std::string_view Header(std::string_view name) const;
};

// The place of one answer in its connection; answers leave in the order of their requests whatever the order of Send.
// Move-only. Used on its loop's thread only; when the connection is gone, Send does nothing. Destroying one without
// Send answers 500. May outlive the server's threads (the answer then goes nowhere), but not the server.
class HttpExchange {
 public:
  struct Reply {
    int status = 200;                     // 200 to 599
    std::string_view content_type = {};   // empty: no Content-Type (and no body)
    std::string_view extra_headers = {};  // whole lines, each ended by \r\n
    std::string_view body = {};
  };

  // Which request of its connection this is, and what its answer needs to know of it.
  struct Ticket {
    std::uint64_t sequence = 0;
    Instant began;
    bool head = false;             // the answer leaves without its body
    bool says_keep_alive = false;  // an HTTP/1.0 client has to be told that the connection stays
  };

  // Where the answers of one connection go. Lives as long as any exchange refers to it; all on one thread, so the count
  // is a plain one.
  class Sink {
   public:
    virtual EventLoop& loop() = 0;
    virtual void Answer(const Ticket& ticket, const Reply& reply) = 0;
    // The exchange was destroyed unanswered.
    virtual void Abandon(const Ticket& ticket) = 0;

    void AddReference() { ++references_; }
    void RemoveReference() {
      if (--references_ == 0) delete this;
    }

   protected:
    virtual ~Sink() = default;

   private:
    std::uint32_t references_ = 0;
  };

  HttpExchange(Sink& sink, const Ticket& ticket) : sink_(&sink), ticket_(ticket) { sink.AddReference(); }
  HttpExchange(HttpExchange&& other) noexcept : sink_(std::exchange(other.sink_, nullptr)), ticket_(other.ticket_) {}
  HttpExchange& operator=(HttpExchange&& other) noexcept;
  ~HttpExchange() {
    if (sink_ != nullptr) Abandon();
  }

  // Copies all it needs before it returns. Content-Length, Connection and Date are the server's business, and HEAD's
  // body is dropped there. Once.
  void Send(const Reply& reply);
  // Not after Send.
  EventLoop& loop() const { return sink_->loop(); }

 private:
  void Abandon();

  Sink* sink_;
  Ticket ticket_;
};

// What a server does with requests. One for each loop, called on that loop's thread.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Answers now or later through `exchange`.
  virtual void Handle(const HttpRequest& request, HttpExchange exchange) = 0;
  // A request that could not be parsed or answered (400, 408, 413, 414, 417, 431, 500, 501, 503, 505): the body of the
  // answer, application/problem+json.
  virtual std::string DescribeRejection(int status, std::string_view detail) = 0;
};

}  // namespace muster
