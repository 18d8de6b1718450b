#include "domain/json_text.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstring>

namespace muster::json_text {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
constexpr std::uint64_t kHighs = 0x8080808080808080ULL;

// The high bit of each byte of `word` that needs an escape; exact in the lowest byte that has it set, which is all that
// is used (Mycroft's test for a zero byte may report the byte above a true one).
std::uint64_t EscapesOf(std::uint64_t word) {
  const std::uint64_t quote = word ^ (kOnes * '"');
  const std::uint64_t backslash = word ^ (kOnes * '\\');
  return ((word - kOnes * 0x20) & ~word & kHighs) | ((quote - kOnes) & ~quote & kHighs) |
         ((backslash - kOnes) & ~backslash & kHighs);
}

bool NeedsEscape(char character) {
  return static_cast<unsigned char>(character) < 0x20 || character == '"' || character == '\\';
}

std::uint64_t Load(const char* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  static_assert(std::endian::native == std::endian::little, "the lowest byte of a word is the first of the text");
  return word;
}

char* WriteEscape(char* out, char character) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out++ = '\\';
  switch (character) {
    case '"':
    case '\\':
      *out++ = character;
      return out;
    case '\b':
      *out++ = 'b';
      return out;
    case '\f':
      *out++ = 'f';
      return out;
    case '\n':
      *out++ = 'n';
      return out;
    case '\r':
      *out++ = 'r';
      return out;
    case '\t':
      *out++ = 't';
      return out;
    default:
      out[0] = 'u';
      out[1] = '0';
      out[2] = '0';
      out[3] = kHex[static_cast<unsigned char>(character) >> 4];
      out[4] = kHex[character & 0xf];
      return out + 5;
  }
}

// Exactly `width` digits, leading zeros included.
char* WriteDigits(char* out, std::uint32_t number, int width) {
  for (int i = width - 1; i >= 0; --i) {
    out[i] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
  return out + width;
}

}  // namespace

char* WriteNumber(char* out, std::int64_t number) { return std::to_chars(out, out + kNumberBytesMax, number).ptr; }

char* WriteTime(char* out, Timestamp time) {
  using std::chrono::days;
  using std::chrono::sys_days;
  constexpr Timestamp kFirst = sys_days(std::chrono::January / 1 / 1);
  constexpr Timestamp kLast = sys_days(std::chrono::January / 1 / 10000) - Duration(1);
  time = std::clamp(time, kFirst, kLast);

  const sys_days day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const auto micros = static_cast<std::uint64_t>((time - day).count());
  const auto seconds = static_cast<std::uint32_t>(micros / 1'000'000);
  const auto fraction = static_cast<std::uint32_t>(micros % 1'000'000);

  out = WriteDigits(out, static_cast<std::uint32_t>(static_cast<int>(date.year())), 4);
  *out++ = '-';
  out = WriteDigits(out, static_cast<unsigned>(date.month()), 2);
  *out++ = '-';
  out = WriteDigits(out, static_cast<unsigned>(date.day()), 2);
  *out++ = 'T';
  out = WriteDigits(out, seconds / 3600, 2);
  *out++ = ':';
  out = WriteDigits(out, seconds / 60 % 60, 2);
  *out++ = ':';
  out = WriteDigits(out, seconds % 60, 2);
  if (fraction != 0) {
    *out++ = '.';
    out = fraction % 1000 == 0 ? WriteDigits(out, fraction / 1000, 3) : WriteDigits(out, fraction, 6);
  }
  *out++ = 'Z';
  return out;
}

std::size_t PlainPrefix(std::string_view text) {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    if (const std::uint64_t found = EscapesOf(Load(text.data() + at)); found != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    }
  }
  if (at < text.size() && text.size() >= 8) {
    // The last eight bytes, of which the first ones were looked at before and are plain.
    const std::uint64_t found = EscapesOf(Load(text.data() + text.size() - 8));
    return found == 0 ? text.size() : text.size() - 8 + static_cast<std::size_t>(std::countr_zero(found)) / 8;
  }
  while (at < text.size() && !NeedsEscape(text[at])) ++at;
  return at;
}

char* WriteEscaped(char* out, std::string_view text) {
  while (true) {
    const std::size_t plain = PlainPrefix(text);
    if (plain != 0) std::memcpy(out, text.data(), plain);
    out += plain;
    if (plain == text.size()) return out;
    out = WriteEscape(out, text[plain]);
    text.remove_prefix(plain + 1);
  }
}

std::size_t ValueLength(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    switch (text[at]) {
      case '"':
        for (++at; at < text.size() && text[at] != '"'; ++at) {
          if (text[at] == '\\') ++at;
        }
        break;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (depth == 0) return at;
        --depth;
        break;
      case ',':
        if (depth == 0) return at;
        break;
      default:
        break;
    }
  }
  return text.size();
}

}  // namespace muster::json_text
