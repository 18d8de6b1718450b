#include "api/proto_fields.h"

#include "base/encoding.h"

namespace muster {

bool ReadProtoText(std::string_view bytes, const FieldPath& path, JsonFaults& faults, std::string& text) {
  if (!IsValidUtf8(bytes)) {
    faults.Add(path, "is not UTF-8");
    return false;
  }
  if (bytes.find('\0') != std::string_view::npos) {
    faults.Add(path, "contains a NUL");
    return false;
  }
  text.assign(bytes);
  return true;
}

bool CheckProtoNumber(std::int64_t number, const FieldPath& path, std::int64_t min, std::int64_t max,
                      JsonFaults& faults) {
  if (number >= min && number <= max) return true;
  faults.Add(path, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return false;
}

bool ReadProtoTime(std::string_view message, const FieldPath& path, JsonFaults& faults, Timestamp& time) {
  constexpr std::int64_t kSecondsMin = -62'135'596'800;  // 0001-01-01
  constexpr std::int64_t kSecondsMax = 253'402'300'799;  // the end of 9999
  constexpr std::int64_t kNanosMax = 999'999'999;
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) seconds = reader.number();
    if (reader.Is(2, WireType::kVarint)) nanos = reader.number();
  }
  if (reader.malformed() || seconds < kSecondsMin || seconds > kSecondsMax || nanos < 0 || nanos > kNanosMax) {
    faults.Add(path, "must be a time in the years 1 to 9999");
    return false;
  }
  time = Timestamp(std::chrono::seconds(seconds) + Duration(nanos / 1000));
  return true;
}

bool ReadProtoEntry(std::string_view message, const FieldPath& path, JsonFaults& faults, std::string& name,
                    std::string& value) {
  std::string_view name_bytes;
  std::string_view value_bytes;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) name_bytes = reader.bytes();
    if (reader.Is(2, WireType::kBytes)) value_bytes = reader.bytes();
  }
  AddMalformed(reader, path, faults);
  if (reader.malformed() || !ReadProtoText(name_bytes, path, faults, name)) return false;
  const std::string shown = ShownName(name);
  return ReadProtoText(value_bytes, path.Field(shown), faults, value);
}

void AddMalformed(const ProtoReader& reader, const FieldPath& path, JsonFaults& faults) {
  if (reader.malformed()) faults.Add(path, "is not a protobuf message");
}

}  // namespace muster
