#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/search_filter.h"

namespace muster {

// Walks through the text of a filter (search_filter.h), and says where in it something is wrong. What a name ends at, a
// value may contain (":" and "." in a time), so the reader of the grammar says which of both comes next. The text must
// outlive it.
class FilterScanner {
 public:
  explicit FilterScanner(std::string_view text) : text_(text) {}

  void SkipSpace();
  bool AtEnd() const { return at_ == text_.size(); }
  std::size_t at() const { return at_; }
  // The next byte; NUL at the end.
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  // Takes the next byte if it is `wanted`.
  bool Take(char wanted);
  // AND, OR or NOT as a word of its own, if the text goes on with it.
  bool PeekKeyword(std::string_view keyword) const;
  bool TakeKeyword(std::string_view keyword);

  // One part of a field's name: a word or a quoted text. Empty where there is none.
  Result<std::string> ReadNamePart();
  // = != < <= > >= and ":", which answers nullopt.
  Result<std::optional<SearchOperator>> ReadOperator(std::string_view field);

  struct Value {
    std::string text;
    std::size_t at = 0;
    bool is_quoted = false;
  };
  Result<Value> ReadValue();

  // INVALID_ARGUMENT with the column of the byte at `offset`.
  std::unexpected<Error> FailAt(std::size_t offset, const std::string& what) const;

 private:
  Result<std::string> ReadQuoted();
  std::string_view TakeWord(std::string_view ends);

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace muster
