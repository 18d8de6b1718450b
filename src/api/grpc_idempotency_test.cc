#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/testing/grpc_fixture.h"
#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using testing::IsGrpcError;

class GrpcIdempotencyTest : public testing::GrpcApiTest {
 protected:
  // What the writer was told of the key.
  Idempotency Written() {
    const Idempotency written = TheWrite().context.idempotency.value_or(Idempotency{});
    EXPECT_NE(written.key, RequestHash{});
    EXPECT_NE(written.replayed, nullptr);
    return written;
  }
  Idempotency OverGrpc(const std::string& method, const std::string& message, const std::string& key = "once") {
    EXPECT_EQ(Call({.method = method, .message = message, .idempotency_keys = {key}}).status, 0);
    return Written();
  }
  Idempotency OverHttp(const std::string& target, const std::string& body, const std::string& if_match = {},
                       HttpMethod method = HttpMethod::kPost) {
    Request request{.method = method, .target = target, .body = body, .headers = {{"Idempotency-Key", "once"}}};
    if (!if_match.empty()) request.headers.emplace_back("If-Match", if_match);
    EXPECT_LT(Send(request).status, 300);
    return Written();
  }
  static void ExpectSame(const Idempotency& one, const Idempotency& other) {
    EXPECT_EQ(one.key, other.key);
    EXPECT_EQ(one.fingerprint, other.fingerprint);
  }
  static std::string CloseOf(std::int64_t id) {
    v1::CloseMemberRequest request;
    request.set_id(id);
    return request.SerializeAsString();
  }
};

TEST_F(GrpcIdempotencyTest, AWriteIsTheSameOverBothProtocols) {
  v1::RegisterMemberRequest made;
  made.mutable_member()->set_city("Suzhou");
  made.mutable_member()->add_tags("frequent");
  made.mutable_member()->mutable_attributes()->insert({{"b", "2"}, {"a", "1"}});
  auto* identity = made.mutable_member()->add_identities();
  identity->set_kind("phone");
  identity->set_value("138 0000 0001");
  ExpectSame(OverGrpc("RegisterMember", made.SerializeAsString()),
             OverHttp("/v1/members", R"({"identities":[{"kind":"phone","value":"+86 13800000001"}],"city":"Suzhou",)"
                                     R"("attributes":{"a":"1","b":"2"},"tags":["frequent"]})"));

  v1::UpdateMemberRequest update;
  update.set_id(7);
  update.set_expected_version(3);
  update.mutable_member()->set_city("Wuxi");
  update.mutable_update_mask()->add_paths("city");
  update.mutable_update_mask()->add_paths("display_name");
  ExpectSame(OverGrpc("UpdateMember", update.SerializeAsString()),
             OverHttp("/v1/members/7?updateMask=displayName,city", R"({"city":"Wuxi"})", "\"3\"", HttpMethod::kPatch));

  v1::BindIdentityRequest bind;
  bind.set_id(7);
  *bind.mutable_identity() = *identity;
  const std::string json = R"({"identity":{"kind":"phone","value":"13800000001"}})";
  ExpectSame(OverGrpc("BindIdentity", bind.SerializeAsString()), OverHttp("/v1/members/7:bind", json, "*"));
  v1::UnbindIdentityRequest unbind;
  unbind.set_id(7);
  *unbind.mutable_identity() = *identity;
  ExpectSame(OverGrpc("UnbindIdentity", unbind.SerializeAsString()), OverHttp("/v1/members/7:unbind", json));
  ExpectSame(OverGrpc("CloseMember", CloseOf(7)), OverHttp("/v1/members/7:close", "{}"));
}

TEST_F(GrpcIdempotencyTest, AnotherWriteIsAnother) {
  const Idempotency one = OverGrpc("CloseMember", CloseOf(7));
  EXPECT_EQ(OverGrpc("CloseMember", CloseOf(8)).key, one.key);
  EXPECT_NE(OverGrpc("CloseMember", CloseOf(8)).fingerprint, one.fingerprint);
  v1::CloseMemberRequest conditional;
  conditional.set_id(7);
  conditional.set_expected_version(2);
  EXPECT_NE(OverGrpc("CloseMember", conditional.SerializeAsString()).fingerprint, one.fingerprint);
  EXPECT_NE(OverGrpc("CloseMember", CloseOf(7), "twice").key, one.key);
  ExpectSame(OverGrpc("CloseMember", CloseOf(7), "\"once\""), one);
}

TEST_F(GrpcIdempotencyTest, AnAnswerThatWasGivenBeforeSaysSo) {
  EXPECT_FALSE(Call({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = {"once"}}).is_replayed);
  writer_.answer = [](const testing::StubWriter::Asked& write) -> Result<Member> {
    if (write.context.idempotency) *write.context.idempotency->replayed = true;
    return write.member;
  };
  EXPECT_TRUE(Call({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = {"once"}}).is_replayed);
  EXPECT_FALSE(Call({.method = "CloseMember", .message = CloseOf(7)}).is_replayed);
}

TEST_F(GrpcIdempotencyTest, OneIsUnderWayAtATimeOverBothProtocols) {
  writer_.SetHeld(true);
  const auto first = BeginGrpc({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = {"once"}});
  EXPECT_THAT(Call({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = {"once"}}),
              IsGrpcError(Reason::kIdempotencyInProgress));
  EXPECT_THAT(
      Send({.method = HttpMethod::kPost, .target = "/v1/members/7:close", .headers = {{"Idempotency-Key", "once"}}}),
      testing::IsProblem(Reason::kIdempotencyInProgress));
  writer_.SetHeld(false);
  loop_.RunUntil([&] { return first->answered; });
  EXPECT_EQ(Call({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = {"once"}}).status, 0);
}

TEST_F(GrpcIdempotencyTest, KeysThatAreNoneAreRefused) {
  for (const std::vector<std::string>& keys :
       std::vector<std::vector<std::string>>{{""}, {"a b"}, {std::string(129, 'k')}, {"\"open"}, {"a", "a"}}) {
    const auto refused = Call({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = keys});
    EXPECT_THAT(refused, IsGrpcError(Reason::kInvalidArgument)) << keys.front();
    EXPECT_THAT(refused.status_details, HasSubstr("Idempotency-Key"));
  }
  EXPECT_TRUE(writer_.TakeAsked().empty());
  writer_.answer = [](const testing::StubWriter::Asked&) -> Result<Member> {
    return Fail(Reason::kIdempotencyMismatch, "the key came with other content");
  };
  EXPECT_THAT(Call({.method = "CloseMember", .message = CloseOf(7), .idempotency_keys = {"once"}}),
              IsGrpcError(Reason::kIdempotencyMismatch));
}

}  // namespace
}  // namespace muster
