#include "bench/grpc_channel.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

// A client that reads everything at once has no use for flow control.
constexpr std::uint32_t kWindowBytes = 0x7fff0000;
constexpr std::size_t kWindowRenewedBytes = std::size_t{1} << 30;
constexpr std::uint32_t kStreamMax = 0x7fff0000;
constexpr std::size_t kBlockBytesMax = std::size_t{64} << 10;
constexpr std::int64_t kSendWindowBytes = 65'535;  // of a connection when it begins

enum Setting : std::uint32_t { kTableSize = 1, kConcurrentStreams = 3, kInitialWindow = 4 };
constexpr std::uint32_t kTableBytes = 4096;
constexpr std::uint32_t kCancel = 8;  // an error code

void AppendWindow(std::string& out, std::uint32_t bytes) {
  std::string increment;
  AppendH2Number(increment, bytes, 4);
  AppendH2Frame(out, {.type = H2FrameType::kWindowUpdate, .payload = increment});
}

// Without what HTTP/2 may put around it; false: that does not fit.
bool Unpad(const H2Frame& frame, std::string_view& block) {
  block = frame.payload;
  std::size_t padding = 0;
  if (frame.Has(kH2Padded)) {
    if (block.empty()) return false;
    padding = static_cast<unsigned char>(block[0]);
    block.remove_prefix(1);
  }
  const std::size_t priority = frame.Has(kH2Priority) ? 5 : 0;
  if (block.size() < priority + padding) return false;
  block.remove_prefix(priority);
  block.remove_suffix(padding);
  return true;
}

}  // namespace

GrpcChannel::GrpcChannel(std::string_view authority, std::string_view key, std::uint32_t streams)
    : streams_(streams), heads_(authority, key) {}

GrpcChannel::~GrpcChannel() = default;

void GrpcChannel::Begin(std::string& out) {
  MUSTER_CHECK(calls_.empty());
  heads_.Reset();
  outcome_.Reset();
  frames_ = H2FrameReader();
  block_.clear();
  block_stream_ = 0;
  next_stream_ = 1;
  streams_allowed_ = streams_;
  send_window_ = kSendWindowBytes;
  received_ = 0;
  is_leaving_ = false;
  out.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  std::string settings;
  AppendH2Number(settings, kInitialWindow, 2);
  AppendH2Number(settings, kWindowBytes, 4);
  AppendH2Frame(out, {.type = H2FrameType::kSettings, .payload = settings});
  AppendWindow(out, kWindowBytes);
}

bool GrpcChannel::has_room() const {
  return calls_.size() < std::min(streams_, streams_allowed_) && !is_leaving_ &&
         send_window_ >= static_cast<std::int64_t>(kGrpcMessageBytesMax);
}

void GrpcChannel::Append(std::string& out, const LoadCall& call, UnderWay request) {
  calls_.push_back({.stream = next_stream_, .request = request});
  head_.clear();
  heads_.Append(head_, call.verb);
  AppendH2Frame(out, {.type = H2FrameType::kHeaders, .flags = kH2EndHeaders, .stream = next_stream_, .payload = head_});
  message_.clear();
  AppendGrpcMessage(message_, call);
  AppendH2Frame(out, {.type = H2FrameType::kData, .flags = kH2EndStream, .stream = next_stream_, .payload = message_});
  send_window_ -= static_cast<std::int64_t>(message_.size());
  next_stream_ += 2;
  if (next_stream_ > kStreamMax) is_leaving_ = true;
}

bool GrpcChannel::Take(std::string_view input, BenchTime now, std::string& out, LoadAnswerSink& sink) {
  while (true) {
    H2Frame frame;
    switch (frames_.Take(input, frame)) {
      case H2FrameReader::State::kMore:
        // A connection that is left is closed when nothing is under way on it.
        return !is_leaving_ || !calls_.empty();
      case H2FrameReader::State::kMalformed:
        return false;
      case H2FrameReader::State::kFrame:
        if (!TakeFrame(frame, now, out, sink)) return false;
    }
  }
}

