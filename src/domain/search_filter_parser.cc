#include <charconv>
#include <utility>

#include "base/encoding.h"
#include "domain/member_rules.h"
#include "domain/search_filter.h"
#include "domain/search_filter_scanner.h"

namespace muster {
namespace {

using Operator = std::optional<SearchOperator>;  // nullopt: ":"

bool IsEquality(Operator op) { return op == SearchOperator::kEqual || op == SearchOperator::kNotEqual; }

// "city" as a beginning of a message about one of its comparisons.
std::string NameOf(const SearchFieldRow& row) { return std::string(row.name); }

// Recursive descent over the grammar of AIP-160:
//   expression = factor { [AND] factor }      factor = term { OR term }      term = [NOT | -] simple
//   simple = "(" expression ")" | restriction      restriction = name { . name } comparison value
class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : scanner_(text) {}

  Result<Filter> Parse() {
    scanner_.SkipSpace();
    if (scanner_.AtEnd()) return Filter{};
    MUSTER_ASSIGN(Filter filter, ParseExpression());
    if (!scanner_.AtEnd()) return FailAt(scanner_.at(), "this ) closes nothing");
    return filter;
  }

 private:
  // Up to the end or a ")".
  Result<Filter> ParseExpression() {
    std::vector<Filter> factors;
    do {
      MUSTER_ASSIGN(Filter factor, ParseFactor());
      factors.push_back(std::move(factor));
      scanner_.SkipSpace();
      if (scanner_.TakeKeyword("AND")) continue;
      if (scanner_.Peek() == ',') return FailAt(scanner_.at(), "write AND or OR between two comparisons");
      if (scanner_.AtEnd() || scanner_.Peek() == ')') break;
    } while (true);
    return Filter::And(std::move(factors));
  }

  Result<Filter> ParseFactor() {
    std::vector<Filter> terms;
    do {
      MUSTER_ASSIGN(Filter term, ParseTerm());
      terms.push_back(std::move(term));
      scanner_.SkipSpace();
    } while (scanner_.TakeKeyword("OR"));
    return Filter::Or(std::move(terms));
  }

  Result<Filter> ParseTerm() {
    scanner_.SkipSpace();
    const bool is_negated = scanner_.TakeKeyword("NOT") || scanner_.Take('-');
    scanner_.SkipSpace();
    MUSTER_ASSIGN(Filter simple, ParseSimple());
    return is_negated ? Filter::Not(std::move(simple)) : std::move(simple);
  }

  Result<Filter> ParseSimple() {
    const std::size_t begin = scanner_.at();
    if (!scanner_.Take('(')) return ParseRestriction();
    if (++depth_ > kFilterDepthMax) {
      return FailAt(begin, "parentheses stand in each other more than " + std::to_string(kFilterDepthMax) +
                               " deep; write the filter with fewer");
    }
    MUSTER_ASSIGN(Filter inner, ParseExpression());
    if (!scanner_.Take(')')) return FailAt(begin, "this ( is never closed; add the ) that belongs to it");
    --depth_;
    return inner;
  }

  Result<Filter> ParseRestriction() {
    const std::size_t begin = scanner_.at();
    MUSTER_TRY(CheckBegin());
    if (++terms_ > kFilterTermsMax) {
      return FailAt(begin, "a filter has at most " + std::to_string(kFilterTermsMax) + " comparisons; ask in parts");
    }
    MUSTER_ASSIGN(std::string name, scanner_.ReadNamePart());
    SearchTest test;
    MUSTER_TRY(ReadField(std::move(name), begin, test));
    const SearchFieldRow& row = Describe(test.field);
    scanner_.SkipSpace();
    const std::size_t op_at = scanner_.at();
    MUSTER_ASSIGN(const Operator op, scanner_.ReadOperator(row.name));
    scanner_.SkipSpace();
    MUSTER_ASSIGN(FilterScanner::Value value, scanner_.ReadValue());
    MUSTER_TRY(Interpret(row, op, op_at, std::move(value), test));
    return Filter::Of(std::move(test));
  }

  // What stands where a comparison has to begin.
  Result<void> CheckBegin() const {
    for (const std::string_view keyword : {"AND", "OR", "NOT"}) {
      if (!scanner_.PeekKeyword(keyword)) continue;
      return FailAt(scanner_.at(), std::string(keyword) + (keyword == "NOT" ? " stands before a comparison or a (, once"
                                                                            : " stands between two comparisons"));
    }
    if (scanner_.AtEnd() || scanner_.Peek() == ')') return FailAt(scanner_.at(), "a comparison is missing here");
    if (scanner_.Peek() == '"' || scanner_.Peek() == '\'') {
      return FailAt(scanner_.at(), "a comparison begins with the name of a field: city = \"Suzhou\"");
    }
    return {};
  }

