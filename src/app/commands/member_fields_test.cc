#include "app/commands/member_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MemberFieldsTest, IdentitiesAreKindPlatformValue) {
  const auto phone = ParseIdentityText("phone=+86 138=1");
  EXPECT_EQ(phone.value().kind, "phone");
  EXPECT_EQ(phone.value().platform, "");
  EXPECT_EQ(phone.value().value, "+86 138=1");
  const auto unionid = ParseIdentityText("unionid@wechat=oA@1");
  EXPECT_EQ(unionid.value().kind, "unionid");
  EXPECT_EQ(unionid.value().platform, "wechat");
  EXPECT_EQ(unionid.value().value, "oA@1");
  EXPECT_EQ(IdentityJson(*unionid, true, "app"),
            R"({"kind":"unionid","platform":"wechat","value":"oA@1","verified":true,"source":"app"})");
}

TEST(MemberFieldsTest, MalformedIdentitiesAreUsageErrorsThatDoNotRepeatTheValue) {
  for (const char* text : {"", "13977700001", "=13977700001", "phone=", "phone=\xFF"}) {
    const auto identity = ParseIdentityText(text);
    ASSERT_FALSE(identity) << text;
    EXPECT_EQ(identity.error().code, ExitCode::kUsage);
    EXPECT_THAT(identity.error().message, Not(HasSubstr("139777")));
  }
}

TEST(MemberFieldsTest, IdsArePositive63BitIntegers) {
  EXPECT_TRUE(CheckMemberId("1"));
  EXPECT_TRUE(CheckMemberId("9223372036854775807"));
  for (const char* text : {"", "0", "-1", "9223372036854775808", "1x", " 1", "+1", "0x1"})
    EXPECT_FALSE(CheckMemberId(text)) << text;
}

TEST(MemberFieldsTest, FlagsBecomeABodyAndAMask) {
  MemberFields fields;
  fields.display_name = "Li \"Lei\"";
  fields.tags = {"a", "b"};
  fields.attributes = {"k=v=w", "empty="};
  fields.clear = {"tier"};
  const auto body = MakeMemberRequest(fields);
  EXPECT_EQ(body.value().json, R"({"displayName":"Li \"Lei\"","tags":["a","b"],"attributes":{"k":"v=w","empty":""}})");
  EXPECT_EQ(body.value().update_mask, "displayName,tags,attributes,tier");
}

TEST(MemberFieldsTest, IdentitiesOfANewMemberAreListed) {
  MemberFields fields;
  fields.identities = {"phone=1", "card@shop=X"};
  EXPECT_EQ(MakeMemberRequest(fields).value().json,
            R"({"identities":[{"kind":"phone","value":"1"},{"kind":"card","platform":"shop","value":"X"}]})");
}

TEST(MemberFieldsTest, FaultsAreUsageErrors) {
  MemberFields not_utf8;
  not_utf8.city = "\xFF";
  MemberFields attribute;
  attribute.attributes = {"novalue"};
  MemberFields both;
  both.city = "Suzhou";
  both.json_file = "x.json";
  for (const MemberFields& fields : {not_utf8, attribute, both})
    EXPECT_EQ(MakeMemberRequest(fields).error().code, ExitCode::kUsage);
}

TEST(MemberFieldsTest, JsonIsTakenAsItIsAndItsNamesAreTheMask) {
  const TemporaryDirectory directory = std::move(TemporaryDirectory::Make("muster-fields-test").value());
  MemberFields fields;
  fields.json_file = directory.path() + "/member.json";
  fields.clear = {"tier"};
  ASSERT_TRUE(WriteFileDurably(fields.json_file, R"({ "city": "Suzhou", "tags": [] })", 0600));
  EXPECT_EQ(MakeMemberRequest(fields).value().json, R"({ "city": "Suzhou", "tags": [] })");
  EXPECT_EQ(MakeMemberRequest(fields).value().update_mask, "city,tags,tier");
  ASSERT_TRUE(WriteFileDurably(fields.json_file, "[1]", 0600));
  EXPECT_THAT(MakeMemberRequest(fields).error().message, HasSubstr("not a JSON object"));
  fields.json_file = directory.path() + "/missing";
  EXPECT_EQ(MakeMemberRequest(fields).error().code, ExitCode::kFailure);
}

}  // namespace
}  // namespace muster
