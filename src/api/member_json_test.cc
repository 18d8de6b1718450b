#include "api/member_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "api/member_fields.h"
#include "base/random.h"
#include "domain/member_document.h"

namespace muster {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SecretKey TestKey() {
  SeededRandom random(1);
  return Keyring::Generate(random).hash_key();
}

class MemberJsonTest : public ::testing::Test {
 protected:
  // The paths of the faults; empty when there are none.
  template <typename T>
  std::vector<std::string> FieldsOf(const Result<T>& result) {
    std::vector<std::string> fields;
    if (result) return fields;
    EXPECT_EQ(result.error().reason, Reason::kInvalidArgument);
    for (const FieldViolation& violation : result.error().violations) fields.push_back(violation.field);
    return fields;
  }
  std::vector<std::string> MemberFaults(std::string_view text) { return FieldsOf(json_.ReadMember(text)); }
  IdentityKey KeyOf(std::string_view kind, std::string_view platform, std::string_view value) {
    return KeyedHash(TestKey()).KeyOf(kind, platform, value);
  }

  IdentityCatalog catalog_ = IdentityCatalog::Default();
  MemberJson json_{catalog_, TestKey()};
};

TEST_F(MemberJsonTest, NamesTheFieldOfEveryFault) {
  EXPECT_THAT(MemberFaults(R"({"displayName":1})"), ElementsAre("displayName"));
  EXPECT_THAT(MemberFaults(R"({"realName":["x"]})"), ElementsAre("realName"));
  EXPECT_THAT(MemberFaults(R"({"gender":"WOMAN"})"), ElementsAre("gender"));
  EXPECT_THAT(MemberFaults(R"({"gender":1})"), ElementsAre("gender"));
  EXPECT_THAT(MemberFaults(R"({"tags":"x"})"), ElementsAre("tags"));
  EXPECT_THAT(MemberFaults(R"({"tags":["a",null,3]})"), ElementsAre("tags[1]", "tags[2]"));
  EXPECT_THAT(MemberFaults(R"({"tags":["a\u0000"]})"), ElementsAre("tags[0]"));
  EXPECT_THAT(MemberFaults(R"({"attributes":{"color":1}})"), ElementsAre("attributes.color"));
  EXPECT_THAT(MemberFaults(R"({"attributes":{"color":"a","color":"b"}})"), ElementsAre("attributes.color"));
  EXPECT_THAT(MemberFaults(R"({"attributes":[]})"), ElementsAre("attributes"));
  EXPECT_THAT(MemberFaults(R"({"attributes":{"a\u0000":"b"}})"), ElementsAre("attributes"));
  EXPECT_THAT(MemberFaults(R"({"id":0})"), ElementsAre("id"));
  EXPECT_THAT(MemberFaults(R"({"id":"-5"})"), ElementsAre("id"));
  EXPECT_THAT(MemberFaults(R"({"id":"9223372036854775808"})"), ElementsAre("id"));
  EXPECT_THAT(MemberFaults(R"({"version":"0"})"), ElementsAre("version"));
  EXPECT_THAT(MemberFaults(R"({"state":"GONE"})"), ElementsAre("state"));
  EXPECT_THAT(MemberFaults(R"({"createTime":"yesterday"})"), ElementsAre("createTime"));
  EXPECT_THAT(MemberFaults(R"({"updateTime":1})"), ElementsAre("updateTime"));
  EXPECT_THAT(MemberFaults(R"({"mergedInto":-1})"), ElementsAre("mergedInto"));
  EXPECT_THAT(MemberFaults(R"({"display_name":"x"})"), ElementsAre("display_name"));
  EXPECT_THAT(MemberFaults(R"({"city":"a","city":"b"})"), ElementsAre("city"));
  EXPECT_THAT(MemberFaults(R"([{"city":"a"}])"), ElementsAre(""));
  EXPECT_THAT(MemberFaults(R"({"city":1,"tier":2})"), ElementsAre("city", "tier"));
}

TEST_F(MemberJsonTest, NamesTheFaultsOfIdentities) {
  const auto faults = [&](std::string identity) { return MemberFaults("{\"identities\":[" + identity + "]}"); };
  EXPECT_THAT(faults(R"("x")"), ElementsAre("identities[0]"));
  EXPECT_THAT(faults("null"), ElementsAre("identities[0]"));
  EXPECT_THAT(faults("{}"), ElementsAre("identities[0].kind", "identities[0].value"));
  EXPECT_THAT(faults(R"({"kind":"phone"})"), ElementsAre("identities[0].value"));
  EXPECT_THAT(faults(R"({"kind":"phone","value":null})"), ElementsAre("identities[0].value"));
  EXPECT_THAT(faults(R"({"kind":"fax","value":"1"})"), ElementsAre("identities[0].kind"));
  EXPECT_THAT(faults(R"({"kind":"phone","value":"12"})"), ElementsAre("identities[0].value"));
  EXPECT_THAT(faults(R"({"kind":"phone","platform":"wechat","value":"+8613800000001"})"),
              ElementsAre("identities[0].platform"));
  EXPECT_THAT(faults(R"({"kind":"unionid","value":"x"})"), ElementsAre("identities[0].platform"));
  EXPECT_THAT(faults(R"({"kind":"unionid","platform":"We Chat","value":"x"})"), ElementsAre("identities[0].platform"));
  EXPECT_THAT(faults(R"({"kind":"email","value":"nobody"})"), ElementsAre("identities[0].value"));
  EXPECT_THAT(faults(R"({"kind":"phone","value":13800000001})"), ElementsAre("identities[0].value"));
  EXPECT_THAT(faults(R"({"kind":"email","value":"a@b.co","verified":"yes"})"), ElementsAre("identities[0].verified"));
  EXPECT_THAT(faults(R"({"kind":"email","value":"a@b.co","state":"FREE"})"), ElementsAre("identities[0].state"));
  EXPECT_THAT(faults(R"({"kind":"email","value":"a@b.co","bindTime":"x"})"), ElementsAre("identities[0].bindTime"));
  EXPECT_THAT(faults(R"({"kind":"email","value":"a@b.co","vlaue":"x"})"), ElementsAre("identities[0].vlaue"));
  EXPECT_THAT(faults(R"({"kind":"email","value":"a@b.co"},{"kind":"email","value":"x"})"),
              ElementsAre("identities[1].value"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += R"({"kind":"email","value":"a@b.co"},)";
  many.pop_back();
  EXPECT_THAT(faults(many), ElementsAre("identities"));
}

TEST_F(MemberJsonTest, NeverRepeatsAValue) {
  for (const char* text :
       {R"({"identities":[{"kind":"phone","value":"+86canary"}]})",
        R"({"identities":[{"kind":"email","value":"canary"}]})",
        R"({"identities":[{"kind":"document","value":"canary!"}]})",
        R"({"identities":[{"kind":"card","platform":"x","value":"c@nary"}]})", R"({"realName":{"canary":"canary"}})",
        R"({"realName":"canary\u0000"})", R"({"gender":"canary"})", R"({"createTime":"canary"})",
        R"({"state":"canary"})", R"({"id":"canary"})", R"({"realName":"canary)", R"({"identities":["canary"]})",
        R"({"identities":[{"kind":"canary","value":"canary"}]})",
        R"({"identities":[{"kind":"unionid","platform":"can ary","value":"canary"}]})"}) {
    const auto body = json_.ReadMember(text);
    ASSERT_FALSE(body) << text;
    EXPECT_THAT(body.error().message, Not(HasSubstr("nary"))) << text;
    for (const FieldViolation& violation : body.error().violations) {
      EXPECT_THAT(violation.field, Not(HasSubstr("nary"))) << text;
      EXPECT_THAT(violation.description, Not(HasSubstr("nary"))) << text;
    }
  }
}

TEST_F(MemberJsonTest, ReadsWhatACallerRegisters) {
  const auto body = json_.ReadMember(
      R"({"displayName":"Li Lei","realName":"李雷","gender":"MALE","birthDate":"1990-02-03","city":"Suzhou","tier":"gold",
          "tags":["frequent","vip"],"attributes":{"b":"2","a":"1"},"identities":[
          {"kind":"phone","value":"+86 138 0000 0001","verified":true,"source":"app"},
          {"kind":"unionid","platform":"wechat","value":"oA1b2"}]})");
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_FALSE(body->has_id);
  EXPECT_FALSE(body->has_past);
  const Member& member = body->member;
  EXPECT_EQ(member.display_name, "Li Lei");
  EXPECT_EQ(member.real_name.Reveal(), "李雷");
  EXPECT_EQ(member.gender, Gender::kMale);
  EXPECT_EQ(member.birth_date, "1990-02-03");
  EXPECT_EQ(member.city, "Suzhou");
  EXPECT_EQ(member.tier, "gold");
  EXPECT_THAT(member.tags, ElementsAre("frequent", "vip"));
  EXPECT_EQ(member.attributes.at("a"), "1");
  ASSERT_EQ(member.identities.size(), 2u);
  EXPECT_EQ(member.identities[0].value.Reveal(), "+8613800000001");
  EXPECT_EQ(member.identities[0].key, KeyOf("phone", "", "+8613800000001"));
  EXPECT_TRUE(member.identities[0].verified);
  EXPECT_EQ(member.identities[0].source, "app");
  EXPECT_EQ(member.identities[1].platform, "wechat");
  EXPECT_EQ(member.identities[1].key, KeyOf("unionid", "wechat", "oA1b2"));
}

TEST_F(MemberJsonTest, TellsWhatOnlyAnImportMayGive) {
  const auto read = [&](std::string_view text) {
    const auto body = json_.ReadMember(text);
    EXPECT_TRUE(body) << text;
    return body ? std::pair(body->has_id, body->has_past) : std::pair(false, false);
  };
  EXPECT_EQ(read(R"({"id":"7"})"), std::pair(true, false));
  EXPECT_EQ(read(R"({"id":null,"version":null})"), std::pair(false, false));
  for (const char* text : {R"({"version":"3"})", R"({"state":"FROZEN"})", R"({"createTime":"2020-01-01T00:00:00Z"})",
                           R"({"updateTime":"2020-01-01T00:00:00Z"})", R"({"mergedInto":"3"})",
                           R"({"identities":[{"kind":"email","value":"a@b.co","state":"QUARANTINED"}]})",
                           R"({"identities":[{"kind":"email","value":"a@b.co","bindTime":"2020-01-01T00:00:00Z"}]})"}) {
    EXPECT_EQ(read(text), std::pair(false, true)) << text;
  }
}

TEST_F(MemberJsonTest, AnImportGetsTheTimesThatItLacks) {
  const Timestamp now(std::chrono::seconds(1'800'000'000));
  Member member = json_.ReadMember(R"({"identities":[{"kind":"email","value":"a@b.co"}]})")->member;
  CompleteTimes(member, now);
  EXPECT_EQ(member.create_time, now);
  EXPECT_EQ(member.update_time, now);
  EXPECT_EQ(member.identities[0].bind_time, now);
  // The epoch is a time as any other: old systems have it for "unknown".
  Member dated = json_
                     .ReadMember(R"({"createTime":"1970-01-01T00:00:00Z","updateTime":"1970-01-01T00:00:01Z",
      "identities":[{"kind":"email","value":"a@b.co","bindTime":"1970-01-01T00:00:00Z"}]})")
                     ->member;
  CompleteTimes(dated, now);
  EXPECT_EQ(dated.create_time, Timestamp{});
  EXPECT_EQ(dated.update_time, Timestamp{} + std::chrono::seconds(1));
  EXPECT_EQ(dated.identities[0].bind_time, Timestamp{});
}

// What GET and export answer is what import reads.
TEST_F(MemberJsonTest, ReadsWhatIsWritten) {
  const auto body = json_.ReadMember(
      R"({"id":"7","state":"FROZEN","displayName":"A \"quoted\" name","realName":"Wei","gender":"OTHER","tags":["x"],
          "attributes":{"k":"v"},"version":"12","createTime":"2020-01-02T03:04:05.000006Z","updateTime":"2021-01-02T03:04:05Z",
          "identities":[{"kind":"email","value":"Wei@Example.com","verified":true,"state":"QUARANTINED",
          "bindTime":"2020-01-02T03:04:05.000006Z","source":"shop"}]})");
  ASSERT_TRUE(body) << body.error().message;
  const std::string written(MakeMemberDocument(body->member)->json());
  const auto again = json_.ReadMember(written);
  ASSERT_TRUE(again) << again.error().message << written;
  EXPECT_TRUE(again->member == body->member) << written;
}

TEST_F(MemberJsonTest, TheMaskDecidesWhatAPatchChanges) {
  const std::vector<std::string> mask = {"city", "tags"};
  const auto patch = json_.ReadPatch(
      R"({"id":"7","version":"3","city":"Wuxi","tier":"gold","identities":[{"kind":"phone","value":"+86138****0001"}]})",
      &mask, false);
  ASSERT_TRUE(patch) << patch.error().message;
  EXPECT_THAT(patch->fields, ElementsAre("city", "tags"));
  EXPECT_EQ(patch->values.city, "Wuxi");
  EXPECT_THAT(patch->values.tags, IsEmpty()) << "named, but absent: cleared";
  EXPECT_EQ(patch->values.tier, "") << "not named";
}

TEST_F(MemberJsonTest, WithoutAMaskAPatchChangesWhatTheBodyHas) {
  const auto patch = json_.ReadPatch(R"({"city":"Wuxi","tier":null,"state":"FROZEN"})", nullptr, false);
  ASSERT_TRUE(patch) << patch.error().message;
  EXPECT_THAT(patch->fields, ElementsAre("state", "city"));
  EXPECT_EQ(patch->values.state, MemberState::kFrozen);
  const auto merge = json_.ReadPatch(R"({"city":"Wuxi","tier":null})", nullptr, true);
  ASSERT_TRUE(merge);
  EXPECT_THAT(merge->fields, ElementsAre("city", "tier"));
  EXPECT_EQ(merge->values.tier, "");
}

TEST_F(MemberJsonTest, APatchRefusesWhatNoUpdateCanChange) {
  for (const char* field : {"id", "version", "mergedInto"}) {
    EXPECT_THAT(FieldsOf(json_.ReadPatch("{\"" + std::string(field) + "\":\"1\"}", nullptr, false)),
                ElementsAre(field));
  }
  EXPECT_THAT(FieldsOf(json_.ReadPatch(R"({"identities":[]})", nullptr, false)), ElementsAre("identities"));
  EXPECT_THAT(FieldsOf(json_.ReadPatch(R"({"createTime":"2020-01-01T00:00:00Z"})", nullptr, false)),
              ElementsAre("createTime"));
  EXPECT_THAT(FieldsOf(json_.ReadPatch(R"({"state":"CLOSED"})", nullptr, false)), ElementsAre("state"));
  EXPECT_THAT(FieldsOf(json_.ReadPatch(R"({"state":"MERGED"})", nullptr, false)), ElementsAre("state"));
  EXPECT_THAT(FieldsOf(json_.ReadPatch(R"({"state":null})", nullptr, true)), ElementsAre("state"));
  const std::vector<std::string> mask = {"state"};
  EXPECT_THAT(FieldsOf(json_.ReadPatch("{}", &mask, false)), ElementsAre("state"));
  EXPECT_THAT(FieldsOf(json_.ReadPatch(R"({"ctiy":"x"})", &mask, false)), Contains("ctiy"));
}

TEST_F(MemberJsonTest, MasksAreListsOfFieldsThatUpdatesChange) {
  EXPECT_THAT(ParseUpdateMask("city").value(), ElementsAre("city"));
  EXPECT_THAT(ParseUpdateMask("state,realName,attributes").value(), ElementsAre("state", "realName", "attributes"));
  EXPECT_THAT(ParseUpdateMask("*").value(), ElementsAre("*"));
  for (const char* text :
       {"", ",", "city,", ",city", "city,,tags", "city,city", "City", "real_name", "attributes.color", "id", "version",
        "identities", "createTime", "updateTime", "mergedInto", "*,city", "city,*", " city", "city, tags"}) {
    const auto mask = ParseUpdateMask(text);
    ASSERT_FALSE(mask) << text;
    EXPECT_EQ(mask.error().violations.at(0).field, "updateMask") << text;
  }
}

TEST_F(MemberJsonTest, IdentityBodiesHoldOneIdentity) {
  EXPECT_THAT(FieldsOf(json_.ReadIdentity("{}", true)), ElementsAre("identity"));
  EXPECT_THAT(FieldsOf(json_.ReadIdentity(R"({"identity":null})", true)), ElementsAre("identity"));
  EXPECT_THAT(FieldsOf(json_.ReadIdentity(R"({"identity":"x"})", true)), ElementsAre("identity"));
  EXPECT_THAT(FieldsOf(json_.ReadIdentity(R"({"kind":"email","value":"a@b.co"})", true)), Contains("kind"));
  EXPECT_THAT(FieldsOf(json_.ReadIdentity(R"({"identity":{"kind":"phone","value":"1"}})", true)),
              ElementsAre("identity.value"));
  const char* past =
      R"({"identity":{"kind":"email","value":"a@b.co","state":"BOUND","bindTime":"2020-01-01T00:00:00Z"}})";
  EXPECT_THAT(FieldsOf(json_.ReadIdentity(past, true)), ElementsAre("identity"));
  const auto unbind = json_.ReadIdentity(past, false);
  ASSERT_TRUE(unbind) << "what GET answered may be sent to unbind it";
  EXPECT_EQ(unbind->key, KeyOf("email", "", "a@b.co"));
}

TEST_F(MemberJsonTest, BatchesAreBounded) {
  const auto ids = [](std::size_t count) {
    std::string text = "{\"ids\":[";
    for (std::size_t i = 1; i <= count; ++i) text += (i > 1 ? ",\"" : "\"") + std::to_string(i) + "\"";
    return text + "]}";
  };
  EXPECT_EQ(json_.ReadIds(ids(1000))->size(), 1000u);
  EXPECT_THAT(FieldsOf(json_.ReadIds(ids(1001))), ElementsAre("ids"));
  EXPECT_THAT(FieldsOf(json_.ReadIds(R"({"ids":["1",-2,"x",0]})")), ElementsAre("ids[1]", "ids[2]", "ids[3]"));
  EXPECT_THAT(FieldsOf(json_.ReadIds(R"({"ids":"1"})")), ElementsAre("ids"));
  EXPECT_THAT(json_.ReadIds(R"({"ids":["1",2,2]})").value(), ElementsAre(MemberId(1), MemberId(2), MemberId(2)));
  EXPECT_THAT(json_.ReadIds("{}").value(), IsEmpty());
}

TEST_F(MemberJsonTest, ABadIdentityOfABatchIsItsOwnFault) {
  const auto keys = json_.ReadIdentityKeys(
      R"({"identities":[{"kind":"phone","value":"12"},{"kind":"email","value":"A@b.co"},{"kind":"fax","value":"1"}]})");
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->size(), 3u);
  EXPECT_THAT(FieldsOf(keys->at(0)), ElementsAre("identities[0].value"));
  EXPECT_EQ(keys->at(1).value(), KeyOf("email", "", "a@b.co"));
  EXPECT_THAT(FieldsOf(keys->at(2)), ElementsAre("identities[2].kind"));
  EXPECT_THAT(FieldsOf(json_.ReadIdentityKeys(R"({"identities":[{"kind":"phone","vlaue":"1"}]})")),
              ElementsAre("identities[0].vlaue", "identities[0].value"));
}

