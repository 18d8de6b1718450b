#include "api/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "api/h2_connection.h"
#include "api/h2_stream.h"
#include "base/check.h"

namespace muster {

namespace {

// More in a SETTINGS frame are an attack.
constexpr std::size_t kSettingsMax = 32;
constexpr std::size_t kContinuationsMax = 8;
// How much may be under way to this server on one connection; its streams have the default of 64 KiB each.
constexpr std::int32_t kConnectionWindowBytes = 1 << 20;

constexpr std::size_t kHeadersMax = 10;
constexpr std::array<std::uint8_t, 8> kDrainPing = {'d', 'r', 'a', 'i', 'n', 0, 0, 0};

H2Connection& ConnectionOf(void* user_data) { return *static_cast<H2Connection*>(user_data); }

H2Stream* StreamOf(nghttp2_session* session, std::int32_t id) {
  return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

std::string_view TextOf(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

std::uint8_t* BytesOf(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 only reads them
}

// A frame's head (RFC 9113 section 4.1): length (3 bytes), type, flags, stream (4 bytes).

constexpr std::size_t kResetBytes = 4;

std::uint32_t NumberOf(std::string_view bytes) {
  std::uint32_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

std::size_t FrameLengthOf(std::string_view head) { return NumberOf(head.substr(0, 3)); }

bool IsReset(std::string_view head) { return head[3] == NGHTTP2_RST_STREAM && FrameLengthOf(head) == kResetBytes; }

bool IsOfBlock(std::string_view head) { return head[3] == NGHTTP2_HEADERS || head[3] == NGHTTP2_CONTINUATION; }

std::int32_t StreamIdOf(std::string_view head) {
  return static_cast<std::int32_t>(NumberOf(head.substr(5)) & INT32_MAX);
}

// The fields of a header block in nghttp2's form; answers how many.
std::size_t Convert(std::span<const H2Header> headers, std::array<nghttp2_nv, kHeadersMax>& out) {
  MUSTER_CHECK(headers.size() <= out.size());
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const H2Header& header = headers[i];
    // Names and values that do not vary are literals, which stay.
    const int flags = header.varies ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX
                                    : NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    out[i] = {.name = BytesOf(header.name),
              .value = BytesOf(header.value),
              .namelen = header.name.size(),
              .valuelen = header.value.size(),
              .flags = static_cast<std::uint8_t>(flags)};
  }
  return headers.size();
}

}  // namespace

struct H2Callbacks {
  // A session that keeps no closed streams does not know that a frame is for one of them.
  static int OnBeginFrame(nghttp2_session* session, const nghttp2_frame_hd* head, void* user_data) {
    const bool opens_or_fills = head->type == NGHTTP2_HEADERS || head->type == NGHTTP2_DATA;
    if (opens_or_fills && StreamOf(session, head->stream_id) == nullptr) {
      ConnectionOf(user_data).OnStreamless(head->stream_id);
    }
    return 0;
  }

  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    H2Connection& connection = ConnectionOf(user_data);
    connection.OnBlockBegin();
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    H2Stream& stream = connection.OnStreamBegin(frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, &stream);
    return 0;
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                      void* user_data) {
    H2Stream* const stream = StreamOf(session, frame->hd.stream_id);
    ConnectionOf(user_data).OnField(stream, frame->headers.cat == NGHTTP2_HCAT_REQUEST, TextOf(name, name_size),
                                    TextOf(value, value_size));
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    H2Connection& connection = ConnectionOf(user_data);
    const bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (H2Stream* const stream = StreamOf(session, frame->hd.stream_id); stream != nullptr) {
          if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            stream->EndHead(is_last);
          } else if (is_last) {
            stream->EndRequest();
          }
        }
        break;
      case NGHTTP2_DATA:
        if (!is_last) {
          if (frame->hd.length == 0) connection.OnIdleFrame();
        } else if (H2Stream* const stream = StreamOf(session, frame->hd.stream_id); stream != nullptr) {
          stream->EndRequest();
        }
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && std::ranges::equal(kDrainPing, frame->ping.opaque_data)) {
          connection.OnEndHeard();
        } else {
          connection.OnIdleFrame();  // a ping, or the answer to one that was never sent
        }
        break;
      case NGHTTP2_SETTINGS:
        connection.OnGreeted();
        connection.OnIdleFrame();
        break;
      case NGHTTP2_GOAWAY:
        connection.OnIdleFrame();
        break;
      case NGHTTP2_RST_STREAM:
        if (H2Stream* const stream = StreamOf(session, frame->hd.stream_id); stream != nullptr) stream->OnReset();
        connection.OnIdleFrame();
        break;
      case NGHTTP2_PRIORITY:
        connection.OnIdleFrame();
        break;
      default:
        break;
    }
    return 0;
  }

  static int OnData(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                    std::size_t size, void*) {
    if (H2Stream* const stream = StreamOf(session, id); stream != nullptr) stream->TakeData(TextOf(bytes, size));
    return 0;
  }

  static int OnStreamClose(nghttp2_session* session, std::int32_t id, std::uint32_t code, void* user_data) {
    H2Stream* const stream = StreamOf(session, id);
    if (stream != nullptr) ConnectionOf(user_data).OnStreamEnd(*stream, code == NGHTTP2_NO_ERROR);
    return 0;
  }

  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) {
    ConnectionOf(user_data).OnIdleFrame();
    if (frame->hd.type == NGHTTP2_HEADERS) ConnectionOf(user_data).Forgive(frame->hd.stream_id);
    return 0;
  }

  static int OnSent(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    const bool can_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (can_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      // A reset that is submitted earlier would overtake what ends the stream.
      H2Stream* const stream = StreamOf(session, frame->hd.stream_id);
      if (stream != nullptr && !stream->client_ended()) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
      }
    } else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.last_stream_id == INT32_MAX) {
      // Likewise a ping: its answer is to show that this was read.
      nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, kDrainPing.data());
    }
    return 0;
  }

  static ssize_t OnRead(nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t size, std::uint32_t* flags,
                        nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<H2Stream*>(source->ptr);
    std::size_t count = 0;
    switch (stream.TakeOutput({reinterpret_cast<char*>(buffer), size}, count)) {
      case H2Stream::Fill::kNothingNow:
        return NGHTTP2_ERR_DEFERRED;
      case H2Stream::Fill::kLast:
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        stream.SubmitTrailers();
        break;
      case H2Stream::Fill::kLastWithoutTrailers:
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        break;
      case H2Stream::Fill::kMore:
        break;
    }
    return static_cast<ssize_t>(count);
  }

  // Made once: both are read-only for sessions.
  static const nghttp2_session_callbacks* Get() {
    static const nghttp2_session_callbacks* const callbacks = [] {
      nghttp2_session_callbacks* made = nullptr;
      MUSTER_CHECK(nghttp2_session_callbacks_new(&made) == 0);
      nghttp2_session_callbacks_set_on_begin_frame_callback(made, OnBeginFrame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(made, OnBeginHeaders);
      nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
      nghttp2_session_callbacks_set_on_frame_send_callback(made, OnSent);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnData);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, OnStreamClose);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, OnInvalidFrame);
      return made;
    }();
    return callbacks;
  }
  static const nghttp2_option* Options() {
    static const nghttp2_option* const options = [] {
      nghttp2_option* made = nullptr;
      MUSTER_CHECK(nghttp2_option_new(&made) == 0);
      nghttp2_option_set_no_closed_streams(made, 1);
      // Clients on gRPC's C core send metadata as it was given to them.
      nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(made, 1);
      nghttp2_option_set_max_settings(made, kSettingsMax);
      nghttp2_option_set_max_continuations(made, kContinuationsMax);
      // H2FloodGate counts resets: it knows of a client that works, too, and says ENHANCE_YOUR_CALM.
      nghttp2_option_set_stream_reset_rate_limit(made, UINT64_MAX, UINT64_MAX);
      return made;
    }();
    return options;
  }
};

