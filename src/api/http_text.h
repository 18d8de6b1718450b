#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace muster {

// The character classes of HTTP (RFC 9110 section 5.6.2, RFC 9112 section 3.2) as tables, and what is compared
// without case.

using CharacterClass = std::array<bool, 256>;

constexpr CharacterClass MakeCharacterClass(std::string_view members) {
  CharacterClass table{};
  for (const char c : members) table[static_cast<unsigned char>(c)] = true;
  return table;
}

inline constexpr std::string_view kAlphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

// tchar
inline constexpr CharacterClass kTokenCharacters = [] {
  CharacterClass table = MakeCharacterClass(kAlphanumeric);
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

// A field value: visible characters, obs-text, spaces and tabs. No other control character.
inline constexpr CharacterClass kValueCharacters = [] {
  CharacterClass table{};
  for (std::size_t c = 0x20; c < 0x100; ++c) table[c] = c != 0x7F;
  table['\t'] = true;
  return table;
}();

// A request target: visible ASCII without '#', which belongs to the client alone. Wider than RFC 3986: what is not
// percent-encoded as it should be is the handlers' matter.
inline constexpr CharacterClass kTargetCharacters = [] {
  CharacterClass table{};
  for (std::size_t c = 0x21; c < 0x7F; ++c) table[c] = c != '#';
  return table;
}();

// uri-host [":" port]
inline constexpr CharacterClass kHostCharacters = [] {
  CharacterClass table = MakeCharacterClass(kAlphanumeric);
  for (const char c : std::string_view("-._~%!$&'()*+;=:[]")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

inline bool Is(const CharacterClass& table, char c) { return table[static_cast<unsigned char>(c)]; }

constexpr char ToLowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (ToLowerAscii(a[i]) != ToLowerAscii(b[i])) return false;
  }
  return true;
}

// Without the spaces and tabs around it.
constexpr std::string_view TrimWhiteSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace muster
