#include "domain/proto_writer.h"

#include <cstring>

namespace muster {
namespace proto_wire {

char* EndMessage(char* begin, char* end) {
  const auto size = static_cast<std::size_t>(end - begin);
  char* const length = begin - 1;
  if (size < 0x80) [[likely]] {
    *length = static_cast<char>(size);
    return end;
  }
  char digits[kVarintBytesMax];
  const auto digits_size = static_cast<std::size_t>(WriteVarint(digits, size) - digits);
  std::memmove(length + digits_size, begin, size);
  std::memcpy(length, digits, digits_size);
  return length + digits_size + size;
}

char* WriteTime(char* out, Timestamp time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  char* const length = out++;
  // Times before 1970 are negative: ten bytes.
  if (const std::int64_t seconds = second.time_since_epoch().count(); seconds != 0) {
    *out++ = 0x08;
    out = WriteVarint(out, static_cast<std::uint64_t>(seconds));
  }
  if (const std::int64_t micros = (time - second).count(); micros != 0) {
    *out++ = 0x10;
    out = WriteVarint(out, static_cast<std::uint64_t>(micros * 1000));
  }
  *length = static_cast<char>(out - length - 1);
  return out;
}

}  // namespace proto_wire

void ProtoWriter::Tag(unsigned field, WireType type) {
  char bytes[proto_wire::kVarintBytesMax];
  out_.append(bytes, proto_wire::WriteTag(bytes, field, type));
}

void ProtoWriter::Number(unsigned field, std::int64_t number) {
  if (number == 0) return;
  Tag(field, WireType::kVarint);
  char bytes[proto_wire::kVarintBytesMax];
  out_.append(bytes, proto_wire::WriteVarint(bytes, static_cast<std::uint64_t>(number)));
}

void ProtoWriter::Bytes(unsigned field, std::string_view bytes) {
  Tag(field, WireType::kBytes);
  char length[proto_wire::kVarintBytesMax];
  out_.append(length, proto_wire::WriteVarint(length, bytes.size()));
  out_.append(bytes);
}

void ProtoWriter::Time(unsigned field, Timestamp time) {
  if (time == Timestamp{}) return;
  Tag(field, WireType::kBytes);
  char bytes[proto_wire::kTimeBytesMax];
  out_.append(bytes, proto_wire::WriteTime(bytes, time));
}

std::size_t ProtoWriter::Begin(unsigned field) {
  Tag(field, WireType::kBytes);
  out_.push_back('\0');
  return out_.size();
}

void ProtoWriter::End(std::size_t begin) {
  const std::size_t size = out_.size() - begin;
  if (size < 0x80) {
    out_[begin - 1] = static_cast<char>(size);
    return;
  }
  char digits[proto_wire::kVarintBytesMax];
  out_.replace(begin - 1, 1, digits, static_cast<std::size_t>(proto_wire::WriteVarint(digits, size) - digits));
}

}  // namespace muster
