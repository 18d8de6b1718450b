#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/result.h"

namespace muster {

// What stands before each message on the wire: whether it is compressed, and its length.
inline constexpr std::size_t kGrpcPrefixBytes = 5;

// What callers send beside their messages. Views into the request; empty when absent.
struct GrpcMetadata {
  std::string_view authorization;
  std::string_view timeout;  // grpc-timeout
  std::string_view request_id;
  std::string_view trace_parent;
  std::string_view idempotency_key = {};
  std::uint32_t idempotency_keys = 0;  // how many there are; the first one is here
};

// One call as it arrived. Views: valid only while it is handed over.
struct GrpcRequest {
  std::string_view path;  // "/muster.v1.MemberService/GetMember"
  GrpcMetadata metadata;
  std::string_view message = {};  // of a unary call: decompressed
  // The server holds as many bytes as it may: what can be asked again later is to be answered OVERLOADED, shortly.
  bool crowded = false;
};

// What a call is answered, or ended, with. Copied before the call returns.
struct GrpcReply {
  std::string_view request_id;
  std::string_view trace_parent = {};
  std::string_view source = {};  // X-Muster-Source, and how old
  std::int64_t age_ms = 0;
  bool is_replayed = false;       // Idempotent-Replayed
  std::string_view message = {};  // of a success of a unary call
  int status = 0;                 // google.rpc.Code
  int http_status = 200;          // the same for who counts over all protocols
  std::string_view status_message = {};
  std::string_view status_details = {};  // a google.rpc.Status
};

// The place of one unary answer. Move-only. Used on its loop's thread only; when the call was cancelled or its
// connection is gone, Send does nothing. Destroying one without Send answers INTERNAL. May outlive the server's threads
// (the answer then goes nowhere), but not the server.
class GrpcExchange {
 public:
  // Where the answer goes. Lives as long as an exchange refers to it; all on one thread, so the count is a plain one.
  class Sink {
   public:
    virtual void Answer(const GrpcReply& reply) = 0;
    // Finds room for an answer of `bytes`; sending it gives that back.
    virtual Result<void> Hold(std::size_t bytes) = 0;
    // The exchange was destroyed unanswered.
    virtual void Abandon() = 0;

    void AddReference() { ++references_; }
    void RemoveReference() {
      if (--references_ == 0) Release();
    }

   protected:
    virtual ~Sink() = default;
    // Nothing refers to it any more.
    virtual void Release() = 0;

   private:
    std::uint32_t references_ = 0;
  };

  explicit GrpcExchange(Sink& sink) : sink_(&sink) { sink.AddReference(); }
  GrpcExchange(GrpcExchange&& other) noexcept : sink_(std::exchange(other.sink_, nullptr)) {}
  GrpcExchange& operator=(GrpcExchange&&) = delete;
  ~GrpcExchange() {
    if (sink_ == nullptr) return;
    sink_->Abandon();
    sink_->RemoveReference();
  }

  // Once.
  void Send(const GrpcReply& reply) {
    Sink* const sink = std::exchange(sink_, nullptr);
    sink->Answer(reply);
    sink->RemoveReference();
  }
  // The answer may have `bytes`: they count as held by the server from here on. May be called again with more.
  // OVERLOADED when the server holds too much already, INVALID_ARGUMENT when no answer may be that large.
  Result<void> Hold(std::size_t bytes) { return sink_->Hold(bytes); }

 private:
  Sink* sink_;
};

// The answers of a streaming call, of which there may be any number. On its loop's thread.
class GrpcStream {
 public:
  // What a stream keeps unsent before it takes no more; the last message may exceed it.
  static constexpr std::size_t kUnsentBytesMax = 64 << 10;

  // Before anything else; of `reply` what a beginning has.
  virtual void Begin(const GrpcReply& reply) = 0;
  // False: the client does not keep up, nothing was taken, and the source's OnRoom will be called.
  [[nodiscard]] virtual bool Write(std::string_view message) = 0;
  // After what was written. The source is destroyed later, not during the call.
  virtual void End(const GrpcReply& reply) = 0;

 protected:
  ~GrpcStream() = default;
};

// What feeds a stream. Destroyed when that is over, for whatever reason: ended, cancelled, the connection gone, the
// client too slow (it has taken nothing for kStreamPatience times write_timeout). Called on the loop's thread.
class GrpcSource {
 public:
  virtual ~GrpcSource() = default;
  // The client's messages, one after the other, and that there are no more.
  virtual void OnMessage(std::string_view message) = 0;
  virtual void OnClientEnd() = 0;
  // After Write has refused: there is room again.
  virtual void OnRoom() = 0;
  // Nothing happens until the client sends a message: whoever sends none for write_timeout is ended.
  virtual bool AwaitsMessage() const = 0;
  // The client has broken a rule of calls: End with `error`.
  virtual void OnFault(const Error& error) = 0;
  // The server stops: say good-bye and End.
  virtual void OnDrain() = 0;
};

// How a method is called.
enum class GrpcMethodKind : std::uint8_t {
  kUnary,          // also a path of no known method
  kStream,         // with a stream on either side
  kKeylessStream,  // the same for whoever comes: a connection may have a few
};

// What a server does with calls. One for each loop, called on that loop's thread.
class GrpcHandler {
 public:
  virtual ~GrpcHandler() = default;
  virtual GrpcMethodKind KindOf(std::string_view path) const = 0;
  // Of a unary call whose message is not whole yet: whether an account of ours makes it, or its method needs none and
  // it is one of a few. UNAUTHENTICATED, NOT_IMPLEMENTED.
  enum class Waiter : std::uint8_t { kCaller, kAnybody };
  virtual Result<Waiter> WhoWaits(const GrpcRequest& known) = 0;
  // Answers a unary call, or one of no known method, now or later through `exchange`.
  virtual void Handle(const GrpcRequest& request, GrpcExchange exchange) = 0;
  // A streaming call whose head has arrived. Null: it has been ended already. `stream` outlives the source.
  virtual std::unique_ptr<GrpcSource> Open(const GrpcRequest& request, GrpcStream& stream) = 0;
  // Answers a call that could not be taken up. `known` has its path and metadata.
  virtual void Reject(const Error& error, const GrpcRequest& known, GrpcExchange exchange) = 0;
  // About every 100 ms.
  virtual void Tick() = 0;
};

}  // namespace muster
