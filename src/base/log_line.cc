#include "base/log_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "base/check.h"
#include "base/encoding.h"

namespace muster {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

// C0, DEL and C1: the code points that terminals act on.
bool IsControl(std::string_view code_point) {
  const auto first = static_cast<std::uint8_t>(code_point[0]);
  if (code_point.size() == 1) return first < 0x20 || first == 0x7F;
  return code_point.size() == 2 && first == 0xC2 && static_cast<std::uint8_t>(code_point[1]) < 0xA0;
}

void AppendUnicodeEscape(std::string& out, std::string_view control) {
  const std::array byte = {
      static_cast<std::uint8_t>(control.back())};  // of all control characters, the last byte is the value
  out += "\\u00";
  out += ToHex(byte);
}

// The inside of a quoted string; JSON's escapes serve logfmt as well.
void AppendEscaped(std::string& out, std::string_view text) {
  const bool is_cut = text.size() > kLogTextBytesMax;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = Utf8SequenceLength(text.substr(at));
    if (is_cut && at + std::max<std::size_t>(length, 1) > kLogTextBytesMax) break;
    if (length == 0) {
      out += kReplacementCharacter;
      ++at;
      continue;
    }
    const std::string_view code_point = text.substr(at, length);
    at += length;
    if (code_point == "\"" || code_point == "\\") {
      out += '\\';
      out += code_point;
    } else if (code_point == "\n") {
      out += "\\n";
    } else if (code_point == "\t") {
      out += "\\t";
    } else if (IsControl(code_point)) {
      AppendUnicodeEscape(out, code_point);
    } else {
      out += code_point;
    }
  }
  if (is_cut) out += "...";
}

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  AppendEscaped(out, text);
  out += '"';
}

template <typename Number>
void AppendNumber(std::string& out, Number number) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

// What both formats write alike: numbers and booleans. Infinities and NaN have no JSON, so they are texts.
template <typename Scalar>
void AppendScalar(std::string& out, Scalar scalar) {
  if constexpr (std::is_same_v<Scalar, bool>) {
    out += scalar ? "true" : "false";
  } else {
    AppendNumber(out, scalar);
  }
}

void AppendJsonValue(std::string& out, const LogField::Value& value) {
  std::visit(
      [&out]<typename T>(const T& content) {
        if constexpr (std::is_same_v<T, std::string_view>) {
          AppendQuoted(out, content);
        } else if constexpr (std::is_same_v<T, double>) {
          if (!std::isfinite(content)) out += '"';
          AppendNumber(out, content);
          if (!std::isfinite(content)) out += '"';
        } else {
          AppendScalar(out, content);
        }
      },
      value);
}

// Words that logfmt readers take without quotes.
bool IsBareWord(std::string_view text) {
  if (text.empty() || text.size() > kLogTextBytesMax) return false;
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '"' && c != '=' && c != '\\'; });
}

void AppendLogfmtText(std::string& out, std::string_view text) {
  if (IsBareWord(text)) {
    out += text;
  } else {
    AppendQuoted(out, text);
  }
}

void AppendLogfmtName(std::string& out, std::string_view name) {
  for (const char c : name) out += IsBareWord(std::string_view(&c, 1)) ? c : '_';
}

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  MUSTER_UNREACHABLE("a log level outside its enumeration");
}

void AppendLogLine(std::string& out, LogFormat format, LogLevel level, Timestamp time, std::string_view event,
                   std::initializer_list<LogField> fields) {
  const std::string when = FormatTimestamp(time.time_since_epoch().count());
  if (format == LogFormat::kJson) {
    out += "{\"time\":\"";
    out += when;
    out += "\",\"level\":\"";
    out += LogLevelName(level);
    out += "\",\"event\":";
    AppendQuoted(out, event);
    for (const LogField& field : fields) {
      out += ',';
      AppendQuoted(out, field.name);
      out += ':';
      AppendJsonValue(out, field.value);
    }
    out += "}\n";
    return;
  }
  out += "time=";
  out += when;
  out += " level=";
  out += LogLevelName(level);
  out += " event=";
  AppendLogfmtText(out, event);
  for (const LogField& field : fields) {
    out += ' ';
    AppendLogfmtName(out, field.name);
    out += '=';
    std::visit(
        [&out]<typename T>(const T& content) {
          if constexpr (std::is_same_v<T, std::string_view>) {
            AppendLogfmtText(out, content);
          } else {
            AppendScalar(out, content);
          }
        },
        field.value);
  }
  out += '\n';
}

}  // namespace muster
