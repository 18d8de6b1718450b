#include "api/h2_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/connection_bounds.h"
#include "api/grpc_status.h"
#include "api/h2_connection.h"
#include "api/h2_loop.h"
#include "api/h2_session.h"
#include "api/http_text.h"
#include "base/check.h"

namespace muster {

namespace {

// What an open stream takes beside its bytes, about: with nghttp2's part of it, and the source of a health watcher.
constexpr std::size_t kStreamBytes = 1536;

// What a stream keeps for its next life.
constexpr std::size_t kRetainedStreamBytesMax = 4 << 10;

constexpr std::string_view kGrpcType = "application/grpc";

void Empty(std::string& buffer) {
  if (buffer.capacity() > kRetainedStreamBytesMax) {
    std::string().swap(buffer);  // assigning would keep the memory
  } else {
    buffer.clear();
  }
}

// The length of a field's name is nearly a perfect hash of those that are read here.
int FieldOf(std::string_view name) {
  const auto is = [name](std::string_view known, H2Field field) {
    return name == known ? static_cast<int>(field) : -1;
  };
  switch (name.size()) {
    case 5:
      return is(":path", H2Field::kPath);
    case 7:
      return is(":method", H2Field::kMethod);
    case 10:
      return is("request-id", H2Field::kRequestId);
    case 11:
      return is("traceparent", H2Field::kTraceParent);
    case 12:
      return name == "content-type" ? static_cast<int>(H2Field::kContentType) : is("grpc-timeout", H2Field::kTimeout);
    case 13:
      return name == "authorization" ? static_cast<int>(H2Field::kAuthorization)
                                     : is("grpc-encoding", H2Field::kEncoding);
    case 15:
      return is("idempotency-key", H2Field::kIdempotencyKey);
    case 20:
      return is("grpc-accept-encoding", H2Field::kAcceptEncoding);
    default:
      return -1;
  }
}

std::uint32_t LengthOf(std::string_view prefix) {
  std::uint32_t length = 0;
  for (std::size_t i = 1; i < kGrpcPrefixBytes; ++i) length = length << 8 | static_cast<unsigned char>(prefix[i]);
  return length;
}

bool IsGrpcType(std::string_view type) {
  if (!type.starts_with(kGrpcType)) return false;
  type.remove_prefix(kGrpcType.size());
  return type.empty() || type == "+proto" || type.starts_with(';') || type.starts_with("+proto;");
}

}  // namespace

H2Stream::~H2Stream() { MUSTER_CHECK(connection_ == nullptr); }

void H2Stream::Attach(H2Connection& connection, std::int32_t id) {
  connection_ = &connection;
  id_ = id;
  is_head_whole_ = is_streaming_ = is_keyless_ = is_whole_ = is_under_way_ = is_answered_ = is_deferred_ = false;
  has_head_ = packs_ = wants_room_ = told_end_ = is_too_large_ = is_plain_ = was_reset_ = false;
  fields_ = {};
  head_bytes_ = 0;
  Empty(head_);
  Empty(body_);
  Empty(output_);
  sent_ = held_bytes_ = counted_bytes_ = 0;
  status_ = 0;
  Recount();
}

std::string_view H2Stream::Field(H2Field field) const {
  const Place& place = fields_[static_cast<std::size_t>(field)];
  return std::string_view(head_).substr(place.begin, place.size);
}

GrpcRequest H2Stream::Known() const {
  return {.path = Field(H2Field::kPath),
          .metadata = {.authorization = Field(H2Field::kAuthorization),
                       .timeout = Field(H2Field::kTimeout),
                       .request_id = Field(H2Field::kRequestId),
                       .trace_parent = Field(H2Field::kTraceParent),
                       .idempotency_key = Field(H2Field::kIdempotencyKey),
                       .idempotency_keys = fields_[static_cast<std::size_t>(H2Field::kIdempotencyKey)].count}};
}

void H2Stream::TakeField(std::string_view name, std::string_view value) {
  constexpr std::size_t kFieldOverheadBytes = 32;  // RFC 9113 section 6.5.2
  head_bytes_ += name.size() + value.size() + kFieldOverheadBytes;
  is_too_large_ = head_bytes_ > static_cast<std::size_t>(loop_.options().header_bytes_max);
  const int field = FieldOf(name);
  if (field < 0 || is_too_large_) return;
  Place& place = fields_[static_cast<std::size_t>(field)];
  if (place.count++ != 0) return;  // the first one counts
  value = TrimWhiteSpace(value);
  place.begin = static_cast<std::uint32_t>(head_.size());
  place.size = static_cast<std::uint32_t>(value.size());
  head_.append(value);
}

void H2Stream::EndHead(bool is_last) {
  is_head_whole_ = true;
  is_whole_ = is_last;
  moved_at_ = received_at_ = loop_.now();
  due_ = moved_at_ + std::min(ParseGrpcTimeout(Field(H2Field::kTimeout)).value_or(patience()), patience());
  if (is_too_large_) {
    const std::string most = std::to_string(loop_.options().header_bytes_max);
    Reject(
        {.reason = Reason::kHeadersTooLarge, .message = "the metadata is larger than " + most + " bytes; send less"});
  } else if (Field(H2Field::kMethod) != "POST" || !IsGrpcType(Field(H2Field::kContentType))) {
    is_plain_ = true;  // answered when it has ended
  } else if (fields_[static_cast<std::size_t>(H2Field::kAuthorization)].count > 1) {
    Reject({.reason = Reason::kInvalidArgument, .message = "authorization is there twice: send one"});
  } else if (const auto kind = loop_.handler().KindOf(Field(H2Field::kPath)); kind != GrpcMethodKind::kUnary) {
    OpenSource(kind);
  }
  Recount();
  if (is_last) return EndRequest();
  if (!is_streaming_) connection_->OnUnfinished(id_);
}

void H2Stream::CheckWaiting() {
  // What is there of a head says nothing: the key may be in the rest.
  if (!is_head_whole_ || is_whole_ || is_answered_ || is_streaming_) return;
  if (is_plain_) {
    is_keyless_ = connection_->AddKeylessStream();
    if (!is_keyless_) Handle();
    return;
  }
  const Result<GrpcHandler::Waiter> waiter = loop_.handler().WhoWaits(Known());
  if (!waiter) return Reject(waiter.error());
  if (*waiter == GrpcHandler::Waiter::kAnybody) TakeKeylessPlace();
}

bool H2Stream::TakeKeylessPlace() {
  is_keyless_ = connection_->AddKeylessStream();
  if (is_keyless_) return true;
  Reject({.reason = Reason::kOverloaded,
          .message = "this connection has as many calls of health and reflection under way as it may (" +
                     std::to_string(H2Connection::kKeylessStreamsMax) + "); end one, or share it"});
  return false;
}

bool H2Stream::CheckEncoding() {
  const std::string_view encoding = Field(H2Field::kEncoding);
  if (!encoding.empty() && encoding != "identity" && encoding != "gzip") {
    Reject({.reason = Reason::kNotImplemented,
            .message = "messages are taken in the encodings identity and gzip; use one of them"});
    return false;
  }
  packs_ = encoding == "gzip" && Field(H2Field::kAcceptEncoding).contains("gzip");
  return true;
}

void H2Stream::TakeData(std::string_view bytes) {
  if (is_answered_ || is_plain_) return;
  received_at_ = loop_.now();
  body_.append(bytes);
  Recount();
  if (is_streaming_) return DeliverMessages();
  if (!CheckPrefix(body_)) return;
  if (loop_.crowded() && body_.size() > kSmallRequestBytes) {
    Reject({.reason = Reason::kOverloaded,
            .message = "the server holds as much of other requests as it may; try again later"});
  }
}

// Refuses a message that is too large before it is there, and bytes behind the one message of a unary call.
bool H2Stream::CheckPrefix(std::string_view received) {
  if (received.size() < kGrpcPrefixBytes) return true;
  const std::size_t length = LengthOf(received);
  const auto most = static_cast<std::size_t>(loop_.options().message_bytes_max);
  if (length > most) {
    Reject({.reason = Reason::kBodyTooLarge,
            .message = "the message is larger than " + std::to_string(most) + " bytes; send less"});
    return false;
  }
  if (is_streaming_ || received.size() <= kGrpcPrefixBytes + length) return true;
  Reject({.reason = Reason::kInvalidArgument, .message = "this method takes one message, and more were sent"});
  return false;
}

void H2Stream::EndRequest() {
  is_whole_ = true;
  began_ = loop_.now();
  if (is_answered_) return;
  if (is_streaming_) return DeliverMessages();
  connection_->OnWhole(*this);
}

void H2Stream::Handle() {
  if (is_plain_) {
    if (Field(H2Field::kMethod) != "POST") return RejectHttp("405", "This port serves gRPC calls, which are POSTs.\n");
    return RejectHttp("415", "This port serves gRPC calls, whose content-type is application/grpc.\n");
  }
  if (!CheckEncoding()) return;
  if (body_.size() < kGrpcPrefixBytes || body_.size() != kGrpcPrefixBytes + LengthOf(body_)) {
    return Reject({.reason = Reason::kInvalidArgument, .message = "the call ended before its message was whole"});
  }
  const Result<std::string_view> message = Unpacked(body_);
  if (!message) return Reject(message.error());
  GrpcRequest request = Known();
  request.message = *message;
  request.crowded = loop_.crowded();
  is_under_way_ = true;
  connection_->ChangeUnderWay(1);
  loop_.handler().Handle(request, GrpcExchange(*this));
  if (is_answered_) return;
  Empty(body_);
  Recount();
}

Result<std::string_view> H2Stream::Unpacked(std::string_view framed) {
  const char flag = framed[0];
  const std::string_view message = framed.substr(kGrpcPrefixBytes);
  if (flag == 0) return message;
  if (flag != 1 || Field(H2Field::kEncoding) != "gzip") {
    return Fail(Reason::kInvalidArgument, "a message is marked as packed, and the call names no encoding");
  }
  return loop_.gzip().Unpack(message, static_cast<std::size_t>(loop_.options().message_bytes_max));
}

void H2Stream::Reject(const Error& error) {
  if (is_answered_) return;
  if (source_ != nullptr) return source_->OnFault(error);
  loop_.handler().Reject(error, Known(), GrpcExchange(*this));
}

void H2Stream::RejectHttp(std::string_view status, std::string_view text) {
  const std::array<H2Header, 3> headers = {{{":status", status}, {"content-type", "text/plain"}, {"allow", "POST"}}};
  is_answered_ = has_head_ = true;
  output_.assign(text);
  moved_at_ = loop_.now();
  connection_->ChangeUnsent(static_cast<std::int64_t>(text.size()));
  Recount();
  connection_->session().SubmitHead(*this, headers, false);
  connection_->OnOutput();
}

void H2Stream::OpenSource(GrpcMethodKind kind) {
  is_streaming_ = true;
  connection_->OnStreaming();
  if (!CheckEncoding()) return;
  if (kind == GrpcMethodKind::kKeylessStream && !TakeKeylessPlace()) return;
  GrpcRequest request = Known();
  request.crowded = loop_.crowded();
  source_ = loop_.handler().Open(request, *this);
}

// Whole messages go to the source one by one, while it keeps up with their answers and the connection has time.
void H2Stream::DeliverMessages() {
  std::size_t done = 0;
  while (!is_answered_ && !wants_room_ && unsent_bytes() < kUnsentBytesMax) {
    const std::string_view rest = std::string_view(body_).substr(done);
    if (!CheckPrefix(rest)) return;
    if (rest.size() < kGrpcPrefixBytes || rest.size() < kGrpcPrefixBytes + LengthOf(rest)) break;
    if (done > 0 && !connection_->HasTime()) break;
    const std::size_t size = kGrpcPrefixBytes + LengthOf(rest);
    const Result<std::string_view> message = Unpacked(rest.substr(0, size));
    if (!message) return Reject(message.error());
    due_ = loop_.now() + patience();
    source_->OnMessage(*message);
    done += size;
  }
  body_.erase(0, done);
  if (is_answered_) {
    Empty(body_);
  } else if (body_.size() > kGrpcPrefixBytes + static_cast<std::size_t>(loop_.options().message_bytes_max)) {
    Reject({.reason = Reason::kOverloaded, .message = "more was sent than is read; read the answers first"});
  } else if (is_whole_ && !told_end_ && !wants_room_ && unsent_bytes() < kUnsentBytesMax) {
    told_end_ = true;
    source_->OnClientEnd();
  }
  if (connection_ != nullptr) Recount();
}

void H2Stream::Recount() {
  const std::size_t bytes = kStreamBytes + head_.size() + body_.size() + unsent_bytes() + held_bytes_;
  connection_->Account(static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(counted_bytes_));
  counted_bytes_ = bytes;
}

Duration H2Stream::patience() const { return std::chrono::milliseconds(loop_.options().write_timeout_ms); }

bool H2Stream::AwaitsClient() const {
  if (!is_head_whole_ || is_whole_ || is_answered_) return false;  // for a head the connection waits
  // What a stream has received may wait until its answers are taken.
  return !is_streaming_ || (unsent_bytes() == 0 && source_ != nullptr && source_->AwaitsMessage());
}

bool H2Stream::IsStalledAt(Instant now) const {
  if (AwaitsClient()) return now >= due_;
  return unsent_bytes() > 0 && now - moved_at_ >= patience() * (is_streaming_ ? kStreamPatience : 1);
}

bool H2Stream::HasWaitedSince(Instant since) const {
  return AwaitsClient() ? received_at_ <= since : unsent_bytes() > 0 && moved_at_ <= since;
}

void H2Stream::GiveUp() {
  // Of what was begun the rest cannot be taken back, so there is no room for a status.
  const auto code = is_streaming_ ? H2Session::ErrorCode::kCalm : H2Session::ErrorCode::kCancel;
  if (!AwaitsClient()) return connection_->session().SubmitReset(id_, code);
  Reject({.reason = Reason::kDeadlineExceeded,
          .message = is_streaming_ ? "no message came in time; call again when there is one to send"
                                   : "the deadline passed before the call was whole"});
}

void H2Stream::Drain() {
  if (source_ != nullptr && !is_answered_) source_->OnDrain();
}

void H2Stream::Close() {
  if (!is_streaming_) connection_->ChangeUnsent(-static_cast<std::int64_t>(unsent_bytes()));
  held_bytes_ = sent_ = 0;
  Empty(body_);
  Empty(output_);
  connection_->Account(-static_cast<std::int64_t>(std::exchange(counted_bytes_, 0)));
  EndUnderWay();
  connection_ = nullptr;
  source_.reset();
}

void H2Stream::EndUnderWay() {
  if (std::exchange(is_under_way_, false)) connection_->ChangeUnderWay(-1);
}

void H2Stream::Release() { loop_.GiveStream(*this); }

}  // namespace muster
