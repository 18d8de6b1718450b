#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "api/testing/grpc_fixture.h"
#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

using ::testing::AllOf;
using testing::BlamesField;
using testing::GrpcOutcome;
using ::testing::HasSubstr;
using testing::IsGrpcError;
using testing::Response;
using enum HttpMethod;

struct HttpWrite {
  HttpMethod method;
  std::string target;
  std::string body;
};
struct GrpcWrite {
  std::string method;
  std::string message;
};

constexpr std::string_view kIdentity = R"({"identity":{"kind":"phone","value":"13800000001"}})";

const std::vector<HttpWrite>& HttpWrites() {
  static const std::vector<HttpWrite> kWrites = {{kPost, "/v1/members", R"({"city":"Suzhou"})"},
                                                 {kPatch, "/v1/members/7?updateMask=city", R"({"city":"Wuxi"})"},
                                                 {kPost, "/v1/members/7:bind", std::string(kIdentity)},
                                                 {kPost, "/v1/members/7:unbind", std::string(kIdentity)},
                                                 {kPost, "/v1/members/7:merge", R"({"sourceId":"8"})"},
                                                 {kPost, "/v1/members/7:unmerge", R"({"sourceId":"8"})"},
                                                 {kPost, "/v1/members/7:close", "{}"}};
  return kWrites;
}

template <typename Request>
std::string OfSeven(const std::function<void(Request&)>& complete = [](Request&) {}) {
  Request request;
  request.set_id(7);
  complete(request);
  return request.SerializeAsString();
}

template <typename Request>
std::string WithIdentity() {
  return OfSeven<Request>([](Request& request) {
    request.mutable_identity()->set_kind("phone");
    request.mutable_identity()->set_value("13800000001");
  });
}

template <typename Request>
std::string WithSource(bool dry_run = false) {
  return OfSeven<Request>([dry_run](Request& request) {
    request.set_source_id(8);
    request.set_dry_run(dry_run);
  });
}

std::vector<GrpcWrite> GrpcWrites() {
  v1::RegisterMemberRequest made;
  made.mutable_member()->set_city("Suzhou");
  return {{"RegisterMember", made.SerializeAsString()},
          {"UpdateMember", OfSeven<v1::UpdateMemberRequest>([](auto& request) {
             request.mutable_member()->set_city("Wuxi");
             request.mutable_update_mask()->add_paths("city");
           })},
          {"BindIdentity", WithIdentity<v1::BindIdentityRequest>()},
          {"UnbindIdentity", WithIdentity<v1::UnbindIdentityRequest>()},
          {"MergeMembers", WithSource<v1::MergeMembersRequest>()},
          {"UnmergeMembers", WithSource<v1::UnmergeMembersRequest>()},
          {"CloseMember", OfSeven<v1::CloseMemberRequest>()}};
}

// "writer" must send a key with every write.
class IdempotencyDemandTest : public testing::GrpcApiTest {
 protected:
  IdempotencyDemandTest() {
    callers_.DemandIdempotencyKeys("writer", true);
    reader_->Put(LiLei());
    grpc_reader_->Put(LiLei());
  }
  Response Write(const HttpWrite& write, const std::string& key = {}) {
    Request request{.method = write.method, .target = write.target, .body = write.body};
    if (!key.empty()) request.headers.emplace_back("Idempotency-Key", key);
    return Send(request);
  }
  GrpcOutcome Write(const GrpcWrite& write, const std::vector<std::string>& keys = {}) {
    return Call({.method = write.method, .message = write.message, .idempotency_keys = keys});
  }
};

TEST_F(IdempotencyDemandTest, EveryWriteOverHttpNeedsAKey) {
  for (const HttpWrite& write : HttpWrites()) {
    const Response refused = Write(write);
    EXPECT_THAT(refused, BlamesField("Idempotency-Key")) << write.target;
    EXPECT_THAT(refused.body, AllOf(HasSubstr("the caller writer"), HasSubstr("send a new random UUID")));
    EXPECT_TRUE(writer_.TakeAsked().empty()) << write.target;
    EXPECT_LT(Write(write, "once").status, 300) << write.target;
    EXPECT_TRUE(TheWrite().context.idempotency) << write.target;
  }
}

