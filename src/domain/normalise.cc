#include "domain/normalise.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/member_document.h"
#include "domain/normalise_unicode.h"

namespace muster {

namespace {

constexpr std::size_t kValueBytesMax = 512;  // before normalisation, of any kind
constexpr std::size_t kEmailBytesMax = 254;  // RFC 5321, as corrected
constexpr std::size_t kEmailLocalBytesMax = 64;
constexpr std::size_t kDomainLabelBytesMax = 63;
constexpr std::size_t kOpaqueBytesMax = 128;
constexpr std::size_t kAccountBytesMax = 128;
constexpr std::size_t kCodeBytesMin = 4;
constexpr std::size_t kCodeBytesMax = 32;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsAscii(char c) { return static_cast<unsigned char>(c) < 0x80; }
char Lower(char c) { return IsUpper(c) ? static_cast<char>(c + ('a' - 'A')) : c; }
char Upper(char c) { return IsLower(c) ? static_cast<char>(c - ('a' - 'A')) : c; }

// The characters of valid UTF-8 in turn.
char32_t NextCharacter(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t character = size == 1 ? lead : lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  text.remove_prefix(size);
  return character;
}

bool IsControl(char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

// Zero-width characters, bidirectional marks, separators of lines and paragraphs, fillers, variation selectors, the
// byte order mark, tags: they would make two values of what looks like one. Of Unicode's Default_Ignorable_Code_Point
// and the two separators, all that is assigned.
bool IsInvisible(char32_t c) {
  static constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0xad, 0xad},     {0x34f, 0x34f},     {0x61c, 0x61c},     {0x115f, 0x1160},  {0x17b4, 0x17b5}, {0x180b, 0x180f},
      {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},  {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
      {0xffa0, 0xffa0}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};
  return std::ranges::any_of(kRanges, [c](const auto& range) { return c >= range.first && c <= range.second; });
}

bool IsSpace(char32_t c) {
  return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

template <typename Predicate>
bool HasAny(std::string_view text, Predicate is_searched) {
  while (!text.empty()) {
    if (is_searched(NextCharacter(text))) return true;
  }
  return false;
}

// RFC 5322's atext and the dot; beyond ASCII everything that can be seen (RFC 6531).
bool IsEmailLocal(std::string_view local) {
  return std::ranges::all_of(local, [](char c) {
    return !IsAscii(c) || IsLower(c) || IsDigit(c) || std::string_view("!#$%&'*+-/=?^_`{|}~.").contains(c);
  });
}

bool IsDomain(std::string_view domain) {
  bool has_dot = false;
  while (true) {
    const std::size_t dot = domain.find('.');
    const std::string_view label = domain.substr(0, dot);
    if (label.empty() || label.size() > kDomainLabelBytesMax || label.front() == '-' || label.back() == '-')
      return false;
    if (!std::ranges::all_of(label, [](char c) { return !IsAscii(c) || IsLower(c) || IsDigit(c) || c == '-'; }))
      return false;
    if (dot == std::string_view::npos) return has_dot;
    has_dot = true;
    domain.remove_prefix(dot + 1);
  }
}

bool IsBlank(char32_t c) { return IsSpace(c) || IsControl(c) || IsInvisible(c); }

bool IsAsciiText(std::string_view text) { return std::ranges::all_of(text, IsAscii); }

// Chinese keyboards type a full-width @.
std::string WithPlainAt(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  while (!text.empty()) {
    const bool is_at = text.starts_with("\uff20") || text.starts_with("\ufe6b");
    plain.push_back(is_at ? '@' : text[0]);
    text.remove_prefix(is_at ? 3 : 1);
  }
  return plain;
}

// A domain that ICU has to look at: it has more than ASCII, or a label that claims to stand for more.
bool IsInternational(std::string_view domain) { return !IsAsciiText(domain) || domain.contains("xn--"); }

Normalised NormaliseEmail(std::string_view value) {
  static constexpr std::string_view kWrong = "must be an e-mail address such as name@example.com, of at most 254 bytes";
  static constexpr std::string_view kWrongDomain =
      "must be an e-mail address whose domain may exist: its international labels break the rules of UTS #46";
  std::string email(TrimSpace(value));
  std::ranges::transform(email, email.begin(), Lower);
  const bool is_ascii = IsAsciiText(email);
  if (!is_ascii) {
    // Folding would drop what cannot be seen.
    if (HasAny(email, IsBlank)) return std::unexpected(kWrong);
    email = WithPlainAt(email);
  }
  const std::size_t at = email.find('@');
  if (at == std::string::npos) return std::unexpected(kWrong);
  std::string local = email.substr(0, at);
  std::string domain = email.substr(at + 1);
  if (!is_ascii) local = FoldCase(local);
  if (IsInternational(domain)) {
    std::optional<std::string> ascii = DomainToAscii(domain);
    if (!ascii) return std::unexpected(kWrongDomain);
    domain = *std::move(ascii);
  }
  if (local.empty() || local.size() > kEmailLocalBytesMax || !IsEmailLocal(local) || !IsDomain(domain) ||
      local.size() + 1 + domain.size() > kEmailBytesMax || HasAny(local, IsBlank)) {
    return std::unexpected(kWrong);
  }
  return local + "@" + domain;
}

Normalised NormaliseOpaque(std::string_view value) {
  const std::string_view trimmed = TrimSpace(value);
  const bool is_printable = std::ranges::all_of(trimmed, [](char c) { return c > ' ' && c <= '~'; });
  if (trimmed.empty() || trimmed.size() > kOpaqueBytesMax || !is_printable) {
    return std::unexpected("must be 1 to 128 printable ASCII characters without spaces");
  }
  return std::string(trimmed);
}

Normalised NormaliseAccount(std::string_view value) {
  std::string account(TrimSpace(value));
  if (!IsAsciiText(account)) account = Compose(account);
  if (account.empty() || account.size() > kAccountBytesMax ||
      HasAny(account, [](char32_t c) { return IsBlank(c) && c != ' '; })) {
    return std::unexpected(
        "must be 1 to 128 bytes of UTF-8 without control and invisible characters, and without spaces but the plain "
        "one");
  }
  return account;
}

// Letters and digits of a number that people write in groups.
Normalised NormaliseCode(std::string_view value) {
  std::string code;
  for (const char c : TrimSpace(value)) {
    if (c == ' ' || c == '-') continue;
    code.push_back(Upper(c));
  }
  const bool is_code = std::ranges::all_of(code, [](char c) { return IsUpper(c) || IsDigit(c); });
  if (code.size() < kCodeBytesMin || code.size() > kCodeBytesMax || !is_code) {
    return std::unexpected("must be 4 to 32 letters and digits; spaces and hyphens between them are ignored");
  }
  return code;
}

// ISO/IEC 7812-1, annex B.
bool PassesLuhn(std::string_view digits) {
  int sum = 0;
  bool is_doubled = false;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    const int number = (*digit - '0') * (is_doubled ? 2 : 1);
    sum += number > 9 ? number - 9 : number;
    is_doubled = !is_doubled;
  }
  return sum % 10 == 0;
}

// GS1 General Specifications, 7.9: every second digit from the right, the check digit not counted, weighs three.
bool PassesEan(std::string_view digits) {
  int sum = 0;
  int weight = 1;
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    sum += (*digit - '0') * weight;
    weight = 4 - weight;
  }
  return sum % 10 == 0;
}

// Shops number their cards as they do their goods: thirteen digits may be an EAN-13 as well as a payment card.
bool PassesCardCheck(std::string_view code) {
  if (code.size() < 13 || code.size() > 19 || !std::ranges::all_of(code, IsDigit)) return true;
  return PassesLuhn(code) || (code.size() == 13 && PassesEan(code));
}

Normalised NormaliseCard(std::string_view value) {
  Normalised code = NormaliseCode(value);
  if (code && !PassesCardCheck(*code)) {
    return std::unexpected(
        "its check digit is wrong, by Luhn's rule and, of 13 digits, by EAN-13's: one of the digits was mistyped");
  }
  return code;
}

// GB 11643-1999: ISO 7064 MOD 11-2 over 17 digits; the check character is a digit or X.
bool PassesResidentIdCheck(std::string_view code) {
  int sum = 0;
  int weight = 1;
  for (auto character = code.rbegin(); character != code.rend(); ++character) {
    sum += (*character == 'X' ? 10 : *character - '0') * weight;
    weight = weight * 2 % 11;
  }
  return sum % 11 == 1;
}

Normalised NormaliseDocument(std::string_view value) {
  Normalised code = NormaliseCode(value);
  if (!code || code->size() != 18) return code;
  const bool is_resident_id =
      std::all_of(code->begin(), code->end() - 1, IsDigit) && (IsDigit(code->back()) || code->back() == 'X');
  if (is_resident_id && !PassesResidentIdCheck(*code)) {
    return std::unexpected("its check character is wrong: one of the digits was mistyped");
  }
  return code;
}

}  // namespace

