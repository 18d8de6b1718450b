#include "api/grpc_api.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "api/testing/grpc_fixture.h"
#include "grpc/health/v1/health.pb.h"
#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsGrpcError;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

class MemberGrpcTest : public testing::GrpcApiTest {
 protected:
  MemberGrpcTest() { grpc_reader_->Put(LiLei()); }

  static std::string GetOf(std::int64_t id) {
    v1::GetMemberRequest request;
    request.set_id(id);
    return request.SerializeAsString();
  }
  static v1::Member MemberOf(const testing::GrpcOutcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.status_message;
    v1::Member member;
    EXPECT_TRUE(member.ParseFromString(outcome.message));
    return member;
  }
};

TEST_F(MemberGrpcTest, GetAnswersTheMember) {
  grpc_reader_->age = std::chrono::milliseconds(12);
  const auto outcome = Call({"GetMember", GetOf(7)});
  EXPECT_EQ(MemberOf(outcome).real_name(), "Li Lei");
  EXPECT_EQ(MemberOf(outcome).identities(0).value(), "+8613800000001");
  EXPECT_EQ(outcome.source, "near");
  EXPECT_EQ(outcome.age_ms, 12);
  EXPECT_EQ(grpc_reader_->asked.at(0).options.deadline.at(), clock_.Monotonic() + kDeadlineDefault);
}

TEST_F(MemberGrpcTest, ThatThereIsNobodyHasAnAgeToo) {
  grpc_reader_->source = Source::kReplica;
  grpc_reader_->age = std::chrono::seconds(3);
  const auto outcome = Call({"GetMember", GetOf(8)});
  EXPECT_EQ(outcome.status, 5);
  EXPECT_EQ(outcome.source, "replica");
  EXPECT_EQ(outcome.age_ms, 3000);
}

TEST_F(MemberGrpcTest, ABatchIsAsOldAsTheOldestOfItsAnswers) {
  grpc_reader_->origins[8] = {Source::kReplica, std::chrono::milliseconds(40)};
  v1::BatchGetMembersRequest request;
  for (const int id : {7, 8, 7}) request.add_ids(id);
  const auto outcome = Call({"BatchGetMembers", request.SerializeAsString()});
  EXPECT_EQ(outcome.source, "replica");
  EXPECT_EQ(outcome.age_ms, 40);
}

TEST_F(MemberGrpcTest, PersonalValuesAreMaskedWithoutTheScope) {
  const v1::Member member = MemberOf(Call({"GetMember", GetOf(7), "reader"}));
  EXPECT_EQ(member.real_name(), "L***");
  EXPECT_EQ(member.identities(0).value(), "+86138****0001");
}

TEST_F(MemberGrpcTest, GetTakesItsOptions) {
  v1::GetMemberRequest request;
  request.set_id(7);
  request.set_min_version(3);
  request.set_no_cache(true);
  Call({.method = "GetMember", .message = request.SerializeAsString(), .timeout = "250m"});
  const ReadOptions& options = grpc_reader_->asked.at(0).options;
  EXPECT_EQ(options.min_version, Version(3));
  EXPECT_TRUE(options.no_cache);
  EXPECT_EQ(options.deadline.at(), clock_.Monotonic() + std::chrono::milliseconds(250));
}

TEST_F(MemberGrpcTest, FailuresHaveTheirCodeTheirReasonAndTheirId) {
  EXPECT_THAT(Call({"GetMember", GetOf(8)}), IsGrpcError(Reason::kMemberNotFound));
  EXPECT_THAT(Call({"GetMember", GetOf(7), ""}), IsGrpcError(Reason::kUnauthenticated));
  EXPECT_THAT(Call({"GetMember", GetOf(7), "nobody"}), IsGrpcError(Reason::kUnauthenticated));
  EXPECT_THAT(Call({"GetMember", GetOf(7), "importer"}), IsGrpcError(Reason::kPermissionDenied));
  EXPECT_THAT(Call({"GetMember", GetOf(0)}), IsGrpcError(Reason::kInvalidArgument));
  EXPECT_THAT(Call({"GetMember", GetOf(-1)}), IsGrpcError(Reason::kInvalidArgument));
  EXPECT_THAT(Call({"GetMember", "\x08"}), IsGrpcError(Reason::kInvalidArgument));
  EXPECT_THAT(Call({.method = "GetMember", .message = GetOf(7), .timeout = "soon"}),
              IsGrpcError(Reason::kInvalidArgument));
  EXPECT_THAT(Call({.method = "GetMember", .message = GetOf(7), .crowded = true}), IsGrpcError(Reason::kOverloaded));
  for (const char* method : {"Nonsense", "/x.Y/Z"}) {
    EXPECT_THAT(Call({method}), IsGrpcError(Reason::kNotImplemented)) << method;
  }
  grpc_reader_->failure = Error{.reason = Reason::kStale, .message = "too old"};
  const auto stale = Call({"GetMember", GetOf(7)});
  EXPECT_THAT(stale, IsGrpcError(Reason::kStale));
  EXPECT_THAT(stale.status_details, HasSubstr("RetryInfo"));
}

