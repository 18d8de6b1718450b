#include "store/member_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "domain/testing/arbitrary_member.h"
#include "domain/testing/members.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

using testing::ArbitraryMember;
using testing::ArbitraryText;
using testing::TestKeyring;

class MemberCodecTest : public ::testing::Test {
 protected:
  std::string Encode(const Member& member) {
    std::string record;
    EXPECT_TRUE(codec_.Encode(member, record));
    return record;
  }
  // Whatever the bytes are, the answer is a member or an error that names it.
  void DecodeDamaged(MemberId id, std::string_view record) {
    const Result<Member> member = codec_.Decode(id, Version(1), record);
    if (member) return;
    EXPECT_EQ(member.error().reason, Reason::kInternal);
    EXPECT_NE(member.error().message.find("member " + std::to_string(id.value())), std::string::npos);
  }

  SystemRandom random_;
  MemberCodec codec_{TestKeyring(), random_};
};

Change ChangeOfMember41() {
  Change change;
  change.member_id = MemberId(41);
  change.version = Version(3);
  change.type = ChangeType::kIdentityBound;
  return change;
}

Member SmallMember() {
  Member member;
  member.id = MemberId(41);
  member.real_name = Pii<std::string>("Li Lei");
  member.identities.push_back(testing::MakeIdentity(1));
  return member;
}

RC_GTEST_FIXTURE_PROP(MemberCodecTest, WhatIsEncodedIsDecoded, ()) {
  const Member member = *ArbitraryMember();
  const Result<Member> decoded = codec_.Decode(member.id, member.version, Encode(member));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == member);
}

// The codec reuses its buffers: nothing of one member may be left in the next.
RC_GTEST_FIXTURE_PROP(MemberCodecTest, NothingOfOneMemberIsLeftInTheNext, ()) {
  const Member first = *ArbitraryMember();
  const Member second = *ArbitraryMember();
  const std::string first_record = Encode(first);
  const std::string second_record = Encode(second);
  RC_ASSERT(codec_.Decode(first.id, first.version, first_record).value() == first);
  RC_ASSERT(codec_.Decode(second.id, second.version, second_record).value() == second);
}

RC_GTEST_FIXTURE_PROP(MemberCodecTest, GarbageIsAnErrorThatNamesTheMember, (const std::string& garbage)) {
  DecodeDamaged(MemberId(41), garbage);
}

RC_GTEST_FIXTURE_PROP(MemberCodecTest, FlippedBitsAreSurvived, ()) {
  const Member member = *ArbitraryMember();
  std::string record = Encode(member);
  RC_PRE(!record.empty());
  const int flips = *rc::gen::inRange(1, 8);
  for (int flip = 0; flip < flips; ++flip) {
    const auto at = *rc::gen::inRange<std::size_t>(0, record.size());
    record[at] = static_cast<char>(record[at] ^ (1 << *rc::gen::inRange(0, 8)));
  }
  DecodeDamaged(member.id, record);
}

TEST_F(MemberCodecTest, EveryTruncationIsSurvived) {
  const std::string record = Encode(SmallMember());
  for (std::size_t size = 0; size < record.size(); ++size) DecodeDamaged(MemberId(41), record.substr(0, size));
}

// Each bit of each byte, one at a time: no flip may change a personal value unnoticed.
TEST_F(MemberCodecTest, NoSingleFlipChangesAPersonalValueUnnoticed) {
  const Member member = SmallMember();
  const std::string record = Encode(member);
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string flipped = record;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const Result<Member> decoded = codec_.Decode(member.id, member.version, flipped);
    if (!decoded) continue;
    if (!decoded->real_name.empty()) {
      EXPECT_EQ(decoded->real_name, member.real_name) << "bit " << bit;
    }
    for (const Identity& identity : decoded->identities) {
      if (!identity.value.empty()) {
        EXPECT_EQ(identity.value, member.identities[0].value) << "bit " << bit;
      }
    }
  }
}

TEST_F(MemberCodecTest, ARecordOfAnotherMemberDoesNotOpen) {
  const Member member = SmallMember();
  const Result<Member> decoded = codec_.Decode(MemberId(42), member.version, Encode(member));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().reason, Reason::kInternal);
  EXPECT_NE(decoded.error().message.find("member 42"), std::string::npos);
}