std::string_view TrimSpace(std::string_view text) {
  static constexpr std::string_view kSpaces[] = {" ", "\t", "\n", "\r", "\u00a0", "\u3000"};
  for (bool trimmed = true; trimmed;) {
    trimmed = false;
    for (const std::string_view space : kSpaces) {
      if (text.starts_with(space)) {
        text.remove_prefix(space.size());
        trimmed = true;
      }
      if (text.ends_with(space)) {
        text.remove_suffix(space.size());
        trimmed = true;
      }
    }
  }
  return text;
}

bool HasControlCharacter(std::string_view text) { return HasAny(text, IsControl); }

namespace {

Normalised Normalise(Normaliser normaliser, std::string_view value, std::string_view default_region) {
  switch (normaliser) {
    case Normaliser::kPhone:
      return NormalisePhone(value, default_region);
    case Normaliser::kEmail:
      return NormaliseEmail(value);
    case Normaliser::kOpaque:
      return NormaliseOpaque(value);
    case Normaliser::kCard:
      return NormaliseCard(value);
    case Normaliser::kAccount:
      return NormaliseAccount(value);
    case Normaliser::kDocument:
      return NormaliseDocument(value);
  }
  MUSTER_UNREACHABLE("a Normaliser that is not one");
}

}  // namespace

Normalised NormaliseValue(Normaliser normaliser, std::string_view value, std::string_view default_region) {
  static constexpr std::string_view kMasked =
      "looks like a masked value: ask a caller with personal.read for the whole one; no value may contain ***";
  if (value.size() > kValueBytesMax) return std::unexpected("must be at most 512 bytes");
  if (!IsValidUtf8(value)) return std::unexpected("must be valid UTF-8");
  if (value.contains('\0')) return std::unexpected("must not contain NUL");
  if (IsMasked(value)) return std::unexpected(kMasked);
  Normalised normalised = Normalise(normaliser, value, default_region);
  // Of full-width stars plain ones may have been made.
  if (normalised && IsMasked(*normalised)) return std::unexpected(kMasked);
  return normalised;
}

}  // namespace muster
