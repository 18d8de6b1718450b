#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "domain/identity_catalog.h"

namespace muster {

// A normalised value, or what is wrong with the given one: a literal that says what would be right and never repeats
// the value.
using Normalised = std::expected<std::string, std::string_view>;

// The one spelling of `value`, unless it looks like a mask (IsMasked): pure, total over all byte strings, and
// idempotent. `default_region` (ISO 3166, "CN") is that of phones without a country code.
Normalised NormaliseValue(Normaliser normaliser, std::string_view value, std::string_view default_region);

// kPhone alone; and whether a region is one that phones can have.
Normalised NormalisePhone(std::string_view value, std::string_view default_region);
bool IsPhoneRegion(std::string_view region);

// NormalisePhone without its shortcut for Chinese mobile numbers: the oracle of its tests.
Normalised NormalisePhoneByLibrary(std::string_view value, std::string_view default_region);

// `text` without white space around it (ASCII's, U+00A0 and U+3000, which Chinese keyboards type).
std::string_view TrimSpace(std::string_view text);

// Whether `text`, which is valid UTF-8, holds a control character (C0, DEL, C1).
bool HasControlCharacter(std::string_view text);

}  // namespace muster