  // The rest of a field's name, which began with `name`.
  Result<void> ReadField(std::string name, std::size_t begin, SearchTest& test) {
    for (const std::string_view keyword : {"and", "or", "not", "And", "Or", "Not"}) {
      if (name == keyword) return FailAt(begin, "write AND, OR and NOT in capital letters");
    }
    if (name.empty()) return FailAt(begin, "a comparison begins with the name of a field: city = \"Suzhou\"");
    const bool is_attribute = name == "attributes";
    while (scanner_.Take('.')) {
      const std::size_t part_at = scanner_.at();
      MUSTER_ASSIGN(const std::string part, scanner_.ReadNamePart());
      if (part.empty()) return FailAt(part_at, "a name is missing after the dot");
      if (!is_attribute) {
        name += "." + part;
      } else {
        test.name += (test.name.empty() ? "" : ".") + part;
      }
    }
    const Result<SearchField> field = SearchFieldOf(name);
    if (!field) return FailAt(begin, field.error().message);
    test.field = *field;
    return {};
  }

  // Gives `test` its operator and its value, if they fit the field.
  Result<void> Interpret(const SearchFieldRow& row, Operator op, std::size_t op_at, FilterScanner::Value value,
                         SearchTest& test) {
    const bool is_star = !value.is_quoted && value.text == "*";
    if (row.type == SearchType::kMap && test.name.empty()) return InterpretMap(op, op_at, std::move(value), test);
    if (is_star && !op) return InterpretPresent(row, op_at, test);
    if (!value.is_quoted && value.text.find('*') != std::string::npos) {
      return FailAt(value.at, "there are no wildcards; write the whole value, in quotes if it has a *");
    }
    if (!op && row.type != SearchType::kList && row.type != SearchType::kMap) {
      return FailAt(op_at, NameOf(row) + " is no list: write = for it");
    }
    test.op = op.value_or(SearchOperator::kEqual);
    switch (row.type) {
      case SearchType::kList:
        if (op && row.field == SearchField::kTags) return FailAt(op_at, "tags is a list: write tags:\"frequent\"");
        [[fallthrough]];
      case SearchType::kText:
      case SearchType::kMap:
        if (op && !IsEquality(op)) return FailAt(op_at, NameOf(row) + " is a text: compare it with = or !=");
        test.text = std::move(value.text);
        return {};
      case SearchType::kState:
      case SearchType::kGender:
        return InterpretName(row, op, op_at, value, test);
      case SearchType::kNumber:
      case SearchType::kDate:
      case SearchType::kTime:
        return InterpretNumber(row, value, test);
    }
    return {};
  }

  // attributes:name
  Result<void> InterpretMap(Operator op, std::size_t op_at, FilterScanner::Value value, SearchTest& test) {
    if (op || value.text == "*" || value.text.empty()) {
      return FailAt(op_at,
                    "name the attribute: attributes.channel = \"store\", or attributes:channel for those with one");
    }
    test.op = SearchOperator::kPresent;
    test.name = std::move(value.text);
    return {};
  }

  Result<void> InterpretPresent(const SearchFieldRow& row, std::size_t op_at, SearchTest& test) {
    if (row.field == SearchField::kId || row.field == SearchField::kVersion || row.field == SearchField::kState ||
        row.type == SearchType::kTime) {
      return FailAt(op_at, NameOf(row) + " is always set; leave this comparison out");
    }
    test.op = SearchOperator::kPresent;
    return {};
  }

  Result<void> InterpretName(const SearchFieldRow& row, Operator op, std::size_t op_at,
                             const FilterScanner::Value& value, SearchTest& test) {
    if (!IsEquality(op)) return FailAt(op_at, NameOf(row) + " has no order: compare it with = or !=");
    if (row.type == SearchType::kState) {
      const auto state = ParseState(value.text);
      if (!state) return FailAt(value.at, "state is ACTIVE, FROZEN, MERGED or CLOSED");
      test.number = static_cast<std::int64_t>(*state);
      return {};
    }
    const auto gender = ParseGender(value.text);
    if (!gender || *gender == Gender::kUnspecified) return FailAt(value.at, "gender is FEMALE, MALE or OTHER");
    test.number = static_cast<std::int64_t>(*gender);
    return {};
  }

  Result<void> InterpretNumber(const SearchFieldRow& row, const FilterScanner::Value& value, SearchTest& test) {
    const std::string& text = value.text;
    if (row.type == SearchType::kDate) {
      if (!IsDay(text)) return FailAt(value.at, NameOf(row) + " is compared with a day: \"1990-05-17\"");
      test.number = DayNumber(text);
      return {};
    }
    if (row.type == SearchType::kTime) {
      const auto micros = ParseTimestamp(text);
      if (!micros) {
        return FailAt(value.at, NameOf(row) + " is compared with a time as in RFC 3339: \"2026-01-02T03:04:05Z\"");
      }
      test.number = *micros;
      return {};
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), test.number);
    if (error != std::errc() || end != text.data() + text.size() || test.number < 0) {
      return FailAt(value.at, NameOf(row) + " is compared with a whole number from 0 to 9223372036854775807");
    }
    return {};
  }

  std::unexpected<Error> FailAt(std::size_t offset, const std::string& what) const {
    return scanner_.FailAt(offset, what);
  }

  FilterScanner scanner_;
  std::size_t depth_ = 0;
  std::size_t terms_ = 0;
};

}  // namespace

Result<Filter> ParseFilter(std::string_view text) {
  if (text.size() > kFilterBytesMax) {
    return FailField("filter", "has more than " + std::to_string(kFilterBytesMax) + " bytes; ask in parts");
  }
  if (!IsValidUtf8(text)) return FailField("filter", "is not UTF-8");
  return FilterParser(text).Parse();
}

}  // namespace muster
