#include "api/member_proto.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "base/random.h"
#include "domain/member_document.h"
#include "domain/member_protobuf.h"
#include "domain/testing/arbitrary_member.h"
#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

struct Readers {
  IdentityCatalog catalog = IdentityCatalog::Default();
  SecretKey key{};
  MemberProto proto{catalog, key};
  MemberJson json{catalog, key};
};

// The same member read from both encodings: the oracle is the JSON reader.
RC_GTEST_PROP(MemberProtoProperty, ReadsWhatTheJsonReaderReads, ()) {
  static Readers readers;
  const Member member = *testing::ArbitraryMember();
  const MemberDocumentRef document = MakeMemberDocument(member);
  v1::RegisterMemberRequest request;
  std::string wire;
  AppendMemberProtobuf(wire, *document, false);
  RC_ASSERT(request.mutable_member()->ParseFromString(wire));
  const auto from_proto = readers.proto.ReadRegister(request.SerializeAsString());
  const auto from_json = readers.json.ReadMember(document->json());
  RC_ASSERT(from_proto.has_value() == from_json.has_value());
  if (!from_proto) return;
  RC_ASSERT(from_proto->has_id == from_json->has_id);
  RC_ASSERT(from_proto->has_past == from_json->has_past);
  RC_ASSERT(from_proto->member == from_json->member);
}

RC_GTEST_PROP(MemberProtoProperty, NoBytesAreTooMuch, (std::string bytes)) {
  static Readers readers;
  for (const auto& read : {readers.proto.ReadRegister(bytes).has_value(), readers.proto.ReadUpdate(bytes).has_value(),
                           readers.proto.ReadBatchResolve(bytes).has_value()}) {
    (void)read;
  }
}

class MemberProtoTest : public ::testing::Test {
 protected:
  static std::vector<std::string> FieldsOf(const Error& error) {
    std::vector<std::string> fields;
    for (const FieldViolation& violation : error.violations) fields.push_back(violation.field);
    return fields;
  }
  Readers readers_;
};

TEST_F(MemberProtoTest, EveryFaultIsNamed) {
  v1::RegisterMemberRequest request;
  v1::Member& member = *request.mutable_member();
  member.set_id(-1);
  member.set_state(static_cast<v1::Member::State>(9));
  member.set_gender(static_cast<v1::Member::Gender>(-1));
  member.set_city(std::string("a\0b", 3));
  member.mutable_create_time()->set_seconds(INT64_MAX);
  member.add_identities()->set_kind("phone");
  v1::Identity& bad = *member.add_identities();
  bad.set_kind("phone");
  bad.set_value("secret value");
  bad.set_state(static_cast<v1::Identity::State>(7));
  bad.mutable_bind_time()->set_nanos(-1);
  const auto read = readers_.proto.ReadRegister(request.SerializeAsString());
  ASSERT_FALSE(read);
  EXPECT_THAT(FieldsOf(read.error()),
              ::testing::UnorderedElementsAre("id", "state", "gender", "city", "createTime", "identities[0].value",
                                              "identities[1].state", "identities[1].bind_time"));
  for (const FieldViolation& violation : read.error().violations) {
    EXPECT_THAT(violation.description, ::testing::Not(HasSubstr("secret")));
  }
}

TEST_F(MemberProtoTest, TextIsUtf8) {
  // member { display_name: <a lone continuation byte> }
  const auto read = readers_.proto.ReadRegister("\x0a\x03\x1a\x01\x80");
  ASSERT_FALSE(read);
  EXPECT_EQ(FieldsOf(read.error()), std::vector<std::string>{"displayName"});
}

TEST_F(MemberProtoTest, ListsAreBounded) {
  v1::RegisterMemberRequest request;
  for (int i = 0; i < 65; ++i) request.mutable_member()->add_tags("t" + std::to_string(i));
  EXPECT_THAT(readers_.proto.ReadRegister(request.SerializeAsString()).error().message, HasSubstr("64"));
  request.Clear();
  for (int i = 0; i < 65; ++i) (*request.mutable_member()->mutable_attributes())["a" + std::to_string(i)] = "x";
  EXPECT_THAT(readers_.proto.ReadRegister(request.SerializeAsString()).error().message, HasSubstr("64"));
  v1::BatchResolveMembersRequest batch;
  for (int i = 0; i < 1001; ++i) batch.add_identities()->set_kind("phone");
  EXPECT_THAT(readers_.proto.ReadBatchResolve(batch.SerializeAsString()).error().message, HasSubstr("identities"));
}

