#include <algorithm>
#include <array>

#include "domain/member_document.h"

namespace muster {

namespace {

constexpr std::size_t kTailCharacters = 4;
constexpr std::size_t kTailCharactersMin = 8;   // a value shorter than this shows nothing
constexpr std::size_t kNationalDigitsMin = 10;  // a phone shorter than this shows no leading digits
constexpr std::size_t kNationalDigitsShown = 3;

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

std::size_t CharacterCount(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, IsContinuation));
}

std::string_view FirstCharacter(std::string_view text) {
  std::size_t end = std::min<std::size_t>(1, text.size());
  while (end < text.size() && IsContinuation(text[end])) ++end;
  return text.substr(0, end);
}

std::string_view LastCharacters(std::string_view text, std::size_t count) {
  std::size_t begin = text.size();
  while (begin > 0 && count > 0) {
    --begin;
    if (!IsContinuation(text[begin])) --count;
  }
  return text.substr(begin);
}

// How many digits of an E.164 number are its country code. ITU-T E.164: codes of one and two digits; all others have
// three.
std::size_t CountryCodeDigits(std::string_view digits) {
  static constexpr std::array<std::string_view, 10> kTwoDigits = {
      "",           // 0: none
      "",           // 1: North America, one digit
      "07",         // 20, 27
      "0123469",    // 30 … 39
      "013456789",  // 40 … 49 but 42
      "12345678",   // 51 … 58
      "0123456",    // 60 … 66
      "",           // 7: Russia and Kazakhstan, one digit
      "12469",      // 81, 82, 84, 86 (89: none)
      "0123458",    // 90 … 95, 98
  };
  const char first = digits[0];
  if (first == '1' || first == '7') return 1;
  return kTwoDigits[static_cast<std::size_t>(first - '0')].find(digits[1]) != std::string_view::npos ? 2 : 3;
}

void AppendTail(std::string& out, std::string_view value) {
  out.append("****");
  if (CharacterCount(value) >= kTailCharactersMin) out.append(LastCharacters(value, kTailCharacters));
}

void AppendPhone(std::string& out, std::string_view value) {
  const std::string_view digits = value.substr(std::min<std::size_t>(1, value.size()));
  const bool is_e164 =
      value.starts_with('+') && digits.size() >= 2 && digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!is_e164) {
    out.append("****");
    return;
  }
  const std::size_t country = CountryCodeDigits(digits);
  if (digits.size() < country + kNationalDigitsMin) {
    AppendTail(out, value);
    return;
  }
  out.append(value.substr(0, 1 + country + kNationalDigitsShown))
      .append("****")
      .append(LastCharacters(value, kTailCharacters));
}

void AppendEmail(std::string& out, std::string_view value) {
  const std::size_t at = value.rfind('@');
  if (at == std::string_view::npos) {
    out.append("***");
    return;
  }
  const std::string_view first = FirstCharacter(value.substr(0, at));
  if (first.size() < at) out.append(first);  // of a local part of one character, nothing
  out.append("***").append(value.substr(at));
}

void AppendName(std::string& out, std::string_view value) {
  const std::string_view first = FirstCharacter(value);
  if (first.size() < value.size()) out.append(first);
  out.append("***");
}

}  // namespace

void AppendMask(std::string& out, std::string_view value, MaskStyle style) {
  if (value.find('\\') != std::string_view::npos) {
    out.append("***");
    return;
  }
  switch (style) {
    case MaskStyle::kPhone:
      return AppendPhone(out, value);
    case MaskStyle::kEmail:
      return AppendEmail(out, value);
    case MaskStyle::kTail:
      return AppendTail(out, value);
    case MaskStyle::kName:
      return AppendName(out, value);
  }
}

std::string Mask(std::string_view value, MaskStyle style) {
  std::string masked;
  AppendMask(masked, value, style);
  return masked;
}

MaskStyle MaskStyleOf(std::string_view kind) {
  if (kind == "phone") return MaskStyle::kPhone;
  if (kind == "email") return MaskStyle::kEmail;
  return MaskStyle::kTail;
}

}  // namespace muster