TEST_F(MemberCodecTest, ARecordUnderAnotherKeyringDoesNotOpen) {
  const Keyring other = Keyring::Generate(random_);
  MemberCodec stranger(other, random_);
  const Member member = SmallMember();
  EXPECT_FALSE(stranger.Decode(member.id, member.version, Encode(member)));
}

TEST_F(MemberCodecTest, ARecordHoldsNoPersonalValueInClear) {
  Member member = SmallMember();
  member.real_name = Pii<std::string>("CANARY-NAME");
  member.identities[0].value = Pii<std::string>("CANARY-VALUE");
  EXPECT_EQ(Encode(member).find("CANARY"), std::string::npos);
  EXPECT_NE(codec_.LastSealKeyId(), 0U) << "the last one used";
}

TEST_F(MemberCodecTest, EqualMembersDoNotLookEqual) {
  EXPECT_NE(Encode(SmallMember()), Encode(SmallMember())) << "the sealed text must not be deterministic";
}

TEST_F(MemberCodecTest, TheSealKeyOfTheLastDecodedMemberIsKnown) {
  const Member member = SmallMember();
  const std::string record = Encode(member);
  ASSERT_TRUE(codec_.Decode(member.id, member.version, record));
  EXPECT_EQ(codec_.LastSealKeyId(), TestKeyring().active_seal_id());
  Member plain;
  plain.id = MemberId(7);
  ASSERT_TRUE(codec_.Decode(plain.id, plain.version, Encode(plain)));
  EXPECT_EQ(codec_.LastSealKeyId(), 0U);
}

// Protobuf would write it and then refuse to read it.
TEST_F(MemberCodecTest, TextThatCouldNotBeReadBackIsRefused) {
  const std::string bad = "\xC3\x28";
  std::vector<Member> members(6, SmallMember());
  members[0].city = bad;
  members[1].tags = {bad};
  members[2].attributes = {{"note", bad}};
  members[3].real_name = Pii<std::string>(bad);
  members[4].identities[0].value = Pii<std::string>(bad);
  members[5].identities[0].source = bad;
  for (const Member& member : members) {
    std::string record;
    const Result<void> encoded = codec_.Encode(member, record);
    ASSERT_FALSE(encoded);
    EXPECT_EQ(encoded.error().reason, Reason::kInvalidArgument);
  }
  Change change = ChangeOfMember41();
  change.request_id = bad;
  std::string detail;
  EXPECT_EQ(codec_.EncodeDetail(change, detail).error().reason, Reason::kInvalidArgument);
}

RC_GTEST_FIXTURE_PROP(MemberCodecTest, ChangesComeBack, ()) {
  Change change = ChangeOfMember41();
  change.caller = *ArbitraryText(64);
  change.request_id = *ArbitraryText(64);
  change.fields = *rc::gen::container<std::vector<std::string>>(ArbitraryText(20));
  change.other_member_id = MemberId(*rc::gen::nonNegative<std::int64_t>());
  for (const Identity& identity : *rc::gen::container<std::vector<Identity>>(testing::ArbitraryIdentity())) {
    change.identities.push_back({identity.kind, identity.platform, identity.key});
  }
  std::string detail;
  RC_ASSERT(codec_.EncodeDetail(change, detail).has_value());
  Change decoded = ChangeOfMember41();
  RC_ASSERT(codec_.DecodeDetail(detail, decoded).has_value());
  RC_ASSERT(decoded == change);
}

RC_GTEST_FIXTURE_PROP(MemberCodecTest, AGarbledChangeIsAnErrorThatNamesTheMember, (const std::string& garbage)) {
  Change change = ChangeOfMember41();
  const Result<void> decoded = codec_.DecodeDetail(garbage, change);
  if (!decoded) {
    RC_ASSERT(decoded.error().message.find("member 41") != std::string::npos);
  }
}

TEST(DecodeChangeTypeTest, RefusesWhatIsNone) {
  EXPECT_EQ(DecodeChangeType(MemberId(1), 1), ChangeType::kRegistered);
  EXPECT_EQ(DecodeChangeType(MemberId(1), 8), ChangeType::kImported);
  for (const std::int64_t type : {std::int64_t{0}, std::int64_t{9}, std::int64_t{-1}, INT64_MAX}) {
    EXPECT_FALSE(DecodeChangeType(MemberId(1), type));
  }
}

}  // namespace
}  // namespace muster
