#include "api/proto_reader.h"

namespace muster {

namespace {

constexpr std::uint64_t kFieldMax = (1U << 29) - 1;

bool ReadVarint(std::string_view& text, std::uint64_t& number) {
  number = 0;
  for (std::size_t i = 0; i < text.size() && i < proto_wire::kVarintBytesMax; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    number |= std::uint64_t{byte & 0x7fU} << (7 * i);
    if (byte >= 0x80) continue;
    if (i == proto_wire::kVarintBytesMax - 1 && byte > 1) return false;
    text.remove_prefix(i + 1);
    return true;
  }
  return false;
}

}  // namespace

bool TakeVarint(std::string_view& packed, std::int64_t& number) {
  std::uint64_t read = 0;
  if (!ReadVarint(packed, read)) return false;
  number = static_cast<std::int64_t>(read);
  return true;
}

bool ProtoReader::Skip(std::size_t bytes) {
  if (rest_.size() < bytes) return false;
  rest_.remove_prefix(bytes);
  return true;
}

bool ProtoReader::Next() {
  if (malformed_ || rest_.empty()) return false;
  malformed_ = true;  // until the field is read
  std::uint64_t tag = 0;
  if (!ReadVarint(rest_, tag) || tag >> 3 == 0 || tag >> 3 > kFieldMax) return false;
  field_ = static_cast<unsigned>(tag >> 3);
  type_ = static_cast<WireType>(tag & 7);
  switch (type_) {
    case WireType::kVarint:
      malformed_ = !ReadVarint(rest_, number_);
      break;
    case WireType::kFixed64:
      malformed_ = !Skip(8);
      break;
    case WireType::kFixed32:
      malformed_ = !Skip(4);
      break;
    case WireType::kBytes:
      if (!ReadVarint(rest_, number_) || number_ > rest_.size()) break;
      bytes_ = rest_.substr(0, number_);
      malformed_ = !Skip(number_);
      break;
  }
  return !malformed_;
}

}  // namespace muster
