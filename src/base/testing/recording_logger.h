#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"

namespace muster::testing {

// Not thread-safe: read it when whoever logs has ended. Remembers lines as "event name=value name=value".
class RecordingLogger final : public Logger {
 public:
  void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
    std::string line(event);
    for (const LogField& field : fields) {
      line.append(" ").append(field.name).append("=");
      if (const auto* text = std::get_if<std::string_view>(&field.value)) line.append(*text);
      if (const auto* number = std::get_if<std::int64_t>(&field.value)) line.append(std::to_string(*number));
      if (const auto* number = std::get_if<std::uint64_t>(&field.value)) line.append(std::to_string(*number));
    }
    lines.emplace_back(level, std::move(line));
  }
  std::vector<std::pair<LogLevel, std::string>> lines;
};

}  // namespace muster::testing
