#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "domain/member_document.h"
#include "domain/member_rules.h"
#include "domain/testing/arbitrary_member.h"
#include "domain/testing/members.h"

namespace muster {
namespace {

Member LegalMember() {
  Member member;
  member.id = MemberId(1);
  member.display_name = "Li Lei";
  member.identities = {testing::MakeIdentity(1)};
  return member;
}

struct Case {
  std::string field;  // that the refusal must name; empty: legal
  std::function<void(Member&)> change;
};

void Check(const std::vector<Case>& cases) {
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Member member = LegalMember();
    cases[i].change(member);
    const Result<void> checked = CheckFields(member);
    if (cases[i].field.empty()) {
      EXPECT_TRUE(checked) << "case " << i << ": " << checked.error().message;
      continue;
    }
    ASSERT_FALSE(checked) << "case " << i << " " << cases[i].field;
    EXPECT_EQ(checked.error().reason, Reason::kInvalidArgument);
    ASSERT_EQ(checked.error().violations.size(), 1u);
    EXPECT_EQ(checked.error().violations[0].field, cases[i].field);
    EXPECT_FALSE(checked.error().violations[0].description.empty());
  }
}

TEST(CheckFieldsTest, TextsHaveBounds) {
  Check({
      {"", [](Member& m) { m.display_name = std::string(256, 'x'); }},
      {"displayName", [](Member& m) { m.display_name = std::string(257, 'x'); }},
      {"", [](Member& m) { m.real_name = Pii(std::string(256, 'x')); }},
      {"realName", [](Member& m) { m.real_name = Pii(std::string(257, 'x')); }},
      {"", [](Member& m) { m.city = std::string(64, 'x'); }},
      {"city", [](Member& m) { m.city = std::string(65, 'x'); }},
      {"tier", [](Member& m) { m.tier = std::string(65, 'x'); }},
      {"identities[0].source", [](Member& m) { m.identities[0].source = std::string(65, 'x'); }},
      {"", [](Member& m) { m.city = "李李李李李李李李李李李李李李李李李李李李李"; }},  // 63 bytes
      {"city", [](Member& m) { m.city = "李李李李李李李李李李李李李李李李李李李李李李"; }},
  });
}

TEST(CheckFieldsTest, TextsAreUtf8WithoutControlCharacters) {
  using namespace std::string_literals;
  for (const std::string& bad :
       {"a\nb"s, "a\tb"s, "\0"s, "\x7f"s, "\u0085"s, "\x1b[31m"s, "\xff"s, "\xc3"s, "\xed\xa0\x80"s}) {
    Check({
        {"displayName", [&](Member& m) { m.display_name = bad; }},
        {"realName", [&](Member& m) { m.real_name = Pii(bad); }},
        {"city", [&](Member& m) { m.city = bad; }},
        {"tier", [&](Member& m) { m.tier = bad; }},
        {"tags[0]", [&](Member& m) { m.tags = {bad}; }},
        {"attributes", [&](Member& m) { m.attributes = {{bad, "x"}}; }},
        {"attributes.name", [&](Member& m) { m.attributes = {{"name", bad}}; }},
        {"identities[0].source", [&](Member& m) { m.identities[0].source = bad; }},
    });
  }
  for (const std::string good : {"O'Brien \"the\\great\"", "👨‍👩‍👧", "שלום", "\u00a0", "𠀀"}) {
    Check({{"", [&](Member& m) { m.display_name = good; }}});
  }
}

TEST(CheckFieldsTest, ARealNameIsNoMask) {
  for (const std::string name : {"W***", "***", "李***", "Li ****", "a***b"}) {
    Check({{"realName", [&](Member& m) { m.real_name = Pii(name); }}, {"", [&](Member& m) { m.display_name = name; }}});
  }
  for (const std::string name : {"", "W", "W**", "* * *"}) Check({{"", [&](Member& m) { m.real_name = Pii(name); }}});
  Member member = LegalMember();
  member.real_name = Pii<std::string>("Wang***");
  const Error refused = CheckFields(member).error();
  EXPECT_TRUE(refused.message.contains("looks like a masked value")) << refused.message;
  EXPECT_FALSE(refused.message.contains("Wang"));
}

// What one caller is shown, another cannot write back.
RC_GTEST_PROP(CheckFieldsProperty, NoMaskOfANamePasses, ()) {
  Member member = LegalMember();
  member.real_name = Pii(Mask(*testing::ArbitraryText(100), MaskStyle::kName));
  RC_ASSERT(!CheckFields(member).has_value());
}

TEST(CheckFieldsTest, RefusalsDoNotRepeatPersonalValues) {
  Member member = LegalMember();
  member.real_name = Pii<std::string>("Secret\nName");
  const Result<void> checked = CheckFields(member);
  ASSERT_FALSE(checked);
  EXPECT_FALSE(checked.error().message.contains("Secret"));
  member = LegalMember();
  member.birth_date = "1990-13-77";
  EXPECT_FALSE(CheckFields(member).error().message.contains("1990"));
}

TEST(CheckFieldsTest, BirthDatesAreDays) {
  for (const char* day : {"", "1990-01-31", "2000-02-29", "0001-01-01", "9999-12-31"}) {
    Check({{"", [&](Member& m) { m.birth_date = day; }}});
  }
  for (const char* day : {"1990-02-29", "1900-02-29", "1990-00-01", "1990-13-01", "1990-01-00", "1990-01-32",
                          "0000-01-01", "90-01-01", "1990-1-1", "1990/01/01", "19900101", "1990-01-01T00:00:00Z",
                          " 1990-01-01", "1990-01-0x", "-990-01-01", "199o-01-01", "１９９０-01-01"}) {
    Check({{"birthDate", [&](Member& m) { m.birth_date = day; }}});
  }
}

TEST(CheckFieldsTest, TagsAreFewDifferentAndNotEmpty) {
  const auto tags = [](std::size_t count) {
    std::vector<std::string> list;
    for (std::size_t i = 0; i < count; ++i) list.push_back("tag " + std::to_string(i));
    return list;
  };
  Check({
      {"", [&](Member& m) { m.tags = tags(64); }},
      {"tags", [&](Member& m) { m.tags = tags(65); }},
      {"tags[1]", [](Member& m) { m.tags = {"a", ""}; }},
      {"tags[2]", [](Member& m) { m.tags = {"a", "b", "a"}; }},
      {"", [](Member& m) { m.tags = {"a", "A"}; }},
      {"", [](Member& m) { m.tags = {std::string(64, 'x')}; }},
      {"tags[0]", [](Member& m) { m.tags = {std::string(65, 'x')}; }},
  });
}

TEST(CheckFieldsTest, AttributesAreFewAndBounded) {
  const auto attributes = [](std::size_t count) {
    std::map<std::string, std::string> map;
    for (std::size_t i = 0; i < count; ++i) map["name " + std::to_string(i)] = "";
    return map;
  };
  Check({
      {"", [&](Member& m) { m.attributes = attributes(64); }},
      {"attributes", [&](Member& m) { m.attributes = attributes(65); }},
      {"attributes", [](Member& m) { m.attributes = {{"", "x"}}; }},
      {"attributes", [](Member& m) { m.attributes = {{std::string(65, 'n'), "x"}}; }},
      {"", [](Member& m) { m.attributes = {{std::string(64, 'n'), std::string(1024, 'x')}}; }},
      {"attributes.n", [](Member& m) { m.attributes = {{"n", std::string(1025, 'x')}}; }},
  });
}

TEST(CheckFieldsTest, NumbersAndTimesAreInTheirRanges) {
  const Timestamp year_10000 = std::chrono::sys_days(std::chrono::January / 1 / 10000);
  const Timestamp year_1 = std::chrono::sys_days(std::chrono::January / 1 / 1);
  Check({
      {"", [](Member& m) { m.id = MemberId(0); }},
      {"", [](Member& m) { m.id = MemberId(INT64_MAX); }},
      {"id", [](Member& m) { m.id = MemberId(-1); }},
      {"version", [](Member& m) { m.version = Version(0); }},
      {"version", [](Member& m) { m.version = Version(-5); }},
      {"createTime", [&](Member& m) { m.create_time = year_10000; }},
      {"", [&](Member& m) { m.create_time = year_10000 - Duration(1); }},
      {"updateTime", [&](Member& m) { m.update_time = year_1 - Duration(1); }},
      {"", [&](Member& m) { m.update_time = year_1; }},
      {"identities[0].bindTime", [](Member& m) { m.identities[0].bind_time = Timestamp::max(); }},
      {"gender", [](Member& m) { m.gender = static_cast<Gender>(4); }},
      {"identities[0].state", [](Member& m) { m.identities[0].state = static_cast<IdentityState>(0); }},
      {"identities[0].state", [](Member& m) { m.identities[0].state = static_cast<IdentityState>(3); }},
  });
}

TEST(CheckFieldsTest, TheStateFitsTheRest) {
  Check({
      {"", [](Member& m) { m.state = MemberState::kFrozen; }},
      {"state", [](Member& m) { m.state = static_cast<MemberState>(0); }},
      {"state", [](Member& m) { m.state = static_cast<MemberState>(5); }},
      {"mergedInto", [](Member& m) { m.state = MemberState::kMerged; }},
      {"mergedInto", [](Member& m) { m.merged_into = MemberId(2); }},
      {"mergedInto", [](Member& m) { m.merged_into = MemberId(-2); }},
      {"identities", [](Member& m) { m.state = MemberState::kClosed; }},
      {"",
       [](Member& m) {
         m.state = MemberState::kClosed;
         m.identities.clear();
       }},
      {"",
       [](Member& m) {
         m.state = MemberState::kMerged;
         m.merged_into = MemberId(2);
         m.identities.clear();
       }},
      {"mergedInto",
       [](Member& m) {
         m.state = MemberState::kMerged;
         m.merged_into = m.id;
         m.identities.clear();
       }},
      {"identities",
       [](Member& m) {
         m.state = MemberState::kMerged;
         m.merged_into = MemberId(2);
       }},
  });
}

RC_GTEST_PROP(CheckFieldsProperty, WhatTheGeneratorGivesIsLegal, ()) {
  const Member member = *testing::ArbitraryMember();
  RC_ASSERT(CheckFields(member).has_value());
}

RC_GTEST_PROP(CheckFieldsProperty, WhatPassesCanBeShown, (const std::string& text)) {
  Member member = LegalMember();
  member.display_name = text;
  const bool is_shown = IsValidUtf8(text) && !std::ranges::any_of(text, [](char c) { return c >= 0 && c < ' '; }) &&
                        !text.contains('\x7f');
  // Of longer sequences only C1 is refused, and rapidcheck's strings hardly ever hold one.
  RC_ASSERT(CheckFields(member).has_value() == is_shown || text.contains('\xc2'));
}

template <typename Enum>
void ExpectNames(const std::vector<std::pair<Enum, std::string_view>>& names, std::string_view (*name)(Enum),
                 std::optional<Enum> (*parse)(std::string_view)) {
  for (const auto& [value, text] : names) {
    EXPECT_EQ(name(value), text);
    EXPECT_EQ(parse(text), value);
  }
  for (const char* text : {"", "active", "ACTIVE ", "1", "UNKNOWN"}) EXPECT_EQ(parse(text), std::nullopt);
}

TEST(NamesTest, AreThoseOfTheApi) {
  ExpectNames<MemberState>({{MemberState::kActive, "ACTIVE"},
                            {MemberState::kFrozen, "FROZEN"},
                            {MemberState::kMerged, "MERGED"},
                            {MemberState::kClosed, "CLOSED"}},
                           StateName, ParseState);
  ExpectNames<Gender>({{Gender::kUnspecified, "GENDER_UNSPECIFIED"},
                       {Gender::kFemale, "FEMALE"},
                       {Gender::kMale, "MALE"},
                       {Gender::kOther, "OTHER"}},
                      GenderName, ParseGender);
  ExpectNames<IdentityState>({{IdentityState::kBound, "BOUND"}, {IdentityState::kQuarantined, "QUARANTINED"}},
                             IdentityStateName, ParseIdentityState);
}

}  // namespace
}  // namespace muster
