#include "api/http_chunked.h"

#include <algorithm>

#include "api/http_text.h"
#include "base/check.h"
#include "base/encoding.h"

namespace muster {
namespace {

constexpr std::uint8_t kSizeDigitsMax = 8;  // 4 GiB; a bound on zeros before a size, too

}  // namespace

HttpParse ChunkedDecoder::Feed(std::string_view input, std::string& body, std::size_t& consumed,
                               HttpRejection& rejection) {
  const auto reject = [&rejection](int status, std::string_view detail) {
    rejection = {.status = status, .detail = detail};
    return HttpParse::kRejected;
  };
  consumed = 0;
  while (consumed < input.size() && state_ != State::kDone) {
    if (state_ == State::kData) {
      const std::size_t count = std::min(chunk_, input.size() - consumed);
      body.append(input.substr(consumed, count));
      consumed += count;
      chunk_ -= count;
      if (chunk_ == 0) state_ = State::kDataCr;
      continue;
    }
    if (const char* fault = Step(input[consumed++]); fault != nullptr) return reject(400, fault);
    if (extension_bytes_ > kChunkExtensionBytesMax) return reject(400, "the chunk extensions are too long");
    if (trailer_bytes_ > limits_.header_bytes_max || trailer_fields_ > kHttpHeadersMax) {
      return reject(431, "the trailer of the chunked body is too large");
    }
    // body is never above the bound here, as no chunk that would exceed it is begun.
    if (chunk_ > limits_.body_bytes_max - body.size()) return reject(413, "the body is larger than this server takes");
  }
  return state_ == State::kDone ? HttpParse::kComplete : HttpParse::kIncomplete;
}

const char* ChunkedDecoder::Step(char c) {
  switch (state_) {
    case State::kSize:
    case State::kSpace:
    case State::kExtension:
    case State::kSizeLf:
      return StepSize(c);
    case State::kDataCr:
      if (c != '\r') return "a chunk is longer than its size says";
      state_ = State::kDataLf;
      return nullptr;
    case State::kDataLf:
      if (c != '\n') return "a chunk does not end with a line end";
      state_ = State::kSize;
      size_digits_ = 0;
      return nullptr;
    case State::kLine:
    case State::kName:
    case State::kValue:
    case State::kValueLf:
    case State::kLastLf:
      return StepTrailer(c);
    case State::kData:
    case State::kDone:
      break;
  }
  MUSTER_UNREACHABLE("a chunked body's data is not read by the character");
}

const char* ChunkedDecoder::StepSize(char c) {
  if (state_ == State::kSizeLf) {
    if (c != '\n') return "a carriage return without a line feed";
    state_ = chunk_ == 0 ? State::kLine : State::kData;
    return nullptr;
  }
  if (state_ == State::kSize) {
    if (const int value = HexValue(c); value >= 0) {
      if (++size_digits_ > kSizeDigitsMax) return "a chunk's size has too many digits";
      chunk_ = chunk_ * 16 + static_cast<std::size_t>(value);
      return nullptr;
    }
    if (size_digits_ == 0) return "a chunk's size is not a hexadecimal number";
  }
  if (c == '\r' && state_ != State::kSpace) {
    state_ = State::kSizeLf;
    return nullptr;
  }
  ++extension_bytes_;
  if (state_ == State::kExtension) {
    return Is(kValueCharacters, c) ? nullptr : "a chunk extension has a control character";
  }
  if (c == ';') {
    state_ = State::kExtension;
  } else if (c == ' ' || c == '\t') {
    state_ = State::kSpace;
  } else {
    return "a chunk's size is not a hexadecimal number";
  }
  return nullptr;
}

const char* ChunkedDecoder::StepTrailer(char c) {
  ++trailer_bytes_;
  switch (state_) {
    case State::kLine:
      if (c == '\r') {
        state_ = State::kLastLf;
      } else if (Is(kTokenCharacters, c)) {
        ++trailer_fields_;
        state_ = State::kName;
      } else {
        return "a trailer line has to begin with a name";
      }
      return nullptr;
    case State::kName:
      if (c == ':') {
        state_ = State::kValue;
      } else if (!Is(kTokenCharacters, c)) {
        return "a trailer line has to begin with a name and a colon";
      }
      return nullptr;
    case State::kValue:
      if (c == '\r') {
        state_ = State::kValueLf;
      } else if (!Is(kValueCharacters, c)) {
        return "a trailer value has a control character, or a line feed without a carriage return";
      }
      return nullptr;
    default:
      if (c != '\n') return "a carriage return without a line feed";
      state_ = state_ == State::kLastLf ? State::kDone : State::kLine;
      return nullptr;
  }
}

}  // namespace muster
