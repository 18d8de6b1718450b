#include "domain/member_document.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "base/encoding.h"
#include "domain/keyring.h"
#include "domain/member_rules.h"
#include "domain/synthetic_members.h"
#include "domain/testing/arbitrary_member.h"
#include "domain/testing/members.h"
#include "muster/v1/member.pb.h"

namespace muster {
namespace {

using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::MessageToJsonString;

void SetTime(google::protobuf::Timestamp& out, Timestamp time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  out.set_seconds(second.time_since_epoch().count());
  out.set_nanos(static_cast<std::int32_t>((time - second).count() * 1000));
}

// The oracle: the member as the message that the contract declares.
v1::Member ToMessage(const Member& member) {
  v1::Member message;
  message.set_id(member.id.value());
  message.set_state(static_cast<v1::Member::State>(member.state));
  message.set_display_name(member.display_name);
  message.set_real_name(member.real_name.Reveal());
  message.set_gender(static_cast<v1::Member::Gender>(member.gender));
  message.set_birth_date(member.birth_date);
  message.set_city(member.city);
  message.set_tier(member.tier);
  for (const std::string& tag : member.tags) message.add_tags(tag);
  for (const auto& [name, value] : member.attributes) (*message.mutable_attributes())[name] = value;
  for (const Identity& identity : member.identities) {
    v1::Identity& out = *message.add_identities();
    out.set_kind(identity.kind);
    out.set_platform(identity.platform);
    out.set_value(identity.value.Reveal());
    out.set_verified(identity.verified);
    out.set_state(static_cast<v1::Identity::State>(identity.state));
    SetTime(*out.mutable_bind_time(), identity.bind_time);
    out.set_source(identity.source);
  }
  message.set_version(member.version.value());
  SetTime(*message.mutable_create_time(), member.create_time);
  SetTime(*message.mutable_update_time(), member.update_time);
  message.set_merged_into(member.merged_into.value());
  return message;
}

std::string ProtobufJson(const v1::Member& message) {
  std::string json;
  EXPECT_TRUE(MessageToJsonString(message, &json).ok());
  return json;
}

std::string Masked(const MemberDocumentRef& document) {
  std::string out;
  document->AppendMasked(out);
  return out;
}

Member ExampleMember() {
  Member member;
  member.id = MemberId(INT64_MAX);
  member.version = Version(3);
  member.state = MemberState::kFrozen;
  member.display_name = "Li \"Lei\"";
  member.real_name = Pii<std::string>("李雷");
  member.gender = Gender::kMale;
  member.birth_date = "1990-01-31";
  member.city = "Suzhou";
  member.tier = "gold";
  member.tags = {"frequent", "a\\b"};
  member.attributes = {{"zeta", "1"}, {"alpha", ""}};
  Identity phone = testing::MakeIdentity(1, "phone", "");
  phone.value = Pii<std::string>("+8613800000001");
  phone.verified = true;
  phone.bind_time = Timestamp(Duration(1'700'000'000'123'000));
  phone.source = "import";
  Identity account = testing::MakeIdentity(2, "account", "shop");
  account.value = Pii<std::string>("quoted\"account");
  account.state = IdentityState::kQuarantined;
  member.identities = {phone, account};
  member.create_time = Timestamp(Duration(1'600'000'000'000'000));
  member.update_time = Timestamp(Duration(1'700'000'000'000'001));
  return member;
}

TEST(MemberDocumentTest, IsTheJsonOfTheContract) {
  const MemberDocumentRef document = MakeMemberDocument(ExampleMember());
  EXPECT_EQ(
      document->json(),
      R"({"id":"9223372036854775807","state":"FROZEN","displayName":"Li \"Lei\"","realName":"李雷","gender":"MALE",)"
      R"("birthDate":"1990-01-31","city":"Suzhou","tier":"gold","tags":["frequent","a\\b"],)"
      R"("attributes":{"alpha":"","zeta":"1"},"identities":[{"kind":"phone","value":"+8613800000001","verified":true,)"
      R"("state":"BOUND","bindTime":"2023-11-14T22:13:20.123Z","source":"import"},{"kind":"account","platform":"shop",)"
      R"("value":"quoted\"account","state":"QUARANTINED","bindTime":"1970-01-01T00:00:00Z"}],"version":"3","createTime":"2020-09-13T12:26:40Z",)"
      R"("updateTime":"2023-11-14T22:13:20.000001Z"})");
}

TEST(MemberDocumentTest, MasksEveryPersonalValueAndNothingElse) {
  EXPECT_EQ(
      Masked(MakeMemberDocument(ExampleMember())),
      R"({"id":"9223372036854775807","state":"FROZEN","displayName":"Li \"Lei\"","realName":"李***","gender":"MALE",)"
      R"("birthDate":"1990-01-31","city":"Suzhou","tier":"gold","tags":["frequent","a\\b"],)"
      R"("attributes":{"alpha":"","zeta":"1"},"identities":[{"kind":"phone","value":"+86138****0001","verified":true,)"
      R"("state":"BOUND","bindTime":"2023-11-14T22:13:20.123Z","source":"import"},{"kind":"account","platform":"shop",)"
      R"("value":"***","state":"QUARANTINED","bindTime":"1970-01-01T00:00:00Z"}],"version":"3","createTime":"2020-09-13T12:26:40Z",)"
      R"("updateTime":"2023-11-14T22:13:20.000001Z"})");
}

TEST(MemberDocumentTest, ABareMemberHasAnIdAStateAndAVersion) {
  Member member;
  member.id = MemberId(1);
  const MemberDocumentRef document = MakeMemberDocument(member);
  EXPECT_EQ(document->json(), R"({"id":"1","state":"ACTIVE","version":"1","createTime":"1970-01-01T00:00:00Z",)"
                              R"("updateTime":"1970-01-01T00:00:00Z"})");
  EXPECT_EQ(Masked(document), document->json());
  EXPECT_TRUE(document->keys().empty());
}

TEST(MemberDocumentTest, AMergedMemberNamesTheSurvivor) {
  Member member;
  member.id = MemberId(1);
  member.state = MemberState::kMerged;
  member.merged_into = MemberId(2);
  EXPECT_EQ(MakeMemberDocument(member)->json(),
            R"({"id":"1","state":"MERGED","version":"1","createTime":"1970-01-01T00:00:00Z",)"
            R"("updateTime":"1970-01-01T00:00:00Z","mergedInto":"2"})");
}

TEST(MemberDocumentTest, EveryEnumeratorHasTheNameOfTheContract) {
  for (int state = 1; state <= 4; ++state) {
    EXPECT_EQ(StateName(static_cast<MemberState>(state)), v1::Member::State_Name(state));
  }
  for (int gender = 0; gender <= 3; ++gender) {
    EXPECT_EQ(GenderName(static_cast<Gender>(gender)), v1::Member::Gender_Name(gender));
  }
  for (int state = 1; state <= 2; ++state) {
    EXPECT_EQ(IdentityStateName(static_cast<IdentityState>(state)), v1::Identity::State_Name(state));
  }
}

TEST(MemberDocumentTest, TextsThatProtobufWritesAlikeAreTheSameText) {
  // protobuf escapes more than it must (<, >, DEL, invisible characters) and orders attributes by hash, so that only
  // members without those can be compared as text.
  Member member = ExampleMember();
  member.attributes = {{"only", "one"}};
  member.display_name = "tab\tquote\"backslash\\newline\nbell\x01 李 😀 é";
  EXPECT_EQ(MakeMemberDocument(member)->json(), ProtobufJson(ToMessage(member)));
}

RC_GTEST_PROP(MemberDocumentProperty, ReadsAsTheMessageThatProtobufReads, ()) {
  const Member member = *testing::ArbitraryMember();
  RC_ASSERT(CheckFields(member).has_value());
  const v1::Member message = ToMessage(member);
  const MemberDocumentRef document = MakeMemberDocument(member);
  v1::Member ours;
  RC_ASSERT(JsonStringToMessage(std::string(document->json()), &ours).ok());
  RC_ASSERT(MessageDifferencer::Equals(ours, message));
  v1::Member theirs;
  RC_ASSERT(JsonStringToMessage(ProtobufJson(message), &theirs).ok());
  RC_ASSERT(MessageDifferencer::Equals(ours, theirs));
}

RC_GTEST_PROP(MemberDocumentProperty, IsTheSameTextWhereProtobufsOrderAndEscapesAreOurs, ()) {
  Member member = *testing::ArbitraryMember();
  const auto plain = [](std::string text) {
    std::erase_if(text, [](char c) { return c == '<' || c == '>'; });
    return text;
  };
  member.display_name = plain(member.display_name);
  member.real_name = Pii(plain(member.real_name.Reveal()));
  member.city = plain(member.city);
  member.tier = plain(member.tier);
  for (std::string& tag : member.tags) tag = plain(tag);
  for (Identity& identity : member.identities) {
    identity.value = Pii(plain(identity.value.Reveal()));
    identity.source = plain(identity.source);
  }
  member.attributes.clear();
  RC_ASSERT(MakeMemberDocument(member)->json() == ProtobufJson(ToMessage(member)));
}

// Control characters never get in (CheckFields), but a document is what a store holds, whoever wrote that.
RC_GTEST_PROP(MemberDocumentProperty, ControlCharactersAreEscaped, ()) {
  Member member;
  member.id = MemberId(1);
  member.display_name = *rc::gen::container<std::string>(rc::gen::inRange<char>(1, 0x7f));
  const MemberDocumentRef document = MakeMemberDocument(member);
  v1::Member ours;
  RC_ASSERT(JsonStringToMessage(std::string(document->json()), &ours).ok());
  RC_ASSERT(ours.display_name() == member.display_name);
}

RC_GTEST_PROP(MemberDocumentProperty, TheMaskedTextIsTheMemberWithItsPersonalValuesMasked, ()) {
  Member member = *testing::ArbitraryMember();
  const MemberDocumentRef document = MakeMemberDocument(member);
  const std::string masked = Masked(document);
  RC_ASSERT(IsValidUtf8(masked));
  v1::Member read;
  RC_ASSERT(JsonStringToMessage(masked, &read).ok());

  v1::Member expected = ToMessage(member);
  const auto mask = [](const std::string& value, MaskStyle style) {
    const bool has_escape = value.find_first_of("\\\"") != std::string::npos;
    return value.empty() ? "" : has_escape ? "***" : Mask(value, style);
  };
  expected.set_real_name(mask(expected.real_name(), MaskStyle::kName));
  for (v1::Identity& identity : *expected.mutable_identities()) {
    identity.set_value(mask(identity.value(), MaskStyleOf(identity.kind())));
  }
  RC_ASSERT(MessageDifferencer::Equals(read, expected));
}

RC_GTEST_PROP(MemberDocumentProperty, KeepsWhatIsAskedWithoutReadingTheJson, ()) {
  const Member member = *testing::ArbitraryMember();
  const MemberDocumentRef document = MakeMemberDocument(member);
  RC_ASSERT(document->id() == member.id);
  RC_ASSERT(document->version() == member.version);
  RC_ASSERT(document->state() == member.state);
  RC_ASSERT(document->keys().size() == member.identities.size());
  for (std::size_t i = 0; i < member.identities.size(); ++i) {
    RC_ASSERT(document->keys()[i] == member.identities[i].key);
    RC_ASSERT(document->Holds(member.identities[i].key));
  }
  const Identity other = *testing::ArbitraryIdentity();
  RC_ASSERT(document->Holds(other.key) == (FindIdentity(member, other.key) != nullptr));
  RC_ASSERT(document->AllocatedBytes() >= document->json().size());
}

TEST(MemberDocumentTest, TheLargestLegalMemberFits) {
  Member member = ExampleMember();
  const auto quotes = [](std::size_t size) { return std::string(size, '"'); };
  member.display_name = quotes(kNameBytesMax);
  member.real_name = Pii(quotes(kNameBytesMax));
  member.tags.clear();
  member.attributes.clear();
  member.identities.clear();
  for (std::size_t i = 0; i < 64; ++i) {
    member.tags.push_back(quotes(kWordBytesMax - 2) + std::to_string(10 + i));
    member.attributes[quotes(kWordBytesMax - 2) + std::to_string(10 + i)] = quotes(kAttributeValueBytesMax);
    Identity identity = testing::MakeIdentity(i);
    identity.value = Pii(quotes(128));
    identity.source = quotes(kWordBytesMax);
    identity.bind_time = member.create_time;
    member.identities.push_back(identity);
  }
  ASSERT_TRUE(CheckFields(member));
  const MemberDocumentRef document = MakeMemberDocument(member);
  v1::Member read;
  ASSERT_TRUE(JsonStringToMessage(std::string(document->json()), &read).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(read, ToMessage(member)));
  // And the next, small one is not disturbed by it.
  EXPECT_TRUE(JsonStringToMessage(std::string(MakeMemberDocument(ExampleMember())->json()), &read).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(read, ToMessage(ExampleMember())));
}

// No text can be longer than when every byte is escaped in six; the builder aborts when it wrote more than it reserved.
TEST(MemberDocumentTest, TheLongestEscapesFit) {
  Member member = ExampleMember();
  member.id = MemberId(INT64_MIN);
  member.version = Version(INT64_MIN);
  member.merged_into = MemberId(INT64_MIN);
  member.create_time = member.update_time = Timestamp(Duration(1));
  member.tags.assign(1000, "\x01");
  member.attributes.clear();
  for (int i = 0; i < 1000; ++i) member.attributes[std::string(static_cast<std::size_t>(i), '\x01')] = "\x02";
  member.identities.clear();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Identity identity = testing::MakeIdentity(i, "\x01", "\x01");
    identity.value = Pii<std::string>("\x01");
    identity.source = "\x01";
    identity.state = IdentityState::kQuarantined;
    identity.verified = true;
    identity.bind_time = Timestamp(Duration(1));
    member.identities.push_back(identity);
  }
  v1::Member read;
  ASSERT_TRUE(JsonStringToMessage(std::string(MakeMemberDocument(member)->json()), &read).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(read, ToMessage(member)));
}

TEST(MemberDocumentTest, TakesLittleMoreThanItsJson) {
  KeyedHash hash{SecretKey{}};
  Member member = SyntheticMembers(1).Make(7, hash);
  member.id = MemberId(1);
  const MemberDocumentRef document = MakeMemberDocument(member);
  EXPECT_LE(document->AllocatedBytes(), document->json().size() + 32 + 28 * (member.identities.size() + 1) + 24);
}

TEST(MemberDocumentRefTest, NullMeansNoSuchMember) {
  const MemberDocumentRef none;
  EXPECT_FALSE(none);
  MemberDocumentRef copy = none;
  EXPECT_FALSE(copy);
  copy = MakeMemberDocument(ExampleMember());
  EXPECT_TRUE(copy);
  copy = MemberDocumentRef();
  EXPECT_FALSE(copy);
}

TEST(MemberDocumentRefTest, CopiesShareOneBlock) {
  MemberDocumentRef first = MakeMemberDocument(ExampleMember());
  const MemberDocumentRef second = first;
  EXPECT_EQ(first.get(), second.get());
  MemberDocumentRef third = std::move(first);
  EXPECT_EQ(third.get(), second.get());
  MemberDocumentRef& self = third;
  third = self;
  EXPECT_EQ(third.get(), second.get());
  third = MemberDocumentRef();
  EXPECT_TRUE(second->json().starts_with("{\"id\""));
}

TEST(MemberDocumentRefTest, ThreadsMayShareOne) {
  const MemberDocumentRef shared = MakeMemberDocument(ExampleMember());
  const std::string expected(shared->json());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy = shared, &expected] {
      for (int j = 0; j < 10'000; ++j) {
        const MemberDocumentRef mine = copy;
        ASSERT_EQ(mine->json(), expected);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace muster