bool GrpcChannel::TakeFrame(const H2Frame& frame, BenchTime now, std::string& out, LoadAnswerSink& sink) {
  if (block_stream_ != 0 && frame.type != H2FrameType::kContinuation) return false;
  switch (frame.type) {
    case H2FrameType::kData:
      CountReceived(frame.payload.size(), out);
      if (frame.Has(kH2EndStream)) Answer(frame.stream, now, sink, false, "no grpc-status");
      return true;
    case H2FrameType::kHeaders:
    case H2FrameType::kContinuation:
      return TakeHeaders(frame, now, sink);
    case H2FrameType::kReset:
      Answer(frame.stream, now, sink, false, "reset");
      return true;
    case H2FrameType::kSettings:
      if (frame.Has(kH2Ack)) return true;
      AppendH2Frame(out, {.type = H2FrameType::kSettings, .flags = kH2Ack});
      return TakeSettings(frame.payload);
    case H2FrameType::kPing:
      if (!frame.Has(kH2Ack)) {
        AppendH2Frame(out, {.type = H2FrameType::kPing, .flags = kH2Ack, .payload = frame.payload});
      }
      return true;
    case H2FrameType::kGoAway:
      is_leaving_ = true;
      return true;
    case H2FrameType::kWindowUpdate:
      if (frame.stream == 0 && frame.payload.size() == 4) send_window_ += ReadH2Number(frame.payload);
      return true;
  }
  return true;  // of a type that is not known
}

bool GrpcChannel::TakeHeaders(const H2Frame& frame, BenchTime now, LoadAnswerSink& sink) {
  std::string_view block = frame.payload;
  if (frame.type == H2FrameType::kHeaders) {
    if (!Unpad(frame, block) || frame.stream == 0) return false;
    block_ends_stream_ = frame.Has(kH2EndStream);
  } else if (block_stream_ == 0 || frame.stream != block_stream_) {
    return false;
  }
  if (!frame.Has(kH2EndHeaders) || block_stream_ != 0) {
    block_.append(block);
    if (block_.size() > kBlockBytesMax) return false;
    block = block_;
  }
  if (!frame.Has(kH2EndHeaders)) {
    block_stream_ = frame.stream;
    return true;
  }
  const bool is_read = outcome_.Read(block);
  block_.clear();
  block_stream_ = 0;
  if (!is_read) return false;
  if (block_ends_stream_) {
    const bool is_success = outcome_.is_success();
    Answer(frame.stream, now, sink, is_success, is_success ? std::string_view() : outcome_.code());
  }
  return true;
}

bool GrpcChannel::TakeSettings(std::string_view payload) {
  constexpr std::size_t kSettingBytes = 6;
  if (payload.size() % kSettingBytes != 0) return false;
  for (; !payload.empty(); payload.remove_prefix(kSettingBytes)) {
    const std::uint32_t name = ReadH2Number(payload.substr(0, 2));
    const std::uint32_t value = ReadH2Number(payload.substr(2, 4));
    if (name == kTableSize && value < kTableBytes) return false;
    if (name == kInitialWindow && value < kGrpcMessageBytesMax) return false;
    if (name == kConcurrentStreams) streams_allowed_ = value;
  }
  return true;
}

void GrpcChannel::CountReceived(std::size_t bytes, std::string& out) {
  received_ += bytes;
  if (received_ < kWindowRenewedBytes) return;
  AppendWindow(out, static_cast<std::uint32_t>(received_));
  received_ = 0;
}

// There are few calls on a connection: looking at all of them is cheaper than finding one in a table.
void GrpcChannel::Answer(std::uint32_t stream, BenchTime now, LoadAnswerSink& sink, bool is_success,
                         std::string_view code) {
  const auto found = std::ranges::find(calls_, stream, &Call::stream);
  if (found == calls_.end()) return;
  const std::uint32_t token = found->request.token;
  *found = calls_.back();
  calls_.pop_back();
  sink.OnAnswer(
      {.token = token, .kind = LoadAnswer::Kind::kAnswered, .is_success = is_success, .code = code, .at = now});
}

bool GrpcChannel::GiveUpLate(BenchTime latest, BenchTime now, std::string& out, LoadAnswerSink& sink) {
  std::string code;
  AppendH2Number(code, kCancel, 4);
  for (std::size_t i = 0; i < calls_.size();) {
    const Call call = calls_[i];
    if (call.request.sent > latest) {
      ++i;
      continue;
    }
    AppendH2Frame(out, {.type = H2FrameType::kReset, .stream = call.stream, .payload = code});
    calls_[i] = calls_.back();
    calls_.pop_back();
    sink.OnAnswer(TimedOut(call.request, now));
  }
  return true;
}

LoadChannel::UnderWay GrpcChannel::Drop() {
  const UnderWay request = calls_.back().request;
  calls_.pop_back();
  return request;
}

Result<std::unique_ptr<LoadTransport>> MakeGrpcTransport(SocketTransport::Options options) {
  const std::string authority = options.target.host;
  const std::string key = options.key;
  const std::uint32_t depth = options.depth;
  return SocketTransport::Make(std::move(options),
                               [&] { return std::make_unique<GrpcChannel>(authority, key, depth); });
}

}  // namespace muster
