#include "api/search_json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "domain/json_text.h"
#include "domain/member_document.h"
#include "domain/testing/members.h"

namespace muster {
namespace {

constexpr SearchFields32 BitOf(SearchField field) { return SearchFields32{1} << static_cast<unsigned>(field); }

// What makes a reader lose its way in JSON: what ends things, what escapes, and the names of other fields.
std::string Nasty() {
  static constexpr const char* kParts[] = {"\"", "\\", "{", "}", "[", "]", ",", ":", "\"city\":\"x\"",
                                           "\n", "é",  "a", ""};
  std::string text;
  for (int i = *rc::gen::inRange(0, 6); i > 0; --i)
    text += kParts[*rc::gen::inRange<std::size_t>(0, std::size(kParts))];
  return text;
}

Member AnyMember() {
  Member member;
  member.id = MemberId(*rc::gen::inRange<std::int64_t>(1, 1'000'000));
  member.version = Version(*rc::gen::inRange<std::int64_t>(1, 1'000));
  member.display_name = Nasty();
  member.real_name = Pii(Nasty());
  member.gender = *rc::gen::element(Gender::kUnspecified, Gender::kFemale, Gender::kMale, Gender::kOther);
  member.birth_date = *rc::gen::element<std::string>("", "1990-05-17", "0001-01-01");
  member.city = Nasty();
  member.tier = Nasty();
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) member.tags.push_back(Nasty());
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
    member.attributes[*rc::gen::element<std::string>("city", "tier", "b")] = Nasty();
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
    member.identities.push_back(testing::MakeIdentity(static_cast<std::uint64_t>(i)));
  member.create_time = Timestamp(std::chrono::seconds(1'700'000'000));
  member.update_time = member.create_time + std::chrono::seconds(*rc::gen::inRange(0, 1'000));
  member.state = *rc::gen::element(MemberState::kActive, MemberState::kFrozen, MemberState::kClosed);
  if (*rc::gen::arbitrary<bool>()) {
    member.state = MemberState::kMerged;
    member.merged_into = MemberId(7);
  }
  return member;
}

// `document` with nothing but `fields`.
SearchDocument Only(const SearchDocument& document, SearchFields32 fields) {
  SearchDocument only = MakeSearchDocument(Member{});
  const auto keep = [&](SearchField field, auto member) {
    if ((fields & BitOf(field)) != 0) only.*member = document.*member;
  };
  keep(SearchField::kId, &SearchDocument::id);
  keep(SearchField::kVersion, &SearchDocument::version);
  keep(SearchField::kState, &SearchDocument::state);
  keep(SearchField::kDisplayName, &SearchDocument::display_name);
  keep(SearchField::kGender, &SearchDocument::gender);
  keep(SearchField::kBirthDate, &SearchDocument::birth_day);
  keep(SearchField::kCity, &SearchDocument::city);
  keep(SearchField::kTier, &SearchDocument::tier);
  keep(SearchField::kTags, &SearchDocument::tags);
  keep(SearchField::kAttributes, &SearchDocument::attributes);
  keep(SearchField::kIdentityKind, &SearchDocument::identities);
  keep(SearchField::kCreateTime, &SearchDocument::create_time);
  keep(SearchField::kUpdateTime, &SearchDocument::update_time);
  keep(SearchField::kMergedInto, &SearchDocument::merged_into);
  return only;
}

RC_GTEST_PROP(SearchJson, WhatIsAskedForIsReadAndNothingElse, ()) {
  const Member member = AnyMember();
  const MemberDocumentRef document = MakeMemberDocument(member);
  const SearchDocument all = MakeSearchDocument(member);
  JsonReader reader;
  SearchFields32 fields = 0;
  for (const SearchField field :
       {SearchField::kId, SearchField::kVersion, SearchField::kState, SearchField::kDisplayName, SearchField::kGender,
        SearchField::kBirthDate, SearchField::kCity, SearchField::kTier, SearchField::kTags, SearchField::kAttributes,
        SearchField::kIdentityKind, SearchField::kCreateTime, SearchField::kUpdateTime, SearchField::kMergedInto}) {
    const Result<SearchDocument> one = ReadSearchDocument(reader, document->json(), BitOf(field));
    RC_ASSERT(one.has_value());
    RC_ASSERT(*one == Only(all, BitOf(field)));
    if (*rc::gen::arbitrary<bool>()) fields |= BitOf(field);
  }
  const Result<SearchDocument> some = ReadSearchDocument(reader, document->json(), fields);
  RC_ASSERT(some.has_value());
  RC_ASSERT(*some == Only(all, fields));
}

TEST(SearchJson, WhatIsNoDocumentIsAnError) {
  JsonReader reader;
  for (const char* json : {"[]", "{\"\":1}", "{:}", "{\"nose\":1}", "{\"city\":\"S", "{\"city\"", "{,}"}) {
    const Result<SearchDocument> read = ReadSearchDocument(reader, json, ~SearchFields32{0});
    EXPECT_FALSE(read) << json;
  }
}

TEST(SearchJson, LengthsOfValues) {
  EXPECT_EQ(json_text::ValueLength(R"("a,b\"}",1)"), 8U);
  EXPECT_EQ(json_text::ValueLength(R"({"a":[1,"]"]},2)"), 13U);
  EXPECT_EQ(json_text::ValueLength("true}"), 4U);
  EXPECT_EQ(json_text::ValueLength("\"a\\"), 3U);
  EXPECT_EQ(json_text::ValueLength(""), 0U);
}

}  // namespace
}  // namespace muster
