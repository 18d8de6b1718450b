#include <phonenumbers/phonenumberutil.h>

#include <algorithm>
#include <set>

#include "domain/normalise.h"

namespace muster {

namespace {

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

constexpr std::string_view kWrong =
    "must be a phone number that exists, such as +86 138 0013 8000, without an extension";
constexpr std::size_t kPhoneBytesMax = 64;

struct Spelling {
  std::string_view text;
  char ascii;  // 0: stands for nothing
};

// What keyboards and address books put into phone numbers beside ASCII.
constexpr Spelling kSpellings[] = {
    {"\uff0b", '+'}, {"\uff0d", '-'}, {"\uff08", '('}, {"\uff09", ')'}, {"\uff0e", '.'}, {"\u3000", ' '},
    {"\u00a0", ' '}, {"\u2010", '-'}, {"\u2011", '-'}, {"\u2012", '-'}, {"\u2013", '-'}, {"\u2014", '-'},
    {"\u2015", '-'}, {"\u2212", '-'}, {"\u30fc", '-'}, {"\u202f", ' '}, {"\u200b", 0},   {"\u2060", 0},
    {"\u200e", 0},   {"\u202a", 0},   {"\u202c", 0},   {"\u202d", 0},   {"\ufeff", 0},
};

// The first of ten digits that follow each other; all are encoded so that only the last byte counts up.
constexpr std::string_view kZeros[] = {
    "\uff10",  // full-width
    "\u0660",  // Arabic-Indic
    "\u06f0",  // Extended Arabic-Indic
    "\u0966",  // Devanagari
};

// Takes one character that is not ASCII off `text` and appends what it stands for. False: no phone number has it.
bool TakeForeign(std::string_view& text, std::string& out) {
  for (const Spelling& spelling : kSpellings) {
    if (!text.starts_with(spelling.text)) continue;
    if (spelling.ascii != 0) out.push_back(spelling.ascii);
    text.remove_prefix(spelling.text.size());
    return true;
  }
  for (const std::string_view zero : kZeros) {
    const std::size_t last = zero.size() - 1;
    if (text.size() < zero.size() || !text.starts_with(zero.substr(0, last))) continue;
    const int digit = static_cast<unsigned char>(text[last]) - static_cast<unsigned char>(zero[last]);
    if (digit < 0 || digit > 9) continue;
    out.push_back(static_cast<char>('0' + digit));
    text.remove_prefix(zero.size());
    return true;
  }
  return false;
}

// `value` in digits, one leading plus, and the separators "-(). " of ASCII; empty when anything else is in it. The
// library is far more lenient: it would take the first number out of a sentence, and letters for digits.
std::string ToAscii(std::string_view value) {
  std::string ascii;
  ascii.reserve(value.size());
  while (!value.empty()) {
    if (static_cast<unsigned char>(value[0]) >= 0x80) {
      if (!TakeForeign(value, ascii)) return {};
      continue;
    }
    if (!std::string_view("0123456789+-(). ").contains(value[0])) return {};
    ascii.push_back(value[0]);
    value.remove_prefix(1);
  }
  const std::size_t first = ascii.find_first_not_of("( ");
  if (ascii.find_last_of('+') != std::string::npos && ascii.find_last_of('+') != first) return {};
  return ascii;
}

// Whether +86 and these eleven digits are a mobile number. By the library's metadata (8.12.57):
//   1740[0-5]\d{6}|1(?:[38]\d|4[57]|[59][0-35-9]|6[25-7]|7[0-35-8])\d{8}
// of which 1740 is left to the library. A test compares every prefix.
bool IsChineseMobile(std::string_view digits) {
  if (digits.size() != 11 || digits[0] != '1') return false;
  static constexpr std::string_view kThird[] = {
      "", "", "", "0123456789", "57", "012356789", "2567", "01235678", "0123456789", "012356789",
  };
  return kThird[static_cast<std::size_t>(digits[1] - '0')].contains(digits[2]);
}

// The number in E.164 when it is a Chinese mobile number in a common spelling; else empty.
std::string ShortCut(std::string_view ascii, std::string_view default_region) {
  std::string number = "+86";
  bool has_code = false;
  std::size_t at = ascii.find_first_not_of(' ');
  if (at == std::string_view::npos) return {};
  if (ascii.substr(at).starts_with("+86")) {
    has_code = true;
    at += 3;
  }
  if (!has_code && default_region != "CN") return {};
  for (; at < ascii.size(); ++at) {
    const char c = ascii[at];
    if (c == ' ' || c == '-') continue;
    if (c < '0' || c > '9' || number.size() == 14) return {};
    number.push_back(c);
  }
  return IsChineseMobile(std::string_view(number).substr(3)) ? number : std::string();
}

Normalised ParseByLibrary(const std::string& ascii, std::string_view default_region) {
  const PhoneNumberUtil& library = *PhoneNumberUtil::GetInstance();
  PhoneNumber number;
  if (library.Parse(ascii, std::string(default_region), &number) != PhoneNumberUtil::NO_PARSING_ERROR) {
    return std::unexpected(kWrong);
  }
  if (number.has_extension() || !library.IsValidNumber(number)) return std::unexpected(kWrong);
  std::string formatted;
  library.Format(number, PhoneNumberUtil::E164, &formatted);
  return formatted;
}

// The library takes off one national prefix only, so that a few malformed numbers (Mexico's 1, twice) become a number
// that would become another one when it is read again. Those are refused: one spelling must not lead to two values.
Normalised ByLibrary(const std::string& ascii, std::string_view default_region) {
  Normalised number = ParseByLibrary(ascii, default_region);
  if (!number) return number;
  std::string bare = ascii;
  std::erase_if(bare, [](char c) { return c != '+' && (c < '0' || c > '9'); });
  if (*number == bare || ParseByLibrary(*number, default_region) == number) return number;
  return std::unexpected(kWrong);
}

}  // namespace

Normalised NormalisePhone(std::string_view value, std::string_view default_region) {
  const std::string_view trimmed = TrimSpace(value);
  if (trimmed.size() > kPhoneBytesMax) return std::unexpected(kWrong);
  const std::string ascii = ToAscii(trimmed);
  if (ascii.empty()) return std::unexpected(kWrong);
  std::string number = ShortCut(ascii, default_region);
  if (!number.empty()) return number;
  return ByLibrary(ascii, default_region);
}

Normalised NormalisePhoneByLibrary(std::string_view value, std::string_view default_region) {
  const std::string ascii = ToAscii(TrimSpace(value));
  if (ascii.empty()) return std::unexpected(kWrong);
  return ByLibrary(ascii, default_region);
}

bool IsPhoneRegion(std::string_view region) {
  std::set<std::string> regions;
  PhoneNumberUtil::GetInstance()->GetSupportedRegions(&regions);
  return regions.contains(std::string(region));
}

}  // namespace muster
