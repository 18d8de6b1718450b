#include "api/h2_test_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

namespace muster {
namespace {

constexpr int kPatienceMs = 20'000;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kFrameHeadBytes = 9;

void AppendLength(std::string& out, std::size_t length) {
  // Seven bits without Huffman; beyond, the rest in groups of seven.
  if (length < 0x7f) {
    out.push_back(static_cast<char>(length));
    return;
  }
  out.push_back(0x7f);
  for (length -= 0x7f; length >= 0x80; length >>= 7) out.push_back(static_cast<char>(length | 0x80));
  out.push_back(static_cast<char>(length));
}

}  // namespace

std::uint32_t H2TestClient::Frame::Number(std::size_t at) const {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(payload.at(at + i));
  return number;
}

H2TestClient::H2TestClient(const std::string& address, std::string_view settings, bool greets,
                           int receive_buffer_bytes) {
  const std::size_t colon = address.rfind(':');
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  const timeval patience{.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0) << address;
  EXPECT_EQ(nghttp2_hd_inflate_new(&inflater_), 0);
  if (greets) Send(std::string(kPreface) + FrameOf(kSettings, 0, 0, settings));
}

H2TestClient::~H2TestClient() {
  nghttp2_hd_inflate_del(inflater_);
  close(socket_);
}

std::string H2TestClient::Setting(std::uint16_t name, std::uint32_t value) {
  return std::string({static_cast<char>(name >> 8), static_cast<char>(name)}) + Number(value);
}

std::string H2TestClient::Number(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

std::string H2TestClient::Block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out.push_back(0);  // literal, not indexed
    AppendLength(out, name.size());
    out += name;
    AppendLength(out, value.size());
    out += value;
  }
  return out;
}

std::string H2TestClient::FrameOf(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                                  std::string_view payload) {
  std::string out = Number(static_cast<std::uint32_t>(payload.size()) << 8 | type);
  out.push_back(static_cast<char>(flags));
  return out.append(Number(stream)).append(payload);
}

std::string H2TestClient::Message(std::string_view bytes, char flag) {
  return std::string(1, flag) + Number(static_cast<std::uint32_t>(bytes.size())) + std::string(bytes);
}

H2TestClient::Fields H2TestClient::HeadOf(std::string_view path, const Fields& more) {
  Fields fields = {{":method", "POST"},
                   {":scheme", "http"},
                   {":path", std::string(path)},
                   {":authority", "test"},
                   {"content-type", "application/grpc"},
                   {"te", "trailers"}};
  for (const auto& [name, value] : more) {
    const auto same = std::ranges::find(fields, name, &Fields::value_type::first);
    if (same != fields.end()) {
      same->second = value;
    } else {
      fields.emplace_back(name, value);
    }
  }
  return fields;
}

bool H2TestClient::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

std::uint32_t H2TestClient::Open(std::string_view path, const Fields& more, std::uint8_t flags) {
  const std::uint32_t stream = next_stream_;
  next_stream_ += 2;
  SendFrame(kHeaders, flags, stream, Block(HeadOf(path, more)));
  return stream;
}

std::uint32_t H2TestClient::Call(std::string_view path, std::string_view message, const Fields& more) {
  const std::uint32_t stream = next_stream_;
  next_stream_ += 2;
  Send(FrameOf(kHeaders, kEndHeaders, stream, Block(HeadOf(path, more))) +
       FrameOf(kData, kEndStream, stream, Message(message)));
  return stream;
}

bool H2TestClient::ReceiveSome() {
  pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, kPatienceMs) != 1) {
    ADD_FAILURE() << "the server sends nothing";
    return false;
  }
  char buffer[64 << 10];
  const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
  if (count <= 0) return false;
  received_.append(buffer, static_cast<std::size_t>(count));
  return true;
}

std::optional<H2TestClient::Frame> H2TestClient::Next() {
  const auto size = [this] {
    if (received_.size() < kFrameHeadBytes) return kFrameHeadBytes;
    const auto byte = [this](std::size_t i) { return std::size_t{static_cast<unsigned char>(received_[i])}; };
    return kFrameHeadBytes + (byte(0) << 16 | byte(1) << 8 | byte(2));
  };
  while (received_.size() < size()) {
    if (!ReceiveSome()) return std::nullopt;
  }
  Frame frame;
  frame.type = static_cast<std::uint8_t>(received_[3]);
  frame.flags = static_cast<std::uint8_t>(received_[4]);
  frame.payload = received_.substr(5, 4);
  frame.stream = frame.Number(0);
  frame.payload = received_.substr(kFrameHeadBytes, size() - kFrameHeadBytes);
  received_.erase(0, size());
  if (frame.type == kHeaders) Decode(frame);
  return frame;
}

void H2TestClient::Decode(Frame& frame) {
  EXPECT_NE(frame.flags & kEndHeaders, 0);
  auto* bytes = reinterpret_cast<const std::uint8_t*>(frame.payload.data());
  std::size_t left = frame.payload.size();
  while (true) {
    nghttp2_nv field{};
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, bytes, left, 1);
    ASSERT_GE(used, 0);
    bytes += used;
    left -= static_cast<std::size_t>(used);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      frame.fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                                std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
}

std::optional<H2TestClient::Frame> H2TestClient::NextOf(std::uint8_t type) {
  while (true) {
    std::optional<Frame> frame = Next();
    if (!frame || frame->type == type) return frame;
  }
}

H2TestClient::Outcome H2TestClient::Await(std::uint32_t stream) {
  Outcome outcome;
  std::string data;
  // Whether the stream ends with it.
  const auto take = [&](const Frame& frame) {
    if (frame.type == kReset) {
      outcome.reset = frame.Number(0);
      return true;
    }
    if (frame.type == kData) data += frame.payload;
    const bool is_last = (frame.flags & kEndStream) != 0;
    if (frame.type == kHeaders) {
      auto& fields = outcome.head.empty() ? outcome.head : outcome.trailers;
      fields.insert(frame.fields.begin(), frame.fields.end());
      if (is_last && outcome.trailers.empty()) outcome.trailers = outcome.head;
    }
    return is_last && frame.type != kSettings;
  };
  bool ended = false;
  for (const Frame& frame : kept_) ended = ended || (frame.stream == stream && take(frame));
  std::erase_if(kept_, [&](const Frame& frame) { return frame.stream == stream; });
  while (!ended) {
    std::optional<Frame> frame = Next();
    if (!frame) break;
    if (frame->stream == stream) {
      ended = take(*frame);
    } else if (frame->stream != 0) {
      kept_.push_back(*std::move(frame));
    }
  }
  while (data.size() >= 5) {
    Frame prefix;
    prefix.payload = data.substr(1, 4);
    const std::size_t size = prefix.Number(0);
    outcome.messages.push_back(data.substr(5, size));
    data.erase(0, 5 + size);
  }
  return outcome;
}

std::string H2TestClient::AwaitMessage(std::uint32_t stream) {
  while (true) {
    std::optional<Frame> frame = Next();
    if (!frame || (frame->type == kData && frame->stream == stream)) {
      EXPECT_TRUE(frame && frame->payload.size() >= 5) << "no message";
      return frame ? frame->payload.substr(5) : "";
    }
  }
}

bool H2TestClient::AwaitEnd() {
  while (Next()) {
  }
  return !::testing::Test::HasFailure();
}

void H2TestClient::Allow(std::uint32_t stream, std::uint32_t bytes) const {
  SendFrame(kWindowUpdate, 0, stream, Number(bytes));
  SendFrame(kWindowUpdate, 0, 0, Number(bytes));
}

}  // namespace muster
