#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

struct nghttp2_session;

namespace muster {

class H2Connection;
class H2Stream;

// One field of a header block to be sent. What varies from call to call is kept out of the compression table.
struct H2Header {
  std::string_view name;
  std::string_view value;
  bool varies = false;
};

// nghttp2's side of a connection: framing, HPACK, flow control, states of streams. It reports to the connection's
// On… methods from within Receive and Gather.
class H2Session {
 public:
  enum class ErrorCode : std::uint32_t {
    kNone = 0x0,
    kProtocol = 0x1,
    kInternal = 0x2,
    kStreamClosed = 0x5,
    kCancel = 0x8,
    kCalm = 0xb
  };

  // Greets.
  H2Session(H2Connection& connection, std::uint32_t streams_max, std::uint32_t header_bytes_max);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  // False: what came is not HTTP/2, or beyond repair.
  //
  // A reset of a stream that was never opened is dropped, and counted. RFC 9113 section 5.1 has the connection end with
  // it, as nghttp2 does. But clients on gRPC's C core send one when a call ends after it was given its number and
  // before its head is sent, and would lose all other calls of the connection; grpc++ servers take it, too.
  [[nodiscard]] bool Receive(std::string_view bytes);
  // The next frames to be sent; valid until the next call of anything. Empty: none. `failed`: the session is over.
  std::string_view Gather(bool& failed);
  // A head, or trailers, have begun to come and are not whole: no other frame may come within them. Whatever nghttp2
  // makes of them: one that it refuses, with its stream, ends as well.
  bool in_block() const { return is_block_open_ || (is_in_block_frame_ && passing_ > 0); }
  bool is_over() const;  // wants neither to read nor to send

  // `is_only`: without messages, the end of the stream.
  void SubmitHead(H2Stream& stream, std::span<const H2Header> headers, bool is_only);
  void SubmitTrailers(std::int32_t stream, std::span<const H2Header> headers);
  void SubmitReset(std::int32_t stream, ErrorCode code);
  // There is output again.
  void Resume(std::int32_t stream);

  // The two steps of a graceful end: "no more, please", with a ping whose answer shows that it was read, and then which
  // stream was the last.
  void AnnounceEnd();
  void ConfirmEnd();
  // The end for a client that misbehaves.
  void Terminate(ErrorCode code);

 private:
  friend struct H2Callbacks;

  static constexpr std::size_t kPrefaceBytes = 24;
  static constexpr std::size_t kFrameHeadBytes = 9;

  bool Pass(std::string_view bytes);
  // How much of `bytes` nghttp2 may have before a frame's head is to be looked at alone.
  std::size_t SizeToPass(std::string_view bytes);
  // Of each frame but those that are dropped.
  void NoteBlock(std::string_view head);
  // The head in `held_` is whole: passes it on, or has its frame dropped.
  bool TakeHeld();

  H2Connection& connection_;
  nghttp2_session* session_ = nullptr;
  std::size_t passing_ = kPrefaceBytes;  // of the frame that is being received, still to be passed on
  std::size_t dropping_ = 0;             // likewise, and dropped
  bool is_in_block_frame_ = false;       // that frame is HEADERS or CONTINUATION
  bool is_block_open_ = false;           // and says that another one follows
  std::array<char, kFrameHeadBytes> held_{};
  std::size_t held_size_ = 0;
};

}  // namespace muster
