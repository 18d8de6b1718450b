#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace muster {

// Where in a request a value stands. Lives on the stack of whoever reads the request, parent by parent, and becomes
// text only for an error.
struct FieldPath {
  const FieldPath* parent = nullptr;
  std::string_view name = {};  // empty for an element of a list
  std::size_t index = 0;

  FieldPath Field(std::string_view field) const { return {this, field, 0}; }
  FieldPath Element(std::size_t element) const { return {this, {}, element}; }
  std::string Text() const;  // "identities[1].value"; empty for the root
};

inline constexpr FieldPath kRoot;

// A name that a caller made up, as an error may repeat it: itself when it looks like the name of a field, else a
// phrase, since anything else might be a personal value in the wrong place.
std::string ShownName(std::string_view name);

// "is not known here; did you mean "displayName"?", or the names that are.
std::string DescribeUnknownName(std::string_view name, std::span<const std::string_view> known);

}  // namespace muster
