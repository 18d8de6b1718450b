#include "domain/member_protobuf.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "domain/member_rules.h"
#include "domain/testing/arbitrary_member.h"
#include "domain/testing/members.h"
#include "muster/v1/member.pb.h"

namespace muster {
namespace {

using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageDifferencer;

std::string Wire(const MemberDocumentRef& document, bool is_masked) {
  std::string out = "before";
  AppendMemberProtobuf(out, *document, is_masked);
  EXPECT_TRUE(out.starts_with("before"));
  return out.substr(6);
}

// The oracle: protobuf's reading of the document's JSON, which member_document_test.cc holds to the member.
bool IsTheMemberOfItsJson(const MemberDocumentRef& document, bool is_masked) {
  std::string json(document->json());
  if (is_masked) {
    json.clear();
    document->AppendMasked(json);
  }
  v1::Member expected;
  v1::Member read;
  return JsonStringToMessage(json, &expected).ok() && read.ParseFromString(Wire(document, is_masked)) &&
         MessageDifferencer::Equals(read, expected);
}

RC_GTEST_PROP(MemberProtobufProperty, IsTheMessageThatTheJsonIs, ()) {
  const MemberDocumentRef document = MakeMemberDocument(*testing::ArbitraryMember());
  RC_ASSERT(IsTheMemberOfItsJson(document, false));
  RC_ASSERT(IsTheMemberOfItsJson(document, true));
}

TEST(MemberProtobufTest, ABareMemberIsFiveFields) {
  Member member;
  member.id = MemberId(300);
  const std::string wire("\x08\xac\x02\x10\x01\x60\x01\x6a\x00\x72\x00", 11);  // of 1970, whose times are not left out
  EXPECT_EQ(Wire(MakeMemberDocument(member), false), wire);
  EXPECT_EQ(Wire(MakeMemberDocument(member), true), wire);
}

TEST(MemberProtobufTest, EveryEscapeIsUndone) {
  Member member;
  member.id = MemberId(1);
  for (int c = 1; c < 0x80; ++c) member.display_name.push_back(static_cast<char>(c));
  v1::Member read;
  ASSERT_TRUE(read.ParseFromString(Wire(MakeMemberDocument(member), false)));
  EXPECT_EQ(read.display_name(), member.display_name);
}

TEST(MemberProtobufTest, MasksShorterAndLongerThanTheirValues) {
  Member member;
  member.id = MemberId(1);
  member.real_name = Pii<std::string>("x");
  for (const char* value : {"1", "123456789012345678901234567890", "with\"quote"}) {
    member.identities.push_back(testing::MakeIdentity(member.identities.size()));
    member.identities.back().value = Pii<std::string>(value);
  }
  EXPECT_TRUE(IsTheMemberOfItsJson(MakeMemberDocument(member), true));
}

TEST(MemberProtobufTest, TheLargestLegalMemberFits) {
  Member member;
  member.id = MemberId(INT64_MAX);
  const auto quotes = [](std::size_t size) { return std::string(size, '"'); };
  member.display_name = quotes(kNameBytesMax);
  for (std::size_t i = 0; i < 64; ++i) {
    member.tags.push_back(quotes(kWordBytesMax - 2) + std::to_string(10 + i));
    member.attributes[quotes(kWordBytesMax - 2) + std::to_string(10 + i)] = std::string(kAttributeValueBytesMax, 'x');
    member.identities.push_back(testing::MakeIdentity(i));
    member.identities.back().source = quotes(kWordBytesMax);
  }
  ASSERT_TRUE(CheckFields(member));
  EXPECT_TRUE(IsTheMemberOfItsJson(MakeMemberDocument(member), false));
  EXPECT_TRUE(IsTheMemberOfItsJson(MakeMemberDocument(member), true));
}

}  // namespace
}  // namespace muster