TEST_F(MemberJsonTest, EmptyBodiesAreEmpty) {
  EXPECT_TRUE(json_.ReadEmpty(""));
  EXPECT_TRUE(json_.ReadEmpty("{}"));
  EXPECT_TRUE(json_.ReadEmpty(" { } "));
  for (const char* text : {"[]", "null", "x", R"({"a":1})"}) EXPECT_FALSE(json_.ReadEmpty(text)) << text;
}

TEST_F(MemberJsonTest, KeysOfQueriesNameTheirParameter) {
  EXPECT_THAT(FieldsOf(json_.KeyOf("phone", "", "12")), ElementsAre("value"));
  EXPECT_THAT(FieldsOf(json_.KeyOf("fax", "", "12")), ElementsAre("kind"));
  EXPECT_THAT(FieldsOf(json_.KeyOf("openid", "", "12")), ElementsAre("platform"));
  EXPECT_EQ(json_.KeyOf("phone", "", "+86 138 0000 0001").value(), KeyOf("phone", "", "+8613800000001"));
}

// However a body is cut off or bent, reading it ends with a member or a fault.
RC_GTEST_FIXTURE_PROP(MemberJsonTest, EveryPrefixIsRefused, ()) {
  const std::string whole =
      R"({"id":"7","tags":["a"],"attributes":{"a":"b"},"identities":[{"kind":"email","value":"a@b.co"}]})";
  const auto size = *rc::gen::inRange<std::size_t>(0, whole.size());
  RC_ASSERT(!json_.ReadMember(std::string_view(whole).substr(0, size)));
}

}  // namespace
}  // namespace muster
