#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "domain/proto_writer.h"

namespace muster {

// Walks the fields of a protobuf message in its wire format, in the order in which they were sent. Views into the
// message. Fields that the reader does not know are for it to ignore, as proto3 asks.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}

  // False at the end, and where the message is malformed: cut off, a number of more than 64 bits, a field numbered 0 or
  // above 2^29-1, a group.
  bool Next();
  bool malformed() const { return malformed_; }

  // Of the field that Next found.
  unsigned field() const { return field_; }
  WireType type() const { return type_; }
  bool Is(unsigned field, WireType type) const { return field_ == field && type_ == type; }
  std::int64_t number() const { return static_cast<std::int64_t>(number_); }  // of kVarint
  std::string_view bytes() const { return bytes_; }                           // of kBytes

 private:
  bool Skip(std::size_t bytes);

  std::string_view rest_;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
  unsigned field_ = 0;
  WireType type_ = WireType::kVarint;
  bool malformed_ = false;
};

// Takes a number off the front of a packed list. False: there is none.
bool TakeVarint(std::string_view& packed, std::int64_t& number);

}  // namespace muster
