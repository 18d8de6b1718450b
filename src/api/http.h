#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/result.h"

namespace muster {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

// Whether a method asks for no change (RFC 9110 section 9.2.1).
constexpr bool IsSafe(HttpMethod method) {
  return method == HttpMethod::kGet || method == HttpMethod::kHead || method == HttpMethod::kOptions;
}

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
  // The server holds as many bytes as it may: what can be asked again later is to be answered OVERLOADED, shortly.
  bool crowded = false;

  // The first header of that name, or a null view when there is none. Names compare without case.
  std::string_view Header(std::string_view name) const;
};

// Why a request cannot be served. After it the connection ends: where the next request would begin is not certain.
struct HttpRejection {
  int status = 400;
  std::string_view detail;  // static text; never repeats what was sent
};

// An answer of which nobody knows the end yet, while it is sent. On its loop's thread.
class HttpStream {
 public:
  // False: the client does not keep up, and the source's OnRoom will be called. What is unsent is bounded by
  // output_bytes_max; the last piece may exceed it.
  [[nodiscard]] virtual bool HasRoom() = 0;
  // Copies a piece, which must not be empty. Does nothing once the stream is over.
  virtual void Write(std::string_view bytes) = 0;
  // After what was written. The source is destroyed later, not during the call.
  virtual void End() = 0;

 protected:
  ~HttpStream() = default;
};

// What feeds a stream. Destroyed when that is over, for whatever reason: ended, the connection gone, the client too
// slow (it has taken nothing for kStreamPatience times write_timeout). Called on the loop's thread.
class HttpSource {
 public:
  virtual ~HttpSource() = default;
  // The head has left, once, before all others; `stream` outlives the source.
  virtual void OnBegin(HttpStream& stream) = 0;
  // After HasRoom was false: there is room again.
  virtual void OnRoom() = 0;
  // The server stops: say good-bye and End.
  virtual void OnDrain() = 0;
};

// An answer larger than this needs HttpExchange::Hold before it is sent, unless what it tells has happened already.
inline constexpr std::size_t kLargeAnswerBytes = 16 << 10;

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
    bool takes_chunks = true;      // HTTP/1.1; else the end of a stream is that of its connection
    std::size_t held_bytes = 0;    // of Hold
  };

  // Where the answers of one connection go. Lives as long as any exchange refers to it; all on one thread, so the count
  // is a plain one.
  class Sink {
   public:
    virtual EventLoop& loop() = 0;
    virtual void Answer(const Ticket& ticket, const Reply& reply) = 0;
    // Begins a stream once all before it are answered.
    virtual void Stream(const Ticket& ticket, const Reply& head, std::unique_ptr<HttpSource> source) = 0;
    // Finds room for `more` bytes of an answer that will have `bytes`; Answer gives it back.
    virtual Result<void> Hold(std::size_t bytes, std::size_t more) = 0;
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
  // Instead of Send: an answer with the status and the fields of `head`, and a body that `source` writes as it comes.
  // The connection takes no further request until it has ended. HEAD gets the head, and `source` is destroyed.
  void Stream(const Reply& head, std::unique_ptr<HttpSource> source);
  // The answer may have `bytes`: they count as held by the server from here on, and the connection takes no further
  // request until it is sent. May be called again with more. OVERLOADED when the server holds too much already,
  // INVALID_ARGUMENT when no answer may be that large; what is held stays so. Not after Send.
  Result<void> Hold(std::size_t bytes);
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
  // Answers now or later through `exchange`. Requests of one connection are under way together only while the methods
  // of all of them are safe.
  virtual void Handle(const HttpRequest& request, HttpExchange exchange) = 0;
  // Answers a request that could not be parsed, taken up or answered (400, 408, 413, 414, 415, 417, 431, 500, 501, 503,
  // 505). `known` has its method and its headers as far as they were read, and nothing else.
  virtual void Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) = 0;
  // About every 100 ms.
  virtual void Tick() {}
};

}  // namespace muster
