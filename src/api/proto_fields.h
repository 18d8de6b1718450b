#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/field_path.h"
#include "api/json_reader.h"
#include "api/proto_reader.h"
#include "base/clock.h"
#include "domain/member.h"

namespace muster {

// Leaves of a protobuf message. Each answers whether it could be read, and adds a fault if not.

// UTF-8 without NUL.
bool ReadProtoText(std::string_view bytes, const FieldPath& path, JsonFaults& faults, std::string& text);
// A whole number from `min` to `max`.
bool CheckProtoNumber(std::int64_t number, const FieldPath& path, std::int64_t min, std::int64_t max,
                      JsonFaults& faults);
// A google.protobuf.Timestamp, to the microsecond.
bool ReadProtoTime(std::string_view message, const FieldPath& path, JsonFaults& faults, Timestamp& time);
// An entry of a map<string, string>.
bool ReadProtoEntry(std::string_view message, const FieldPath& path, JsonFaults& faults, std::string& name,
                    std::string& value);

// Adds the fault of a reader that stopped before the end of its message.
void AddMalformed(const ProtoReader& reader, const FieldPath& path, JsonFaults& faults);

}  // namespace muster
