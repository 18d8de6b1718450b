#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/pii.h"
#include "base/result.h"

namespace muster {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

// One field of a log line: a snake_case name and a value. Personal values do not compile.
struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  LogField(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const std::string& text) : name(field_name), value(std::string_view(text)) {}
  LogField(std::string_view field_name, const char* text) : name(field_name), value(std::string_view(text)) {}
  template <std::same_as<bool> T>  // not `bool`: every pointer would convert
  LogField(std::string_view field_name, T flag) : name(field_name), value(flag) {}
  LogField(std::string_view field_name, double number) : name(field_name), value(number) {}
  template <std::signed_integral T>
  LogField(std::string_view field_name, T number) : name(field_name), value(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view field_name, T number) : name(field_name), value(static_cast<std::uint64_t>(number)) {}
  template <typename T>
  LogField(std::string_view, const Pii<T>&) = delete;

  std::string_view name;
  Value value;
};

// Structured logs: one line an event, `event` a constant phrase that can be searched for, everything variable in
// fields. Thread-safe; never blocks on a slow sink (older lines are dropped and counted instead).
// Lines of debug and info gather for up to 20 ms; warnings and errors are written at once, with all before them.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) = 0;

  // Lines that were lost since the start: pushed out by later ones, or refused by the file.
  virtual std::uint64_t dropped() const { return 0; }

  // What comes from now on goes to the file that has the log's name then; for whoever has renamed the one before.
  virtual void Reopen() {}

  void Debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kDebug, event, fields);
  }
  void Info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kInfo, event, fields);
  }
  void Warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kWarning, event, fields);
  }
  void Error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kError, event, fields);
  }
};

enum class LogFormat : std::uint8_t { kLogfmt, kJson };

struct LogOptions {
  LogFormat format = LogFormat::kLogfmt;
  LogLevel level = LogLevel::kInfo;
  std::string file;                         // empty: standard error
  std::size_t waiting_bytes_max = 4 << 20;  // lines waiting to be written; the older half is dropped beyond
  const Clock* clock = nullptr;             // null: the machine's; outlives the logger
};

// A logger with a thread of its own. Destroying it writes what waits, and gives up on a pipe that nobody reads after a
// second. The file is appended to, and created if need be (mode 0640).
Result<std::unique_ptr<Logger>> MakeLogger(const LogOptions& options);

// Shows what `logger` drops as muster_log_lines_dropped_total; it has to outlive the last exposition. Once a registry.
void ExposeLogMetrics(const Logger& logger, MetricRegistry& metrics);

// Drops everything; for tests and tools.
Logger& NullLogger();

}  // namespace muster
