#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

// Appends `text` with its percent-escapes (RFC 3986) decoded; false, with `out` in any state, on a malformed one. A '+'
// stays a '+', as it does in paths.
bool PercentDecode(std::string_view text, std::string& out);

// The same for a value in a query, where a '+' is a space, since standard encoders write spaces so
// (application/x-www-form-urlencoded). Not as the first character, which stays a '+': people paste phone numbers as
// they are, and an encoder begins a value with '+' only for a space that normalising would trim. "%2B" is a '+'
// anywhere.
bool DecodeQueryValue(std::string_view text, std::string& out);

// The parameters of one request's query. Reused from request to request, so that parsing does not allocate.
class QueryParameters {
 public:
  static constexpr std::size_t kParametersMax = 16;

  // INVALID_ARGUMENT: a malformed escape, text that is not UTF-8 or contains NUL, a name given twice, a name that is
  // not in `known`, more than kParametersMax. `query` must not contain the '?'. Empty parts ("a=1&&b=2") are skipped.
  Result<void> Parse(std::string_view query, std::span<const std::string_view> known);

  // The decoded value (DecodeQueryValue), empty for "?verbose"; valid until the next Parse.
  std::optional<std::string_view> Find(std::string_view name) const;
  // The value as a decimal number of [min, max], or `absent` when there is none. INVALID_ARGUMENT names the parameter.
  Result<std::int64_t> Integer(std::string_view name, std::int64_t absent, std::int64_t min, std::int64_t max) const;

 private:
  struct Parameter {
    std::string_view name;
    std::string_view value;
  };
  Result<void> Add(std::string_view part, std::span<const std::string_view> known);

  std::string decoded_;
  std::array<Parameter, kParametersMax> parameters_;
  std::size_t count_ = 0;
};

// A decimal integer without sign, spaces, leading zeros or anything after it, so that a number has one text; nullopt
// when it is none or above 2^63-1.
std::optional<std::int64_t> ParseDecimal(std::string_view text);

}  // namespace muster
