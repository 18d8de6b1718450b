#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/grpc.h"
#include "base/clock.h"

namespace muster {

class H2Connection;
class H2Loop;

// Header fields that a call is read by.
enum class H2Field : std::uint8_t {
  kPath,
  kMethod,
  kContentType,
  kAuthorization,
  kTimeout,
  kEncoding,
  kAcceptEncoding,
  kRequestId,
  kTraceParent,
  kIdempotencyKey,
};
inline constexpr std::size_t kH2FieldCount = static_cast<std::size_t>(H2Field::kIdempotencyKey) + 1;

// One call on its connection: the head and the messages as they arrive, the answer until it is sent.
//
//   receiving ──► whole, waits for room ──► handled ──► answered: leaves with the connection's output ──► closed
//       │                                                  ▲
//       └── cannot be taken up ────────────────────────────┘      (a streaming call is handled from its head on)
//
// Referred to by its connection until the stream is closed, and by an exchange until that is used; then used again by
// the loop. What it answers is in h2_stream_output.cc. One thread.
class H2Stream final : public GrpcExchange::Sink, public GrpcStream {
 public:
  explicit H2Stream(H2Loop& loop) : loop_(loop) {}
  ~H2Stream() override;

  // Begins a life.
  void Attach(H2Connection& connection, std::int32_t id);

  // What arrives.
  void TakeField(std::string_view name, std::string_view value);
  void EndHead(bool is_last);
  void TakeData(std::string_view bytes);
  void EndRequest();
  // Hands a whole unary call to the handler.
  void Handle();
  // The stream is gone.
  void Close();

  void OnReset() { was_reset_ = true; }

  // What leaves: fills `to` with what is unsent.
  enum class Fill : std::uint8_t { kMore, kLast, kLastWithoutTrailers, kNothingNow };
  Fill TakeOutput(std::span<char> to, std::size_t& count);
  // Submits what ends it, behind its messages.
  void SubmitTrailers();
  // After TakeOutput made room.
  void Feed();

  // Its client is to send something: the rest of a request, or a stream's next message.
  bool AwaitsClient() const;
  // It has waited for its client as long as it may: to send that, or to take the answer.
  bool IsStalledAt(Instant now) const;
  // It waits for its client, and nothing of it has come or gone since `since`.
  bool HasWaitedSince(Instant since) const;
  // At the end of what was received: what is not whole yet may have to wait for long, which not everybody may.
  void CheckWaiting();
  // It ends, one way or the other.
  void GiveUp();
  void Drain();

  void Answer(const GrpcReply& reply) override;
  Result<void> Hold(std::size_t bytes) override;
  void Abandon() override;

  void Begin(const GrpcReply& reply) override;
  bool Write(std::string_view message) override;
  void End(const GrpcReply& reply) override;

  std::int32_t id() const { return id_; }
  // The client may not send anything on it any more: it has said so, or has reset it.
  bool client_ended() const { return is_whole_ || was_reset_; }
  bool is_streaming() const { return is_streaming_; }
  bool is_keyless() const { return is_keyless_; }
  std::size_t unsent_bytes() const { return output_.size() - sent_; }
  std::size_t counted_bytes() const { return counted_bytes_; }
  // What it holds has changed.
  void Recount();

 private:
  friend H2Connection;

  std::string_view Field(H2Field field) const;
  Duration patience() const;
  GrpcRequest Known() const;
  void Release() override;
  void Reject(const Error& error);
  void RejectHttp(std::string_view status, std::string_view text);
  // Whether messages are in an encoding that is known here; rejects the call if not.
  bool CheckEncoding();
  bool CheckPrefix(std::string_view received);
  // False: it was refused.
  bool TakeKeylessPlace();
  Result<std::string_view> Unpacked(std::string_view framed);
  void OpenSource(GrpcMethodKind kind);
  void DeliverMessages();
  void AppendMessage(std::string_view message);
  void SubmitHead(const GrpcReply& reply, bool is_only);
  void EndUnderWay();

  struct Place {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
    std::uint32_t count = 0;  // how often it is there
  };

  H2Loop& loop_;
  H2Connection* connection_ = nullptr;  // null: closed
  std::int32_t id_ = 0;
  bool is_streaming_ = false;
  bool is_keyless_ = false;     // it has a place of H2Connection::AddKeylessStream
  bool is_whole_ = false;       // the client has sent all
  bool is_under_way_ = false;   // the handler has it, and the connection counts it
  bool is_answered_ = false;    // or ended
  bool is_deferred_ = false;    // output was asked for when there was none
  bool is_head_whole_ = false;  // of the call
  bool has_head_ = false;       // of the answer
  bool packs_ = false;          // messages leave as gzip
  bool wants_room_ = false;     // Write has refused
  bool told_end_ = false;       // the source knows that no message will come
  bool is_too_large_ = false;   // the head
  bool is_plain_ = false;       // no call: it is answered as HTTP
  bool was_reset_ = false;      // by the client
  std::array<Place, kH2FieldCount> fields_{};
  std::size_t head_bytes_ = 0;
  std::string head_;    // the values of fields_
  std::string body_;    // received and not handled
  std::string output_;  // messages with their prefixes
  std::size_t sent_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t counted_bytes_ = 0;  // what the connection knows of
  Instant began_;                  // when the request was whole
  Instant due_;                    // for the rest of the request, or a stream's next message
  Instant received_at_;            // when something of it last came
  Instant moved_at_;               // when output was last taken, or put to none
  int status_ = 0;
  std::string status_message_;
  std::string status_details_;  // base64
  std::unique_ptr<GrpcSource> source_;
  H2Stream* previous_ = nullptr;  // the connection's list
  H2Stream* next_ = nullptr;
};

}  // namespace muster