TEST_F(MemberGrpcTest, CallersChooseRequestIdAndTrace) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto outcome = Call({.method = "GetMember", .message = GetOf(7), .request_id = "mine", .trace_parent = trace});
  EXPECT_EQ(outcome.request_id, "mine");
  EXPECT_EQ(outcome.trace_parent, trace);
  EXPECT_NE(Call({.method = "GetMember", .message = GetOf(7), .request_id = "mk_secret"}).request_id, "mk_secret");
  EXPECT_THAT(logger_.lines, Contains(Pair(LogLevel::kDebug, HasSubstr("rpc=GetMember code=OK status=200 caller=writer "
                                                                       "member_id=7 request_id=mine"))));
  EXPECT_THAT(logger_.lines, Contains(Pair(LogLevel::kDebug, HasSubstr("transport=grpc"))));
  EXPECT_THAT(metrics_.Expose(), HasSubstr("muster_api_requests_total{code=\"OK\",rpc=\"GetMember\"} 2"));
}

TEST_F(MemberGrpcTest, ResolveNormalisesAsHttpDoes) {
  v1::ResolveMemberRequest request;
  request.set_kind("phone");
  request.set_value("138 0000 0001");
  EXPECT_EQ(MemberOf(Call({"ResolveMember", request.SerializeAsString()})).id(), 7);
  request.set_value("138 0000 0002");
  EXPECT_THAT(Call({"ResolveMember", request.SerializeAsString()}), IsGrpcError(Reason::kIdentityNotFound));
  request.set_value("no phone");
  const auto wrong = Call({"ResolveMember", request.SerializeAsString()});
  EXPECT_THAT(wrong, IsGrpcError(Reason::kInvalidArgument));
  EXPECT_THAT(wrong.status_message, Not(HasSubstr("no phone")));
}

TEST_F(MemberGrpcTest, BatchesAnswerInOrderEachWithItsOwnError) {
  v1::BatchGetMembersRequest get;
  get.add_ids(8);
  get.add_ids(7);
  v1::BatchMembersResponse found;
  ASSERT_TRUE(found.ParseFromString(Call({"BatchGetMembers", get.SerializeAsString(), "reader"}).message));
  ASSERT_EQ(found.results_size(), 2);
  EXPECT_EQ(found.results(0).error().code(), "MEMBER_NOT_FOUND");
  EXPECT_EQ(found.results(1).member().real_name(), "L***");

  v1::BatchResolveMembersRequest resolve;
  for (const char* value : {"+8613800000001", "nonsense", "+8613800000009"}) {
    v1::Identity& identity = *resolve.add_identities();
    identity.set_kind("phone");
    identity.set_value(value);
  }
  ASSERT_TRUE(found.ParseFromString(Call({"BatchResolveMembers", resolve.SerializeAsString()}).message));
  ASSERT_EQ(found.results_size(), 3);
  EXPECT_EQ(found.results(0).member().id(), 7);
  EXPECT_EQ(found.results(1).error().code(), "INVALID_ARGUMENT");
  EXPECT_THAT(found.results(1).error().errors(0).field(), StartsWith("identities[1]"));
  EXPECT_EQ(found.results(2).error().code(), "IDENTITY_NOT_FOUND");
  EXPECT_THAT(Call({.method = "BatchGetMembers", .message = get.SerializeAsString(), .hold_max = 100}),
              IsGrpcError(Reason::kOverloaded));
}

