#include "base/option_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <span>

#include "base/encoding.h"

namespace muster {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// Smallest first.
constexpr std::array<Unit, 4> kByteUnits = {
    {{"", 1}, {"KiB", std::int64_t{1} << 10}, {"MiB", std::int64_t{1} << 20}, {"GiB", std::int64_t{1} << 30}}};
constexpr std::array<Unit, 4> kTimeUnits = {{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};

// A number that is not negative, then a unit, with or without a space between.
Result<std::int64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units, std::string_view expected) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  if (name.starts_with(' ')) name.remove_prefix(1);
  const auto unit = std::ranges::find(units, name, &Unit::name);
  const bool read = error == std::errc() && number >= 0 && !text.starts_with('-') && unit != units.end();
  if (!read || number > std::numeric_limits<std::int64_t>::max() / unit->factor) {
    return Fail(Reason::kInvalidArgument, std::string(expected));
  }
  return number * unit->factor;
}

std::string ShowWithUnit(std::int64_t value, std::span<const Unit> units, std::string_view space) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) best = &unit;
  }
  std::string text = std::to_string(value / best->factor);
  if (!best->name.empty()) text.append(space).append(best->name);
  return text;
}

}  // namespace

Result<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(Reason::kInvalidArgument, "must be a whole number");
  }
  return number;
}

Result<std::int64_t> ParseBytes(std::string_view text) {
  return ParseWithUnit(text, kByteUnits, "must be a number of bytes, such as 512, 64 KiB, 256 MiB or 2 GiB");
}

Result<std::int64_t> ParseMilliseconds(std::string_view text) {
  return ParseWithUnit(text, kTimeUnits, "must be a duration, such as 250ms, 10s, 5m or 24h");
}

Result<bool> ParseBoolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Fail(Reason::kInvalidArgument, "must be true or false");
}

Result<void> CheckText(std::string_view text) {
  const bool has_control = std::ranges::any_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; });
  if (has_control || !IsValidUtf8(text)) {
    return Fail(Reason::kInvalidArgument, "must be UTF-8 without control characters");
  }
  return {};
}

std::string ShowBytes(std::int64_t bytes) { return ShowWithUnit(bytes, kByteUnits, " "); }

std::string ShowMilliseconds(std::int64_t milliseconds) { return ShowWithUnit(milliseconds, kTimeUnits, ""); }

}  // namespace muster
