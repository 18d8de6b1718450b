#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct nghttp2_hd_inflater;

namespace muster {

// A blocking HTTP/2 client of tests that sends exactly the frames it is told. Every wait has a deadline; passing it
// fails the test.
class H2TestClient {
 public:
  enum Type : std::uint8_t {
    kData = 0,
    kHeaders = 1,
    kPriority = 2,
    kReset = 3,
    kSettings = 4,
    kPing = 6,
    kGoAway = 7,
    kWindowUpdate = 8,
    kContinuation = 9
  };
  static constexpr std::uint8_t kEndStream = 1;
  static constexpr std::uint8_t kAck = 1;
  static constexpr std::uint8_t kEndHeaders = 4;

  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Frame {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;
    std::string payload;
    Fields fields;  // of HEADERS
    std::uint32_t Number(std::size_t at) const;
  };
  // What one call was answered.
  struct Outcome {
    std::map<std::string, std::string> head;
    std::map<std::string, std::string> trailers;  // the head's, when that is all there is
    std::vector<std::string> messages;            // without their prefixes, as sent
    std::optional<std::uint32_t> reset;
    std::string status() const {
      const auto found = trailers.find("grpc-status");
      return found == trailers.end() ? "none" : found->second;
    }
  };

  // Greets with `settings` (of six bytes each), unless it is told not to.
  explicit H2TestClient(const std::string& address, std::string_view settings = {}, bool greets = true,
                        int receive_buffer_bytes = 0);
  ~H2TestClient();
  H2TestClient(const H2TestClient&) = delete;

  static std::string Setting(std::uint16_t name, std::uint32_t value);
  static std::string Number(std::uint32_t value);
  // A header block without compression.
  static std::string Block(const Fields& fields);
  static std::string FrameOf(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
  // A gRPC message with its prefix.
  static std::string Message(std::string_view bytes, char flag = 0);
  static Fields HeadOf(std::string_view path, const Fields& more = {});

  // False: the server has closed.
  bool Send(std::string_view bytes) const;
  bool SendFrame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) const {
    return Send(FrameOf(type, flags, stream, payload));
  }
  // A whole unary call, sent at once; answers its stream.
  std::uint32_t Call(std::string_view path, std::string_view message, const Fields& more = {});
  // The number of a call whose frames the test makes itself.
  std::uint32_t TakeStream() { return std::exchange(next_stream_, next_stream_ + 2); }
  // Its head only.
  std::uint32_t Open(std::string_view path, const Fields& more = {}, std::uint8_t flags = kEndHeaders);

  // The next frame; nothing when the connection ends before it.
  std::optional<Frame> Next();
  // The next frame of that type; others are dropped.
  std::optional<Frame> NextOf(std::uint8_t type);
  // What `stream` is answered; frames of other streams are kept for their own Await.
  Outcome Await(std::uint32_t stream);
  // The next DATA of a stream, in which there is one message.
  std::string AwaitMessage(std::uint32_t stream);
  // Whether the server closes, after any frames.
  bool AwaitEnd();
  // Gives the server window on a stream and the connection.
  void Allow(std::uint32_t stream, std::uint32_t bytes) const;

 private:
  bool ReceiveSome();
  void Decode(Frame& frame);

  int socket_ = -1;
  std::uint32_t next_stream_ = 1;
  std::string received_;
  std::vector<Frame> kept_;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

}  // namespace muster
