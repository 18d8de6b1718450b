#include "domain/search_filter.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>

#include "domain/testing/arbitrary_member.h"

namespace muster {
namespace {

using testing::ArbitraryMember;
using testing::ArbitraryText;
using testing::ArbitraryTime;

// A test about `member` as often as not, so that filters match now and then.
SearchTest ArbitraryTest(const Member& member) {
  const auto row = *rc::gen::elementOf(std::vector<SearchFieldRow>(SearchFields().begin(), SearchFields().end()));
  const SearchDocument document = MakeSearchDocument(member);
  const bool own = *rc::gen::arbitrary<bool>();
  SearchTest test{.field = row.field};
  using enum SearchOperator;
  const bool is_text = row.type == SearchType::kText || row.type == SearchType::kList || row.type == SearchType::kMap;
  const bool is_name = row.type == SearchType::kState || row.type == SearchType::kGender;
  test.op = is_text || is_name ? *rc::gen::element(kEqual, kNotEqual)
                               : *rc::gen::element(kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual);
  if (row.field == SearchField::kTags) test.op = kEqual;
  if (is_text && *rc::gen::inRange(0, 4) == 0) test.op = kPresent;
  if (row.type == SearchType::kMap) {
    test.name = own && !document.attributes.empty() ? document.attributes[0].first : "n" + *ArbitraryText(20);
  }
  if (is_text && test.op != kPresent) test.text = *ArbitraryText(30);
  if (is_text && own && test.op != kPresent) {
    if (row.field == SearchField::kCity) test.text = document.city;
    if (row.field == SearchField::kTags && !document.tags.empty()) test.text = document.tags.back();
    if (row.field == SearchField::kIdentityKind) test.text = "phone";
    if (row.type == SearchType::kMap && !document.attributes.empty()) test.text = document.attributes[0].second;
  }
  if (row.type == SearchType::kState) test.number = *rc::gen::inRange(1, 5);
  if (row.type == SearchType::kGender) test.number = *rc::gen::inRange(1, 4);
  if (row.type == SearchType::kNumber) test.number = *rc::gen::inRange<std::int64_t>(0, INT64_MAX);
  if (row.type == SearchType::kDate) test.number = *rc::gen::element<std::int64_t>(20000229, 19991231, 10101, 20240101);
  if (row.type == SearchType::kTime) test.number = (*ArbitraryTime()).time_since_epoch().count();
  return test;
}

Filter ArbitraryFilter(const Member& member, int depth) {
  const int kind = depth == 0 ? 0 : *rc::gen::inRange(0, 4);
  if (kind == 0) return Filter::Of(ArbitraryTest(member));
  if (kind == 1) return Filter::Not(ArbitraryFilter(member, depth - 1));
  std::vector<Filter> children;
  for (int i = *rc::gen::inRange(2, 4); i > 0; --i) children.push_back(ArbitraryFilter(member, depth - 1));
  return kind == 2 ? Filter::And(std::move(children)) : Filter::Or(std::move(children));
}

// What a filter means, said again on the member itself.
bool NaiveTest(const SearchTest& test, const Member& member) {
  const auto text = [&](const std::string& value) {
    if (test.op == SearchOperator::kPresent) return !value.empty();
    return test.op == SearchOperator::kEqual ? value == test.text : value != test.text;
  };
  const auto list = [&](const std::vector<std::string>& values) {
    bool has = false;
    for (const std::string& value : values) {
      has = has || (test.op == SearchOperator::kPresent ? !value.empty() : value == test.text);
    }
    return test.op == SearchOperator::kNotEqual ? !has : has;
  };
  const auto order = [&](auto value, auto wanted) {
    switch (test.op) {
      case SearchOperator::kEqual:
        return value == wanted;
      case SearchOperator::kNotEqual:
        return value != wanted;
      case SearchOperator::kLess:
        return value < wanted;
      case SearchOperator::kLessOrEqual:
        return value <= wanted;
      case SearchOperator::kGreater:
        return value > wanted;
      case SearchOperator::kGreaterOrEqual:
        return value >= wanted;
      case SearchOperator::kPresent:
        return true;
    }
    return false;
  };
  const auto time = [](Timestamp at) { return at.time_since_epoch().count(); };
  std::vector<std::string> kinds, platforms;
  for (const Identity& identity : member.identities) {
    kinds.push_back(identity.kind);
    platforms.push_back(identity.platform);
  }
  const bool is_negative = test.op == SearchOperator::kNotEqual;
  switch (test.field) {
    case SearchField::kId:
      return order(member.id.value(), test.number);
    case SearchField::kState:
      return order(static_cast<std::int64_t>(member.state), test.number);
    case SearchField::kDisplayName:
      return text(member.display_name);
    case SearchField::kGender:
      return member.gender == Gender::kUnspecified ? is_negative
                                                   : order(static_cast<std::int64_t>(member.gender), test.number);
    case SearchField::kBirthDate:
      return member.birth_date.empty() ? is_negative : order(member.birth_date, DayText(test.number));
    case SearchField::kCity:
      return text(member.city);
    case SearchField::kTier:
      return text(member.tier);
    case SearchField::kTags:
      return list(member.tags);
    case SearchField::kAttributes: {
      const auto found = member.attributes.find(test.name);
      if (found == member.attributes.end()) return is_negative;
      return test.op == SearchOperator::kPresent || text(found->second);
    }
    case SearchField::kIdentityKind:
      return list(kinds);
    case SearchField::kIdentityPlatform:
      return list(platforms);
    case SearchField::kVersion:
      return order(member.version.value(), test.number);
    case SearchField::kCreateTime:
      return order(time(member.create_time), test.number);
    case SearchField::kUpdateTime:
      return order(time(member.update_time), test.number);
    case SearchField::kMergedInto:
      return member.merged_into.value() == 0 ? is_negative : order(member.merged_into.value(), test.number);
  }
  return false;
}

bool NaiveMatches(const Filter& filter, const Member& member) {
  std::size_t matching = 0;
  for (const Filter& child : filter.children) matching += NaiveMatches(child, member) ? 1 : 0;
  if (filter.kind == Filter::Kind::kTest) return NaiveTest(filter.test, member);
  if (filter.kind == Filter::Kind::kNot) return matching == 0;
  return filter.kind == Filter::Kind::kOr ? matching > 0 : matching == filter.children.size();
}

RC_GTEST_PROP(SearchFilterTest, ReadsWhatItPrints, ()) {
  const Filter filter = ArbitraryFilter(*ArbitraryMember(), 3);
  const std::string text = PrintFilter(filter);
  RC_PRE(text.size() <= kFilterBytesMax);
  const Result<Filter> read = ParseFilter(text);
  RC_LOG() << text << (read ? "" : read.error().message);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == filter);
}

RC_GTEST_PROP(SearchFilterTest, MeansWhatANaiveReaderTakesItFor, ()) {
  const Member member = *ArbitraryMember();
  const Filter filter = ArbitraryFilter(member, 3);
  RC_LOG() << PrintFilter(filter);
  RC_CLASSIFY(NaiveMatches(filter, member), "matches");
  RC_ASSERT(Matches(filter, MakeSearchDocument(member)) == NaiveMatches(filter, member));
}

TEST(SearchFilterTest, AnEmptyFilterMatchesAll) { EXPECT_TRUE(Matches(*ParseFilter(""), SearchDocument{})); }

}  // namespace
}  // namespace muster