TEST_F(IdempotencyDemandTest, EveryWriteOverGrpcNeedsAKey) {
  for (const GrpcWrite& write : GrpcWrites()) {
    const GrpcOutcome refused = Write(write);
    EXPECT_THAT(refused, IsGrpcError(Reason::kInvalidArgument)) << write.method;
    EXPECT_THAT(refused.status_details, HasSubstr("Idempotency-Key")) << write.method;
    EXPECT_TRUE(writer_.TakeAsked().empty()) << write.method;
    EXPECT_EQ(Write(write, {"once"}).status, 0) << write.method;
    EXPECT_TRUE(TheWrite().context.idempotency) << write.method;
  }
}

// A list of versions is answered by a read first: the refusal comes before it.
TEST_F(IdempotencyDemandTest, NothingIsReadForAWriteThatIsRefused) {
  const Response refused =
      Send({.method = kPost, .target = "/v1/members/7:close", .body = "{}", .headers = {{"If-Match", "\"2\", \"3\""}}});
  EXPECT_THAT(refused, BlamesField("Idempotency-Key"));
  EXPECT_TRUE(reader_->asked.empty());
}

TEST_F(IdempotencyDemandTest, ADryRunNeedsNone) {
  for (const char* target : {"/v1/members/7:merge", "/v1/members/7:unmerge"}) {
    EXPECT_EQ(Write({kPost, target, R"({"sourceId":"8","dryRun":true})"}).status, 200) << target;
    EXPECT_TRUE(TheWrite().dry_run) << target;
    EXPECT_THAT(Write({kPost, target, R"({"sourceId":"8"})"}), BlamesField("Idempotency-Key")) << target;
  }
  for (const auto& [method, dry, wet] :
       {std::tuple("MergeMembers", WithSource<v1::MergeMembersRequest>(true), WithSource<v1::MergeMembersRequest>()),
        std::tuple("UnmergeMembers", WithSource<v1::UnmergeMembersRequest>(true),
                   WithSource<v1::UnmergeMembersRequest>())}) {
    EXPECT_EQ(Write(GrpcWrite{method, dry}).status, 0) << method;
    EXPECT_TRUE(TheWrite().dry_run) << method;
    // The same object serves the next call, which must not be taken for a dry run.
    EXPECT_THAT(Write(GrpcWrite{method, wet}), IsGrpcError(Reason::kInvalidArgument)) << method;
  }
}

// It writes nothing that a repetition could find, so even one that could not be a key is of no matter.
TEST_F(IdempotencyDemandTest, ADryRunsKeyIsNotLookedAt) {
  for (const std::string& key : {std::string("once"), std::string("\"unfinished"), std::string(200, 'x')}) {
    for (const char* target : {"/v1/members/7:merge", "/v1/members/7:unmerge"}) {
      EXPECT_EQ(Write({kPost, target, R"({"sourceId":"8","dryRun":true})"}, key).status, 200) << key;
      EXPECT_FALSE(TheWrite().context.idempotency) << target;
    }
    for (const auto& [method, dry] : {std::pair("MergeMembers", WithSource<v1::MergeMembersRequest>(true)),
                                      std::pair("UnmergeMembers", WithSource<v1::UnmergeMembersRequest>(true))}) {
      EXPECT_EQ(Write(GrpcWrite{method, dry}, {key, key}).status, 0) << key;
      EXPECT_FALSE(TheWrite().context.idempotency) << method;
    }
  }
}

TEST_F(IdempotencyDemandTest, ReadsAndOtherCallersAreNotAsked) {
  EXPECT_EQ(Send({.target = "/v1/members/7"}).status, 200);
  EXPECT_EQ(Send({.method = kPost, .target = "/v1/members:batchGet", .body = R"({"ids":["7"]})"}).status, 200);
  EXPECT_EQ(Call({.method = "GetMember", .message = OfSeven<v1::GetMemberRequest>()}).status, 0);
  EXPECT_EQ(Send({.method = kPost, .target = "/v1/members/7:close", .body = "{}", .caller = "importer"}).status, 200);
}

TEST_F(IdempotencyDemandTest, AChangeIsInForceForTheNextRequest) {
  for (const bool demanded : {false, true}) {
    callers_.DemandIdempotencyKeys("writer", demanded);
    EXPECT_EQ(Write(HttpWrites().back()).status, demanded ? 400 : 200);
    EXPECT_EQ(Write(GrpcWrites().back()).status == 0, !demanded);
  }
}

}  // namespace
}  // namespace muster
