#include "base/encoding.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace muster {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> InvertDigits(std::string_view digits) {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<std::uint8_t>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr auto kBase64Values = InvertDigits(kBase64Digits);

constexpr std::int64_t kSecondsPerDay = 86'400;

// The range of google.protobuf.Timestamp.
constexpr std::int64_t kTimestampMin = -62'135'596'800 * kMicrosPerSecond;  // 0001-01-01T00:00:00Z
constexpr std::int64_t kTimestampMax =
    253'402'300'799 * kMicrosPerSecond + kMicrosPerSecond - 1;  // 9999-12-31T23:59:59.999999Z

// Writes `value` in exactly `width` decimal digits.
void AppendPadded(std::string& out, std::int64_t value, int width) {
  std::array<char, 8> digits;
  for (int i = width - 1; i >= 0; --i) {
    digits[static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out.append(digits.data(), static_cast<std::size_t>(width));
}

// A reader of fixed shapes: each step fails for good once one has failed.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  int Digits(std::size_t width) {
    if (rest_.size() < width) return Refuse();
    int value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return Refuse();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(width);
    return value;
  }

  // Takes one character if it is among `accepted`, and says which; '\0' when it is not.
  char TryOneOf(std::string_view accepted) {
    if (rest_.empty() || !accepted.contains(rest_.front())) return '\0';
    const char taken = rest_.front();
    rest_.remove_prefix(1);
    return taken;
  }

  char OneOf(std::string_view accepted) {
    const char taken = TryOneOf(accepted);
    if (taken == '\0') Refuse();
    return taken;
  }

  // One to nine digits as a fraction of a second, truncated to microseconds.
  std::int64_t FractionMicros() {
    std::int64_t micros = 0;
    std::size_t count = 0;
    for (; count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9'; ++count) {
      if (count < 6) micros = micros * 10 + (rest_[count] - '0');
    }
    if (count == 0 || count > 9) return Refuse();
    rest_.remove_prefix(count);
    for (; count < 6; ++count) micros *= 10;
    return micros;
  }

  bool Finished() const { return good_ && rest_.empty(); }

 private:
  int Refuse() {
    good_ = false;
    return 0;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string ToHex(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 0xF]);
  }
  return text;
}

std::optional<std::vector<std::uint8_t>> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

std::string ToBase64Url(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;  // bits that wait in `bits`
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    count += 8;
    while (count >= 6) {
      count -= 6;
      text.push_back(kBase64Digits[bits >> count & 0x3F]);
    }
  }
  if (count > 0) text.push_back(kBase64Digits[bits << (6 - count) & 0x3F]);
  return text;
}

std::optional<std::vector<std::uint8_t>> FromBase64Url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::uint8_t value = kBase64Values[static_cast<std::uint8_t>(c)];
    if (value == kNoDigit) return std::nullopt;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::uint8_t>(bits >> count));
    }
  }
  // Left-over bits that are not zero would be a second spelling of the same bytes (RFC 4648, 3.5).
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::string FormatTimestamp(std::int64_t micros_since_1970) {
  using namespace std::chrono;
  const sys_time<microseconds> time(microseconds(std::clamp(micros_since_1970, kTimestampMin, kTimestampMax)));
  const sys_days midnight = floor<days>(time);
  const year_month_day date(midnight);
  const std::int64_t micros_of_day = (time - midnight).count();
  const std::int64_t second_of_day = micros_of_day / kMicrosPerSecond;
  const std::int64_t fraction = micros_of_day % kMicrosPerSecond;

  std::string text;
  text.reserve(27);
  AppendPadded(text, static_cast<int>(date.year()), 4);
  text.push_back('-');
  AppendPadded(text, static_cast<unsigned>(date.month()), 2);
  text.push_back('-');
  AppendPadded(text, static_cast<unsigned>(date.day()), 2);
  text.push_back('T');
  AppendPadded(text, second_of_day / 3600, 2);
  text.push_back(':');
  AppendPadded(text, second_of_day / 60 % 60, 2);
  text.push_back(':');
  AppendPadded(text, second_of_day % 60, 2);
  if (fraction != 0) {
    text.push_back('.');
    if (fraction % 1000 == 0) {
      AppendPadded(text, fraction / 1000, 3);
    } else {
      AppendPadded(text, fraction, 6);
    }
  }
  text.push_back('Z');
  return text;
}

std::optional<std::int64_t> ParseTimestamp(std::string_view text) {
  using namespace std::chrono;
  Scanner scan(text);
  const int year_number = scan.Digits(4);
  scan.OneOf("-");
  const int month_number = scan.Digits(2);
  scan.OneOf("-");
  const int day_number = scan.Digits(2);
  scan.OneOf("Tt");
  const int hour = scan.Digits(2);
  scan.OneOf(":");
  const int minute = scan.Digits(2);
  scan.OneOf(":");
  const int second = scan.Digits(2);
  const std::int64_t fraction = scan.TryOneOf(".") != '\0' ? scan.FractionMicros() : 0;
  const char zone = scan.OneOf("Zz+-");
  int offset_minutes = 0;
  if (zone == '+' || zone == '-') {
    const int offset_hour = scan.Digits(2);
    scan.OneOf(":");
    const int offset_minute = scan.Digits(2);
    if (offset_hour > 23 || offset_minute > 59) return std::nullopt;
    offset_minutes = (offset_hour * 60 + offset_minute) * (zone == '-' ? -1 : 1);
  }
  const year_month_day date(year(year_number), month(static_cast<unsigned>(month_number)),
                            day(static_cast<unsigned>(day_number)));
  if (!scan.Finished() || !date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;

  const int second_of_day = hour * 3600 + minute * 60 + second - offset_minutes * 60;
  const std::int64_t seconds = sys_days(date).time_since_epoch().count() * kSecondsPerDay + second_of_day;
  const std::int64_t micros = seconds * kMicrosPerSecond + fraction;
  if (micros < kTimestampMin || micros > kTimestampMax) return std::nullopt;
  return micros;
}

std::size_t Utf8SequenceLength(std::string_view text) {
  // Table 3-7 of the Unicode standard (well-formed UTF-8 byte sequences).
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  if (text.empty()) return 0;
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    if (!continues(1) || (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
    return continues(2) ? 3 : 0;
  }
  if (lead > 0xF4) return 0;
  if (!continues(1) || (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return continues(2) && continues(3) ? 4 : 0;
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    // Most text is ASCII: eight bytes at a time.
    if (text.size() >= 8) {
      std::uint64_t word;
      text.copy(reinterpret_cast<char*>(&word), sizeof word);
      if ((word & 0x8080'8080'8080'8080ULL) == 0) {
        text.remove_prefix(8);
        continue;
      }
    }
    const std::size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace muster
