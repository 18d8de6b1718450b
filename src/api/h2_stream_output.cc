#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "api/grpc_status.h"
#include "api/h2_connection.h"
#include "api/h2_loop.h"
#include "api/h2_session.h"
#include "api/h2_stream.h"

// What a stream answers.

namespace muster {

namespace {

// A message shorter than this does not get shorter by packing.
constexpr std::size_t kPackedBytesMin = 128;

// Where the fields of one header block are gathered.
struct Headers {
  std::array<H2Header, 10> fields;
  std::size_t count = 0;

  void Add(std::string_view name, std::string_view value, bool varies = false) {
    fields[count++] = {name, value, varies};
  }
  std::span<const H2Header> all() const { return std::span(fields).first(count); }
};

// Codes have one or two digits.
std::string_view StatusText(int status) {
  static constexpr std::array<std::string_view, 17> kTexts = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                              "9", "10", "11", "12", "13", "14", "15", "16"};
  return kTexts[static_cast<std::size_t>(status)];
}

}  // namespace

void H2Stream::Answer(const GrpcReply& reply) {
  if (connection_ == nullptr || is_answered_) return;
  if (has_head_) return End(reply);
  is_answered_ = true;
  EndUnderWay();
  held_bytes_ = 0;
  body_.clear();
  status_ = reply.status;
  loop_.metrics().CountAnswer(reply.http_status, is_whole_ ? loop_.ReadClock() - began_ : Duration(0));
  if (status_ == 0) {
    AppendMessage(reply.message);
    SubmitHead(reply, false);
  } else {
    // Of an error the head is all there is.
    status_message_.assign(reply.status_message);
    status_details_.clear();
    AppendBase64(status_details_, reply.status_details);
    SubmitHead(reply, true);
  }
  Recount();
  connection_->OnOutput();
}

Result<void> H2Stream::Hold(std::size_t bytes) {
  if (connection_ == nullptr) return Fail(Reason::kOverloaded, "the call was cancelled");  // nobody waits for it
  if (bytes <= held_bytes_) return {};
  MUSTER_TRY(loop_.FindRoom(bytes, bytes - held_bytes_));
  held_bytes_ = bytes;
  Recount();
  return {};
}

void H2Stream::Abandon() {
  if (connection_ == nullptr) return;
  loop_.handler().Reject({.reason = Reason::kInternal, .message = "the request was dropped without an answer"}, Known(),
                         GrpcExchange(*this));
}

void H2Stream::AppendMessage(std::string_view message) {
  if (output_.empty()) moved_at_ = loop_.now();
  const std::size_t begin = output_.size();
  const bool packs = packs_ && message.size() >= kPackedBytesMin;
  output_.append(kGrpcPrefixBytes, '\0');
  if (packs) {
    loop_.gzip().Pack(message, output_);
  } else {
    output_.append(message);
  }
  const std::size_t length = output_.size() - begin - kGrpcPrefixBytes;
  char* const prefix = output_.data() + begin;
  prefix[0] = packs ? 1 : 0;
  if (!is_streaming_) connection_->ChangeUnsent(static_cast<std::int64_t>(output_.size() - begin));
  for (std::size_t i = 0; i < 4; ++i) prefix[1 + i] = static_cast<char>(length >> (24 - 8 * i));
}

void H2Stream::SubmitHead(const GrpcReply& reply, bool is_only) {
  has_head_ = true;
  Headers headers;
  headers.Add(":status", "200");
  headers.Add("content-type", "application/grpc");
  headers.Add("grpc-accept-encoding", "identity,gzip");
  if (packs_ && !is_only) headers.Add("grpc-encoding", "gzip");
  headers.Add("request-id", reply.request_id, true);
  if (!reply.trace_parent.empty()) headers.Add("traceparent", reply.trace_parent, true);
  char digits[20];
  if (!reply.source.empty()) {
    headers.Add("x-muster-source", reply.source);
    const auto end = std::to_chars(digits, digits + sizeof digits, reply.age_ms).ptr;
    headers.Add("x-muster-age-ms", reply.age_ms == 0 ? "0" : std::string_view(digits, end), reply.age_ms != 0);
  }
  if (reply.is_replayed) headers.Add("idempotent-replayed", "true");
  if (is_only) {
    headers.Add("grpc-status", StatusText(status_));
    headers.Add("grpc-message", status_message_, true);
    headers.Add("grpc-status-details-bin", status_details_, true);
  }
  connection_->session().SubmitHead(*this, headers.all(), is_only);
}

H2Stream::Fill H2Stream::TakeOutput(std::span<char> to, std::size_t& count) {
  count = std::min(to.size(), unsent_bytes());
  if (count == 0 && !is_answered_) {
    is_deferred_ = true;
    return Fill::kNothingNow;
  }
  std::memcpy(to.data(), output_.data() + sent_, count);
  sent_ += count;
  moved_at_ = loop_.now();
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
    if (is_streaming_) due_ = moved_at_ + patience();
  } else if (sent_ >= kUnsentBytesMax && is_streaming_) {
    output_.erase(0, std::exchange(sent_, 0));
  }
  if (!is_streaming_) connection_->ChangeUnsent(-static_cast<std::int64_t>(count));
  Recount();
  if (!is_answered_ || unsent_bytes() > 0) return Fill::kMore;
  return is_plain_ ? Fill::kLastWithoutTrailers : Fill::kLast;
}

void H2Stream::SubmitTrailers() {
  Headers trailers;
  trailers.Add("grpc-status", StatusText(status_));
  if (status_ != 0) {
    trailers.Add("grpc-message", status_message_, true);
    trailers.Add("grpc-status-details-bin", status_details_, true);
  }
  connection_->session().SubmitTrailers(id_, trailers.all());
}

// The source may write again; then messages that had to wait are its.
void H2Stream::Feed() {
  if (source_ == nullptr || is_answered_ || unsent_bytes() >= kUnsentBytesMax) return;
  if (std::exchange(wants_room_, false)) source_->OnRoom();
  if (connection_ != nullptr) DeliverMessages();
}

void H2Stream::Begin(const GrpcReply& reply) { SubmitHead(reply, false); }

bool H2Stream::Write(std::string_view message) {
  if (connection_ == nullptr) return true;  // and it will be told so
  if (unsent_bytes() >= kUnsentBytesMax) {
    wants_room_ = true;
    return false;
  }
  AppendMessage(message);
  Recount();
  if (std::exchange(is_deferred_, false)) connection_->session().Resume(id_);
  connection_->OnOutput();
  return true;
}

void H2Stream::End(const GrpcReply& reply) {
  if (connection_ == nullptr || is_answered_) return;
  is_answered_ = true;
  status_ = reply.status;
  status_message_.assign(reply.status_message);
  status_details_.clear();
  AppendBase64(status_details_, reply.status_details);
  if (std::exchange(is_deferred_, false)) connection_->session().Resume(id_);
  connection_->OnOutput();
}

}  // namespace muster
