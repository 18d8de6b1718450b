#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"

namespace muster {

// The longest text of one field, in bytes of the original; what is longer is cut at a code point and ends in "...".
inline constexpr std::size_t kLogTextBytesMax = 2048;

// Appends one line, newline included:
//   logfmt  time=2026-01-02T03:04:05.000123Z level=info event="member registered" member=7
//   JSON    {"time":"2026-01-02T03:04:05.000123Z","level":"info","event":"member registered","member":7}
// Whatever the texts hold, the line stays one line of valid UTF-8 (invalid bytes become U+FFFD) without control
// characters, so that nothing a caller sends can forge a second line or drive a terminal.
void AppendLogLine(std::string& out, LogFormat format, LogLevel level, Timestamp time, std::string_view event,
                   std::initializer_list<LogField> fields);

// "debug", "info", "warning", "error".
std::string_view LogLevelName(LogLevel level);

}  // namespace muster
