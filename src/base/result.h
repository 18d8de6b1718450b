#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/error.h"

namespace muster {

// A value or an expected failure.
template <typename T>
using Result = std::expected<T, Error>;

// `return Fail(Reason::kIdentityTaken, "...")` from any function that returns a Result.
inline std::unexpected<Error> Fail(Reason reason, std::string message) {
  return std::unexpected(Error{.reason = reason, .message = std::move(message)});
}

inline std::unexpected<Error> Fail(Error error) { return std::unexpected(std::move(error)); }

// An element of a list as the field of a violation: "tags[2]".
inline std::string Indexed(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

// One invalid field, with its path.
inline std::unexpected<Error> FailField(std::string field, std::string description) {
  Error error{.reason = Reason::kInvalidArgument, .message = field.empty() ? description : field + ": " + description};
  error.violations.push_back({std::move(field), std::move(description)});
  return std::unexpected(std::move(error));
}

}  // namespace muster

#define MUSTER_CONCAT_INNER(a, b) a##b
#define MUSTER_CONCAT(a, b) MUSTER_CONCAT_INNER(a, b)

// MUSTER_ASSIGN(auto member, store.Read(id)): the value, or return the error from the enclosing function.
#define MUSTER_ASSIGN(declaration, expression) \
  MUSTER_ASSIGN_IMPL(MUSTER_CONCAT(muster_result_, __LINE__), declaration, expression, return)
// MUSTER_TRY(store.Write(row)): for a Result<void>, or when the value does not matter.
#define MUSTER_TRY(expression) MUSTER_TRY_IMPL(MUSTER_CONCAT(muster_result_, __LINE__), expression, return)
// The same two inside a coroutine.
#define MUSTER_CO_ASSIGN(declaration, expression) \
  MUSTER_ASSIGN_IMPL(MUSTER_CONCAT(muster_result_, __LINE__), declaration, expression, co_return)
#define MUSTER_CO_TRY(expression) MUSTER_TRY_IMPL(MUSTER_CONCAT(muster_result_, __LINE__), expression, co_return)

// Declarations and keywords cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define MUSTER_ASSIGN_IMPL(name, declaration, expression, give_back) \
  auto name = (expression);                                          \
  if (!name) [[unlikely]] {                                          \
    give_back ::std::unexpected(::std::move(name).error());          \
  }                                                                  \
  declaration = *::std::move(name)

#define MUSTER_TRY_IMPL(name, expression, give_back)        \
  if (auto name = (expression); !name) [[unlikely]] {       \
    give_back ::std::unexpected(::std::move(name).error()); \
  }
// NOLINTEND(bugprone-macro-parentheses)
