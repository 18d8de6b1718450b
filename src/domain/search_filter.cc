#include "domain/search_filter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/member_rules.h"

namespace muster {
namespace {

Filter Join(Filter::Kind kind, std::vector<Filter> children) {
  std::vector<Filter> flat;
  for (Filter& child : children) {
    if (child.kind == kind) {
      std::ranges::move(child.children, std::back_inserter(flat));
    } else {
      flat.push_back(std::move(child));
    }
  }
  if (flat.size() == 1) return std::move(flat[0]);
  return {.kind = kind, .children = std::move(flat), .test = {}};
}

void AppendQuoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

std::string_view OperatorText(SearchOperator op) {
  switch (op) {
    case SearchOperator::kEqual:
      return " = ";
    case SearchOperator::kNotEqual:
      return " != ";
    case SearchOperator::kLess:
      return " < ";
    case SearchOperator::kLessOrEqual:
      return " <= ";
    case SearchOperator::kGreater:
      return " > ";
    case SearchOperator::kGreaterOrEqual:
      return " >= ";
    case SearchOperator::kPresent:
      return ":*";
  }
  MUSTER_UNREACHABLE("an operator without a text");
}

void AppendTest(std::string& out, const SearchTest& test) {
  const SearchFieldRow& row = Describe(test.field);
  out += row.name;
  if (row.type == SearchType::kMap) {
    out.push_back('.');
    AppendQuoted(out, test.name);
  }
  const bool has = row.type == SearchType::kList && test.op == SearchOperator::kEqual;
  out += has ? ":" : OperatorText(test.op);
  if (test.op == SearchOperator::kPresent) return;
  switch (row.type) {
    case SearchType::kText:
    case SearchType::kList:
    case SearchType::kMap:
      return AppendQuoted(out, test.text);
    case SearchType::kState:
      out += StateName(static_cast<MemberState>(test.number));
      return;
    case SearchType::kGender:
      out += GenderName(static_cast<Gender>(test.number));
      return;
    case SearchType::kNumber:
      out += std::to_string(test.number);
      return;
    case SearchType::kDate:
      return AppendQuoted(out, DayText(test.number));
    case SearchType::kTime:
      return AppendQuoted(out, FormatTimestamp(test.number));
  }
}

void Append(std::string& out, const Filter& filter);

// In parentheses where the tree would be another without: OR binds tighter than AND, NOT tighter than both.
void AppendChild(std::string& out, const Filter& child, bool in_and) {
  const bool is_joined = child.kind == Filter::Kind::kAnd || (child.kind == Filter::Kind::kOr && !in_and);
  if (is_joined) out.push_back('(');
  Append(out, child);
  if (is_joined) out.push_back(')');
}

void Append(std::string& out, const Filter& filter) {
  switch (filter.kind) {
    case Filter::Kind::kAll:
      return;
    case Filter::Kind::kTest:
      return AppendTest(out, filter.test);
    case Filter::Kind::kNot: {
      const Filter& child = filter.children[0];
      const bool is_plain = child.kind == Filter::Kind::kTest;
      out += is_plain ? "NOT " : "NOT (";
      Append(out, child);
      if (!is_plain) out.push_back(')');
      return;
    }
    case Filter::Kind::kAnd:
    case Filter::Kind::kOr:
      for (std::size_t i = 0; i < filter.children.size(); ++i) {
        const bool is_and = filter.kind == Filter::Kind::kAnd;
        if (i > 0) out += is_and ? " AND " : " OR ";
        AppendChild(out, filter.children[i], is_and);
      }
      return;
  }
}

bool CompareNumber(SearchOperator op, std::int64_t value, bool is_set, std::int64_t wanted) {
  switch (op) {
    case SearchOperator::kEqual:
      return is_set && value == wanted;
    case SearchOperator::kNotEqual:
      return !is_set || value != wanted;
    case SearchOperator::kLess:
      return is_set && value < wanted;
    case SearchOperator::kLessOrEqual:
      return is_set && value <= wanted;
    case SearchOperator::kGreater:
      return is_set && value > wanted;
    case SearchOperator::kGreaterOrEqual:
      return is_set && value >= wanted;
    case SearchOperator::kPresent:
      return is_set;
  }
  MUSTER_UNREACHABLE("an operator without a case");
}

bool CompareText(const SearchTest& test, std::string_view value) {
  if (test.op == SearchOperator::kPresent) return !value.empty();
  return (value == test.text) == (test.op == SearchOperator::kEqual);
}

bool CompareAttribute(const SearchTest& test, const SearchDocument& document) {
  const auto found = std::ranges::find(document.attributes, test.name, [](const auto& pair) { return pair.first; });
  const bool is_set = found != document.attributes.end();
  if (test.op == SearchOperator::kPresent) return is_set;
  return (is_set && found->second == test.text) == (test.op == SearchOperator::kEqual);
}

template <typename Elements, typename Part>
bool CompareList(const SearchTest& test, const Elements& elements, Part part) {
  if (test.op == SearchOperator::kPresent) {
    return std::ranges::any_of(elements, [](std::string_view text) { return !text.empty(); }, part);
  }
  const bool has = std::ranges::any_of(elements, [&](std::string_view text) { return text == test.text; }, part);
  return has == (test.op == SearchOperator::kEqual);
}

bool Compare(const SearchTest& test, const SearchDocument& document) {
  const auto compare = [&](std::int64_t value, bool is_set) {
    return CompareNumber(test.op, value, is_set, test.number);
  };
  switch (test.field) {
    case SearchField::kId:
      return compare(document.id.value(), true);
    case SearchField::kState:
      return compare(static_cast<std::int64_t>(document.state), true);
    case SearchField::kDisplayName:
      return CompareText(test, document.display_name);
    case SearchField::kGender:
      return compare(static_cast<std::int64_t>(document.gender), document.gender != Gender::kUnspecified);
    case SearchField::kBirthDate:
      return compare(document.birth_day, document.birth_day != 0);
    case SearchField::kCity:
      return CompareText(test, document.city);
    case SearchField::kTier:
      return CompareText(test, document.tier);
    case SearchField::kTags:
      return CompareList(test, document.tags, std::identity());
    case SearchField::kAttributes:
      return CompareAttribute(test, document);
    case SearchField::kIdentityKind:
      return CompareList(test, document.identities, &std::pair<std::string, std::string>::first);
    case SearchField::kIdentityPlatform:
      return CompareList(test, document.identities, &std::pair<std::string, std::string>::second);
    case SearchField::kVersion:
      return compare(document.version.value(), true);
    case SearchField::kCreateTime:
      return compare(document.create_time.time_since_epoch().count(), true);
    case SearchField::kUpdateTime:
      return compare(document.update_time.time_since_epoch().count(), true);
    case SearchField::kMergedInto:
      return compare(document.merged_into.value(), document.merged_into.value() != 0);
  }
  MUSTER_UNREACHABLE("a field without a case");
}

}  // namespace

Filter Filter::Of(SearchTest test) { return {.kind = Kind::kTest, .children = {}, .test = std::move(test)}; }
Filter Filter::And(std::vector<Filter> children) { return Join(Kind::kAnd, std::move(children)); }
Filter Filter::Or(std::vector<Filter> children) { return Join(Kind::kOr, std::move(children)); }
Filter Filter::Not(Filter child) {
  Filter filter{.kind = Kind::kNot, .children = {}, .test = {}};
  filter.children.push_back(std::move(child));
  return filter;
}

std::string PrintFilter(const Filter& filter) {
  std::string text;
  Append(text, filter);
  return text;
}

bool Matches(const Filter& filter, const SearchDocument& document) {
  const auto matches = [&](const Filter& child) { return Matches(child, document); };
  switch (filter.kind) {
    case Filter::Kind::kAll:
      return true;
    case Filter::Kind::kTest:
      return Compare(filter.test, document);
    case Filter::Kind::kNot:
      return !matches(filter.children[0]);
    case Filter::Kind::kAnd:
      return std::ranges::all_of(filter.children, matches);
    case Filter::Kind::kOr:
      return std::ranges::any_of(filter.children, matches);
  }
  MUSTER_UNREACHABLE("a filter without a case");
}

}  // namespace muster