H2Session::H2Session(H2Connection& connection, std::uint32_t streams_max, std::uint32_t header_bytes_max)
    : connection_(connection) {
  MUSTER_CHECK(nghttp2_session_server_new2(&session_, H2Callbacks::Get(), &connection, H2Callbacks::Options()) == 0);
  const std::array<nghttp2_settings_entry, 2> settings = {{{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max},
                                                           {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_bytes_max}}};
  MUSTER_CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  MUSTER_CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindowBytes) == 0);
}

H2Session::~H2Session() { nghttp2_session_del(session_); }

bool H2Session::Pass(std::string_view bytes) {
  return bytes.empty() || nghttp2_session_mem_recv(session_, BytesOf(bytes), bytes.size()) >= 0;
}

std::size_t H2Session::SizeToPass(std::string_view bytes) {
  std::size_t size = 0;
  while (true) {
    const std::size_t count = std::min(passing_, bytes.size() - size);
    size += count;
    passing_ -= count;
    if (bytes.size() - size < kFrameHeadBytes) return size;
    const std::string_view head = bytes.substr(size, kFrameHeadBytes);
    if (IsReset(head)) return size;
    NoteBlock(head);
    passing_ = kFrameHeadBytes + FrameLengthOf(head);
  }
}

void H2Session::NoteBlock(std::string_view head) {
  is_in_block_frame_ = IsOfBlock(head);
  // Another frame within a block is an error of the connection.
  is_block_open_ = is_in_block_frame_ && (head[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
}

bool H2Session::TakeHeld() {
  const std::string_view head(held_.data(), std::exchange(held_size_, 0));
  const std::int32_t id = StreamIdOf(head);
  const bool is_unopened = id % 2 == 1 && id > nghttp2_session_get_last_proc_stream_id(session_);
  if (IsReset(head) && is_unopened && !in_block()) {
    dropping_ = kResetBytes;
    connection_.OnIdleFrame();
    return true;
  }
  NoteBlock(head);
  passing_ = FrameLengthOf(head);
  return Pass(head);
}

bool H2Session::Receive(std::string_view bytes) {
  while (!bytes.empty()) {
    if (dropping_ > 0) {
      const std::size_t count = std::min(dropping_, bytes.size());
      dropping_ -= count;
      bytes.remove_prefix(count);
      continue;
    }
    if (held_size_ == 0) {
      const std::size_t size = SizeToPass(bytes);
      if (!Pass(bytes.substr(0, size))) return false;
      bytes.remove_prefix(size);
      if (passing_ > 0) return true;
    }
    const std::size_t count = std::min(kFrameHeadBytes - held_size_, bytes.size());
    std::memcpy(held_.data() + held_size_, bytes.data(), count);
    held_size_ += count;
    bytes.remove_prefix(count);
    if (held_size_ == kFrameHeadBytes && !TakeHeld()) return false;
  }
  return true;
}

std::string_view H2Session::Gather(bool& failed) {
  const std::uint8_t* bytes = nullptr;
  const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
  failed = size < 0;
  return size > 0 ? TextOf(bytes, static_cast<std::size_t>(size)) : std::string_view();
}

bool H2Session::is_over() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

// What is submitted to a stream that has been closed meanwhile is refused, and that is all that should happen.

void H2Session::SubmitHead(H2Stream& stream, std::span<const H2Header> headers, bool is_only) {
  std::array<nghttp2_nv, kHeadersMax> fields;
  const std::size_t count = Convert(headers, fields);
  nghttp2_data_provider provider{.source = {.ptr = &stream}, .read_callback = H2Callbacks::OnRead};
  nghttp2_submit_response(session_, stream.id(), fields.data(), count, is_only ? nullptr : &provider);
}

void H2Session::SubmitTrailers(std::int32_t stream, std::span<const H2Header> headers) {
  std::array<nghttp2_nv, kHeadersMax> fields;
  nghttp2_submit_trailer(session_, stream, fields.data(), Convert(headers, fields));
}

void H2Session::SubmitReset(std::int32_t stream, ErrorCode code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, static_cast<std::uint32_t>(code));
}

void H2Session::Resume(std::int32_t stream) { nghttp2_session_resume_data(session_, stream); }

void H2Session::AnnounceEnd() { nghttp2_submit_shutdown_notice(session_); }

void H2Session::ConfirmEnd() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void H2Session::Terminate(ErrorCode code) {
  nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(code));
}

}  // namespace muster