// As over HTTP: what is wrong with elements says nothing more.
TEST_F(MemberProtoTest, AListThatIsTooLongIsOneFault) {
  const auto faults_of = [](const auto& read) {
    std::vector<std::string> faults;
    for (const FieldViolation& violation : read.error().violations) {
      faults.push_back(violation.field + " " + violation.description);
    }
    return faults;
  };
  v1::RegisterMemberRequest request;
  v1::UpdateMemberRequest update;
  update.set_id(7);
  update.mutable_update_mask()->add_paths("tags");
  for (int i = 0; i < 100; ++i) {
    request.mutable_member()->add_tags(std::string("a\0", 2));
    request.mutable_member()->add_identities()->set_kind("phone");
    (*request.mutable_member()->mutable_attributes())["a" + std::to_string(i)] = "x";
    update.mutable_member()->add_tags("x");
  }
  request.mutable_member()->set_birth_date(std::string("x\0", 2));
  EXPECT_THAT(faults_of(readers_.proto.ReadRegister(request.SerializePartialAsString())),
              ::testing::UnorderedElementsAre("tags has more than 64 elements", "attributes has more than 64 fields",
                                              "identities has more than 64 elements", "birthDate contains a NUL"));
  EXPECT_THAT(faults_of(readers_.proto.ReadUpdate(update.SerializeAsString())),
              ::testing::ElementsAre("tags has more than 64 elements"));
  v1::UpdateMemberRequest nothing;
  nothing.set_id(1);
  EXPECT_THAT(faults_of(readers_.proto.ReadUpdate(nothing.SerializeAsString())),
              ::testing::ElementsAre("member is required"));
  v1::BatchGetMembersRequest ids;
  v1::BatchResolveMembersRequest identities;
  for (int i = 0; i < 2000; ++i) {
    ids.add_ids(0);
    identities.add_identities()->set_kind("phone");
  }
  EXPECT_THAT(faults_of(readers_.proto.ReadBatchGet(ids.SerializeAsString())),
              ::testing::ElementsAre("ids has more than 1000 elements"));
  EXPECT_THAT(faults_of(readers_.proto.ReadBatchResolve(identities.SerializeAsString())),
              ::testing::ElementsAre("identities has more than 1000 elements"));
}

TEST_F(MemberProtoTest, IdsComePackedAndOneByOne) {
  v1::BatchGetMembersRequest request;
  for (const std::int64_t id : {1LL, 300LL, 9223372036854775807LL}) request.add_ids(id);
  const auto packed = readers_.proto.ReadBatchGet(request.SerializeAsString());
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->ids.size(), 3U);
  const auto unpacked = readers_.proto.ReadBatchGet("\x08\x01\x08\xac\x02\x10\x01");
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(unpacked->ids, (std::vector<MemberId>{MemberId(1), MemberId(300)}));
  EXPECT_TRUE(unpacked->no_cache);
  EXPECT_FALSE(readers_.proto.ReadBatchGet("\x0a\x01\x80"));
  request.add_ids(0);
  EXPECT_EQ(FieldsOf(readers_.proto.ReadBatchGet(request.SerializeAsString()).error()),
            std::vector<std::string>{"ids[3]"});
}

TEST_F(MemberProtoTest, UnknownFieldsAndDefaultsAreAbsent) {
  // id, field 99 as bytes, version 0
  const auto read = readers_.proto.ReadRegister(std::string_view("\x0a\x08\x9a\x06\x01x\x60\x00\x1a\x00", 10));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(read->has_past);
  EXPECT_EQ(read->member.create_time, kNoTime);
}

TEST_F(MemberProtoTest, AMessageSentInPartsIsMerged) {
  v1::RegisterMemberRequest one;
  one.mutable_member()->set_city("Suzhou");
  v1::RegisterMemberRequest other;
  other.mutable_member()->set_tier("gold");
  const auto read = readers_.proto.ReadRegister(one.SerializeAsString() + other.SerializeAsString());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->member.city, "Suzhou");
  EXPECT_EQ(read->member.tier, "gold");
}

}  // namespace
}  // namespace muster
