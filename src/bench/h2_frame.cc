#include "bench/h2_frame.h"

#include <algorithm>

namespace muster {

void AppendH2Number(std::string& out, std::uint32_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

std::uint32_t ReadH2Number(std::string_view bytes) {
  std::uint32_t number = 0;
  for (const char c : bytes) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

void AppendH2Frame(std::string& out, const H2Frame& frame) {
  AppendH2Number(out, static_cast<std::uint32_t>(frame.payload.size()), 3);
  out.push_back(static_cast<char>(frame.type));
  out.push_back(static_cast<char>(frame.flags));
  AppendH2Number(out, frame.stream, 4);
  out.append(frame.payload);
}

H2FrameReader::State H2FrameReader::Take(std::string_view& input, H2Frame& frame) {
  if (is_taken_) {
    partial_.clear();
    is_taken_ = false;
  }
  const auto size_of = [](std::string_view bytes) { return kH2FrameHeadBytes + ReadH2Number(bytes.substr(0, 3)); };
  std::string_view whole = input;
  if (partial_.empty() && whole.size() >= kH2FrameHeadBytes && whole.size() >= size_of(whole)) {
    whole = whole.substr(0, size_of(whole));
    input.remove_prefix(whole.size());
  } else {
    while (partial_.size() < kH2FrameHeadBytes || partial_.size() < size_of(partial_)) {
      const std::size_t wanted = partial_.size() < kH2FrameHeadBytes ? kH2FrameHeadBytes : size_of(partial_);
      if (wanted > kH2FrameHeadBytes + kH2PayloadBytesMax) return State::kMalformed;
      if (input.empty()) return State::kMore;
      const std::size_t count = std::min(wanted - partial_.size(), input.size());
      partial_.append(input.substr(0, count));
      input.remove_prefix(count);
    }
    whole = partial_;
    is_taken_ = true;
  }
  if (whole.size() > kH2FrameHeadBytes + kH2PayloadBytesMax) return State::kMalformed;
  frame = {.type = static_cast<H2FrameType>(whole[3]),
           .flags = static_cast<std::uint8_t>(whole[4]),
           .stream = ReadH2Number(whole.substr(5, 4)) & 0x7fffffff,
           .payload = whole.substr(kH2FrameHeadBytes)};
  return State::kFrame;
}

}  // namespace muster
