#include "domain/search_filter_scanner.h"

#include <algorithm>

namespace muster {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kNameEnds = " \t\r\n()\"'=<>!:.,";
constexpr std::string_view kValueEnds = " \t\r\n()\"'=<>,";

bool IsKeyword(std::string_view word) { return word == "AND" || word == "OR" || word == "NOT"; }

}  // namespace

void FilterScanner::SkipSpace() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }

bool FilterScanner::Take(char wanted) {
  if (AtEnd() || text_[at_] != wanted) return false;
  ++at_;
  return true;
}

bool FilterScanner::PeekKeyword(std::string_view keyword) const {
  const std::string_view rest = text_.substr(at_);
  if (!rest.starts_with(keyword)) return false;
  return rest.size() == keyword.size() || (kSpace.find(rest[keyword.size()]) != std::string_view::npos) ||
         rest[keyword.size()] == '(' || rest[keyword.size()] == ')';
}

bool FilterScanner::TakeKeyword(std::string_view keyword) {
  if (!PeekKeyword(keyword)) return false;
  at_ += keyword.size();
  return true;
}

std::string_view FilterScanner::TakeWord(std::string_view ends) {
  const std::size_t end = std::min(text_.find_first_of(ends, at_), text_.size());
  const std::string_view word = text_.substr(at_, end - at_);
  at_ = end;
  return word;
}

Result<std::string> FilterScanner::ReadQuoted() {
  const std::size_t begin = at_;
  std::string text;
  for (++at_; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '"') {
      ++at_;
      return text;
    }
    if (c == '\\') {
      ++at_;
      if (Peek() != '"' && Peek() != '\\') {
        return FailAt(at_ - 1, R"(in quotes a backslash stands before " or \ only; write \\ for a backslash)");
      }
    }
    text.push_back(text_[at_]);
  }
  return FailAt(begin, "this text has no end; close it with \"");
}

Result<std::string> FilterScanner::ReadNamePart() {
  if (Peek() == '"') return ReadQuoted();
  return std::string(TakeWord(kNameEnds));
}

Result<std::optional<SearchOperator>> FilterScanner::ReadOperator(std::string_view field) {
  const std::size_t begin = at_;
  const auto twice = [&] { return Peek() == '=' || Peek() == '>' || Peek() == '<' || Peek() == '!' || Peek() == ':'; };
  std::optional<SearchOperator> op;
  if (Take(':')) {
    op = std::nullopt;
  } else if (Take('=')) {
    op = SearchOperator::kEqual;
  } else if (Take('<')) {
    op = Take('=') ? SearchOperator::kLessOrEqual : SearchOperator::kLess;
  } else if (Take('>')) {
    op = Take('=') ? SearchOperator::kGreaterOrEqual : SearchOperator::kGreater;
  } else if (text_.substr(at_).starts_with("!=")) {
    at_ += 2;
    op = SearchOperator::kNotEqual;
  } else {
    return FailAt(begin, "after " + std::string(field) + " a comparison belongs: = != < <= > >= or :");
  }
  if (twice()) return FailAt(begin, "there is no such comparison; there are = != < <= > >= and :");
  return op;
}

Result<FilterScanner::Value> FilterScanner::ReadValue() {
  Value value{.text = {}, .at = at_, .is_quoted = Peek() == '"'};
  if (value.is_quoted) {
    MUSTER_ASSIGN(value.text, ReadQuoted());
    return value;
  }
  if (Peek() == '\'') return FailAt(at_, "put text in double quotes");
  if (Peek() == '(') {
    return FailAt(at_, "a comparison takes one value; write city = \"a\" OR city = \"b\" for one of several");
  }
  value.text = TakeWord(kValueEnds);
  if (value.text.empty()) return FailAt(value.at, "a value is missing here");
  if (IsKeyword(value.text)) {
    return FailAt(value.at, "a value is missing before " + value.text + "; put it in quotes if it is the value");
  }
  return value;
}

std::unexpected<Error> FilterScanner::FailAt(std::size_t offset, const std::string& what) const {
  // Every byte that does not continue a character begins one.
  const auto before = static_cast<std::size_t>(std::ranges::count_if(
      text_.substr(0, offset), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  return FailField("filter", "column " + std::to_string(before + 1) + ": " + what);
}

}  // namespace muster