TEST_F(MemberGrpcTest, AnswersOfABatchMayComeLaterAndInAnyOrder) {
  grpc_reader_->later = &loop_;
  v1::BatchGetMembersRequest get;
  for (int i = 0; i < 1000; ++i) get.add_ids(i % 2 == 0 ? 7 : 9);
  v1::BatchMembersResponse found;
  ASSERT_TRUE(found.ParseFromString(Call({"BatchGetMembers", get.SerializeAsString()}).message));
  ASSERT_EQ(found.results_size(), 1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(found.results(i).has_member(), i % 2 == 0);
  get.add_ids(1);
  EXPECT_THAT(Call({"BatchGetMembers", get.SerializeAsString()}), IsGrpcError(Reason::kInvalidArgument));
}

TEST_F(MemberGrpcTest, RegisterPassesWhatWasSent) {
  v1::RegisterMemberRequest request;
  v1::Member& member = *request.mutable_member();
  member.set_display_name("Lei");
  (*member.mutable_attributes())["channel"] = "store";
  member.add_tags("frequent");
  v1::Identity& identity = *member.add_identities();
  identity.set_kind("phone");
  identity.set_value("138-0000-0001");
  identity.set_verified(true);
  const v1::Member answer = MemberOf(Call({"RegisterMember", request.SerializeAsString()}));
  const auto write = TheWrite();
  EXPECT_EQ(write.verb, "register");
  EXPECT_FALSE(write.imported);
  EXPECT_EQ(write.member.display_name, "Lei");
  EXPECT_EQ(write.member.attributes.at("channel"), "store");
  EXPECT_THAT(write.member.tags, ElementsAre("frequent"));
  EXPECT_EQ(write.member.identities.at(0).value.Reveal(), "+8613800000001");
  EXPECT_EQ(write.member.create_time, clock_.Now());
  EXPECT_EQ(write.context.caller, "writer");
  EXPECT_EQ(answer.identities(0).value(), "+8613800000001");

  member.set_id(5);
  EXPECT_THAT(Call({"RegisterMember", request.SerializeAsString()}), IsGrpcError(Reason::kPermissionDenied));
  member.set_state(v1::Member::FROZEN);
  MemberOf(Call({"RegisterMember", request.SerializeAsString(), "importer"}));
  EXPECT_TRUE(TheWrite().imported);
  EXPECT_THAT(Call({"RegisterMember", request.SerializeAsString(), "reader"}), IsGrpcError(Reason::kPermissionDenied));
}

TEST_F(MemberGrpcTest, UpdateFollowsItsMask) {
  v1::UpdateMemberRequest request;
  request.set_id(7);
  request.mutable_member()->set_city("Suzhou");
  request.mutable_member()->set_display_name("Lei");
  request.set_expected_version(3);
  request.mutable_update_mask()->add_paths("display_name");
  request.mutable_update_mask()->add_paths("birth_date");
  MemberOf(Call({"UpdateMember", request.SerializeAsString()}));
  auto write = TheWrite();
  EXPECT_THAT(write.patch.fields, ElementsAre("displayName", "birthDate"));
  EXPECT_EQ(write.patch.values.display_name, "Lei");
  EXPECT_EQ(write.context.expected_version, Version(3));

  request.clear_update_mask();
  request.set_expected_version(0);
  MemberOf(Call({"UpdateMember", request.SerializeAsString()}));
  write = TheWrite();
  EXPECT_THAT(write.patch.fields, ElementsAre("displayName", "city"));
  EXPECT_EQ(write.context.expected_version, std::nullopt);

  request.mutable_update_mask()->add_paths("*");
  MemberOf(Call({"UpdateMember", request.SerializeAsString()}));
  EXPECT_EQ(TheWrite().patch.fields.size(), 8U) << "all but the state, which was not given";

  const auto refused = [&](const std::vector<std::string>& paths, const char* told) {
    request.clear_update_mask();
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    const auto outcome = Call({"UpdateMember", request.SerializeAsString()});
    EXPECT_THAT(outcome, IsGrpcError(Reason::kInvalidArgument));
    EXPECT_THAT(outcome.status_details, HasSubstr("update_mask"));
    EXPECT_THAT(outcome.status_message, HasSubstr(told));
  };
  refused({"displayName"}, "did you mean \"display_name\"");
  refused({"identities"}, "cannot be changed by an update");
  refused({"city", "city"}, "twice");
  refused({"city", "*"}, "*");
  refused({"attributes.channel"}, "no field's");
  request.clear_update_mask();
  request.mutable_member()->set_version(3);
  EXPECT_THAT(Call({"UpdateMember", request.SerializeAsString()}).status_message, HasSubstr("version"));
}

TEST_F(MemberGrpcTest, BindUnbindAndClose) {
  v1::BindIdentityRequest bind;
  bind.set_id(7);
  bind.mutable_identity()->set_kind("email");
  bind.mutable_identity()->set_value("Li.Lei@Example.com");
  MemberOf(Call({"BindIdentity", bind.SerializeAsString()}));
  auto write = TheWrite();
  EXPECT_EQ(write.verb, "bind");
  EXPECT_EQ(write.id, MemberId(7));
  EXPECT_EQ(write.key, IdentityOf("email", "", "li.lei@example.com").key);
  bind.mutable_identity()->set_state(v1::Identity::BOUND);
  EXPECT_THAT(Call({"BindIdentity", bind.SerializeAsString()}), IsGrpcError(Reason::kInvalidArgument));
  bind.clear_identity();
  EXPECT_THAT(Call({"BindIdentity", bind.SerializeAsString()}).status_message, HasSubstr("identity: is required"));

  v1::UnbindIdentityRequest unbind;
  unbind.set_id(7);
  unbind.set_expected_version(3);
  unbind.mutable_identity()->set_kind("phone");
  unbind.mutable_identity()->set_value("13800000001");
  MemberOf(Call({"UnbindIdentity", unbind.SerializeAsString()}));
  write = TheWrite();
  EXPECT_EQ(write.key, IdentityOf("phone", "", "+8613800000001").key);
  EXPECT_EQ(write.context.expected_version, Version(3));

  v1::CloseMemberRequest close;
  close.set_id(7);
  MemberOf(Call({"CloseMember", close.SerializeAsString()}));
  EXPECT_EQ(TheWrite().verb, "close");
  close.set_expected_version(-1);
  EXPECT_THAT(Call({"CloseMember", close.SerializeAsString()}), IsGrpcError(Reason::kInvalidArgument));
  writer_.answer = [](const testing::StubWriter::Asked&) { return Fail(Reason::kVersionMismatch, "another version"); };
  close.set_expected_version(2);
  EXPECT_THAT(Call({"CloseMember", close.SerializeAsString()}), IsGrpcError(Reason::kVersionMismatch));
}

TEST_F(MemberGrpcTest, MergeAndUnmerge) {
  v1::MergeMembersRequest merge;
  merge.set_id(7);
  merge.set_source_id(8);
  merge.set_expected_version(3);
  for (const auto& [method, verb] : {std::pair("MergeMembers", "merge"), std::pair("UnmergeMembers", "unmerge")}) {
    for (const bool dry_run : {false, true}) {
      merge.set_dry_run(dry_run);
      MemberOf(Call({method, merge.SerializeAsString()}));
      const auto write = TheWrite();
      EXPECT_EQ(write.verb, verb);
      EXPECT_EQ(write.id, MemberId(7));
      EXPECT_EQ(write.source, MemberId(8));
      EXPECT_EQ(write.dry_run, dry_run);
      EXPECT_EQ(write.context.expected_version, Version(3));
    }
  }
  merge.clear_source_id();
  EXPECT_THAT(Call({"MergeMembers", merge.SerializeAsString()}).status_message, HasSubstr("source_id"));
}

TEST_F(MemberGrpcTest, HistoryComesInPages) {
  for (int version = 1; version <= 5; ++version) {
    archive_.changes.push_back({.member_id = MemberId(7),
                                .version = Version(version),
                                .type = ChangeType::kUpdated,
                                .time = clock_.Now(),
                                .caller = "writer",
                                .request_id = "r",
                                .fields = {"displayName"},
                                .identities = {{.kind = "phone", .platform = "", .key = {}}}});
  }
  v1::ListMemberHistoryRequest request;
  request.set_id(7);
  request.set_page_size(3);
  v1::ListMemberHistoryResponse page;
  ASSERT_TRUE(page.ParseFromString(Call({"ListMemberHistory", request.SerializeAsString()}).message));
  ASSERT_EQ(page.changes_size(), 3);
  EXPECT_EQ(page.changes(0).version(), 5);
  EXPECT_EQ(page.changes(0).type(), v1::Change::UPDATED);
  EXPECT_EQ(page.changes(0).identities(0).kind(), "phone");
  request.set_page_token(page.next_page_token());
  ASSERT_TRUE(page.ParseFromString(Call({"ListMemberHistory", request.SerializeAsString()}).message));
  EXPECT_EQ(page.changes_size(), 2);
  EXPECT_EQ(page.next_page_token(), "");
  EXPECT_THAT(Call({"ListMemberHistory", request.SerializeAsString(), "clear"}), IsGrpcError(Reason::kInvalidArgument));
  request.set_page_size(-1);
  EXPECT_THAT(Call({"ListMemberHistory", request.SerializeAsString()}), IsGrpcError(Reason::kInvalidArgument));
}

TEST_F(MemberGrpcTest, GetServerSaysWhoAnswers) {
  v1::ServerInfo info;
  ASSERT_TRUE(info.ParseFromString(Call({"GetServer"}).message));
  EXPECT_EQ(info.version(), "1.2.3");
  EXPECT_EQ(info.epoch(), 5);
  EXPECT_EQ(info.admin_address(), "127.0.0.1:7402");
  EXPECT_EQ(info.grpc_address(), "127.0.0.1:7401");
}

TEST_F(MemberGrpcTest, AnUnansweredWriteIsLostWithTheHandlerAndNotItsEffect) {
  writer_.SetHeld(true);
  v1::CloseMemberRequest close;
  close.set_id(7);
  const auto outcome = BeginGrpc({"CloseMember", close.SerializeAsString()});
  const std::jthread releases([this] { writer_.SetHeld(false); });
  grpc_.reset();
  EXPECT_TRUE(outcome->abandoned);
  EXPECT_EQ(TheWrite().verb, "close");
}

class HealthGrpcTest : public testing::GrpcApiTest {
 protected:
  static std::string Ask(const std::string& service) {
    ::grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    return request.SerializeAsString();
  }
  static int StatusOf(const std::string& message) {
    ::grpc::health::v1::HealthCheckResponse response;
    EXPECT_TRUE(response.ParseFromString(message));
    return response.status();
  }
  std::unique_ptr<GrpcSource> Watch(testing::TestGrpcStream& stream) {
    return grpc_->Open({.path = "/grpc.health.v1.Health/Watch", .metadata = {}}, stream);
  }
};

TEST_F(HealthGrpcTest, ChecksTakeNoKey) {
  const auto check = [this](const std::string& service) {
    return Call({"/grpc.health.v1.Health/Check", Ask(service), ""});
  };
  EXPECT_EQ(StatusOf(check("").message), 1);
  EXPECT_EQ(StatusOf(check("muster.v1.MemberService").message), 1);
  EXPECT_THAT(check("other"), IsGrpcError(Reason::kNotFound));
  checks_ = {{"store", true, ""}, {"disk", false, "full"}};
  EXPECT_EQ(StatusOf(check("").message), 2);
}

TEST_F(HealthGrpcTest, WatchersHearOfChanges) {
  testing::TestGrpcStream stream;
  auto source = Watch(stream);
  EXPECT_TRUE(stream.begun);
  source->OnMessage(Ask(""));
  source->OnClientEnd();
  ASSERT_EQ(stream.messages.size(), 1U);
  EXPECT_EQ(StatusOf(stream.messages[0]), 1);
  clock_.Advance(std::chrono::seconds(1));
  grpc_->Tick();
  EXPECT_EQ(stream.messages.size(), 1U) << "nothing has changed";
  checks_ = {{"store", false, "gone"}};
  clock_.Advance(std::chrono::seconds(1));
  grpc_->Tick();
  ASSERT_EQ(stream.messages.size(), 2U);
  EXPECT_EQ(StatusOf(stream.messages[1]), 2);
}

TEST_F(HealthGrpcTest, AWatcherThatReadsNothingHearsOfTheLastChange) {
  testing::TestGrpcStream stream;
  stream.room = 1;
  auto source = Watch(stream);
  source->OnMessage(Ask(""));
  for (const bool ready : {false, true, false}) {
    checks_ = {{"store", ready, ""}};
    clock_.Advance(std::chrono::seconds(1));
    grpc_->Tick();
  }
  EXPECT_EQ(stream.messages.size(), 1U);
  stream.room = 9;
  source->OnRoom();
  ASSERT_EQ(stream.messages.size(), 2U);
  EXPECT_EQ(StatusOf(stream.messages[1]), 2);
}

TEST_F(HealthGrpcTest, WatchersAreToldOfTheEnd) {
  testing::TestGrpcStream stream;
  auto source = Watch(stream);
  source->OnMessage(Ask(""));
  source->OnDrain();
  EXPECT_EQ(StatusOf(stream.messages.back()), 2);
  EXPECT_EQ(stream.status, 0);
}

TEST_F(HealthGrpcTest, AWatcherOwesItsRequestAndNothingElse) {
  testing::TestGrpcStream stream;
  auto source = Watch(stream);
  EXPECT_TRUE(source->AwaitsMessage());
  source->OnMessage(Ask(""));
  EXPECT_FALSE(source->AwaitsMessage());
  source->OnFault({.reason = Reason::kDeadlineExceeded, .message = "late"});
  EXPECT_EQ(stream.status, 4);
}

TEST_F(HealthGrpcTest, AServerThatIsCrowdedIsStillWatched) {
  testing::TestGrpcStream stream;
  const auto source = grpc_->Open({.path = "/grpc.health.v1.Health/Watch", .metadata = {}, .crowded = true}, stream);
  EXPECT_NE(source, nullptr);
  EXPECT_EQ(stream.status, -1);
  for (const char* path :
       {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/muster.v1.MemberService/WatchChanges"}) {
    testing::TestGrpcStream other;
    EXPECT_EQ(grpc_->Open({.path = path, .metadata = {}, .crowded = true}, other), nullptr);
    EXPECT_EQ(other.status, 8) << path;
  }
}

TEST_F(HealthGrpcTest, HealthAndReflectionAreForWhoeverComes) {
  EXPECT_EQ(grpc_->KindOf("/grpc.health.v1.Health/Watch"), GrpcMethodKind::kKeylessStream);
  for (const char* version : {"v1", "v1alpha"}) {
    EXPECT_EQ(grpc_->KindOf("/grpc.reflection." + std::string(version) + ".ServerReflection/ServerReflectionInfo"),
              GrpcMethodKind::kKeylessStream);
  }
  EXPECT_EQ(grpc_->KindOf("/muster.v1.MemberService/WatchChanges"), GrpcMethodKind::kStream);
  EXPECT_EQ(grpc_->KindOf("/grpc.health.v1.Health/Check"), GrpcMethodKind::kUnary);
  EXPECT_EQ(grpc_->KindOf("/x.Y/Z"), GrpcMethodKind::kUnary);
}

TEST_F(HealthGrpcTest, WhoHasNoKeyDoesNotHaveACallWait) {
  const auto who = [this](const char* path, std::string_view authorization = {}) {
    GrpcMetadata metadata;
    metadata.authorization = authorization;
    return grpc_->WhoWaits({.path = path, .metadata = metadata});
  };
  EXPECT_EQ(who("/grpc.health.v1.Health/Check").value(), GrpcHandler::Waiter::kAnybody);
  EXPECT_EQ(who("/muster.v1.MemberService/GetMember").error().reason, Reason::kUnauthenticated);
  EXPECT_EQ(who("/muster.v1.MemberService/GetMember", "Bearer mk_forged").error().reason, Reason::kUnauthenticated);
  EXPECT_EQ(who("/x.Y/Z").error().reason, Reason::kNotImplemented);
}

TEST_F(HealthGrpcTest, UnknownServicesAreWatchedAsUnknown) {
  testing::TestGrpcStream stream;
  auto source = Watch(stream);
  source->OnMessage(Ask("later"));
  EXPECT_EQ(StatusOf(stream.messages.at(0)), 3);
  testing::TestGrpcStream malformed;
  auto other = Watch(malformed);
  other->OnMessage("\x0a\x7f");
  EXPECT_EQ(malformed.status, 3);
}

}  // namespace
}  // namespace muster
