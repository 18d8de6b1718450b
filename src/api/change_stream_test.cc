#include "api/change_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "api/testing/fake_feed.h"
#include "api/testing/grpc_fixture.h"

namespace muster {
namespace {

using testing::BlamesField;
using ::testing::EndsWith;
using testing::FakeFeed;
using testing::GrpcApiTest;
using ::testing::HasSubstr;
using testing::IsProblem;
using testing::Response;
using ::testing::StartsWith;
using testing::TestGrpcStream;

// Both protocols over one hub, whose thread is the test.
class ChangeStreamTest : public GrpcApiTest {
 protected:
  ChangeStreamTest() {
    ApiDependencies dependencies = Dependencies();
    dependencies.changes = &hub_;
    members_ = MakeMemberApi(loop_, std::make_unique<testing::StubReader>(), dependencies);
    grpc_ = MakeGrpcApi(loop_, std::make_unique<testing::StubReader>(), dependencies);
  }
  ~ChangeStreamTest() override {
    members_.reset();
    grpc_.reset();
  }

  // Until nobody has anything to do.
  void Settle() {
    for (int quiet = 0; quiet < 3;) {
      bool ran = hub_.Step();
      bool marked = false;
      loop_.Post([&] { marked = true; });
      int works = 0;
      loop_.RunUntil([&] { return ++works > 1 && marked; });
      quiet = ran || works > 2 ? 0 : quiet + 1;
    }
  }
  std::shared_ptr<Response> Watch(const std::string& query,
                                  std::vector<std::pair<std::string, std::string>> headers = {},
                                  std::size_t room = SIZE_MAX, const std::string& caller = "writer") {
    auto response =
        Begin(*members_, {.target = "/v1/changes" + query, .caller = caller, .headers = std::move(headers)});
    response->room = room;
    Settle();
    return response;
  }
  std::unique_ptr<GrpcSource> WatchGrpc(TestGrpcStream& stream, const std::string& message,
                                        const std::string& caller = "reader", const std::string& timeout = {}) {
    const std::string authorization = "Bearer " + caller;
    GrpcMetadata metadata;
    metadata.authorization = authorization;
    metadata.timeout = timeout;
    auto source = grpc_->Open({.path = "/muster.v1.MemberService/WatchChanges", .metadata = metadata}, stream);
    if (stream.status == -1) source->OnMessage(message);
    Settle();
    return source;
  }
  void Pass(Duration time) {
    clock_.Advance(time);
    members_->Tick();
    grpc_->Tick();
  }
  static std::string From(const std::string& text) {
    std::string message;
    ProtoWriter(message).Text(1, text);
    return message;
  }
  static std::string Heartbeat(const std::string& position) {
    std::string message;
    ProtoWriter proto(message);
    proto.Text(1, position);
    proto.Bool(6, true);
    return message;
  }
  static std::size_t CountEvents(const std::string& body) {
    std::size_t count = 0;
    for (std::size_t at = body.find("\ndata: "); at != std::string::npos; at = body.find("\ndata: ", at + 1)) ++count;
    return count;
  }

  FakeFeed feed_;
  ChangeHub hub_{feed_, {.streams_max = 3, .heartbeat_ms = 15'000}, logger_, metrics_};
};

TEST_F(ChangeStreamTest, TellsChangesAsServerSentEvents) {
  feed_.Commit(2);
  const auto response = Watch("?from=earliest");
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->content_type, "text/event-stream");
  EXPECT_EQ(response->Header("Cache-Control"), "no-store");
  EXPECT_EQ(response->body,
            ": heartbeat\nid: 0\n\n"
            "id: 1\ndata: {\"position\":\"1\",\"memberId\":\"1001\",\"version\":\"1\",\"type\":\"REGISTERED\","
            "\"changeTime\":\"1970-01-01T00:00:00.000001Z\"}\n\n"
            "id: 2\ndata: {\"position\":\"2\",\"memberId\":\"1002\",\"version\":\"1\",\"type\":\"REGISTERED\","
            "\"changeTime\":\"1970-01-01T00:00:00.000002Z\"}\n\n");
  response->body.clear();
  feed_.Commit(1);
  Settle();
  EXPECT_THAT(response->body, StartsWith("id: 3\n"));
  EXPECT_EQ(CountEvents("\n" + response->body), 1U);
}

TEST_F(ChangeStreamTest, TheSameOverGrpc) {
  feed_.Commit(2);
  TestGrpcStream stream;
  const auto source = WatchGrpc(stream, From("1"));
  ASSERT_EQ(stream.messages.size(), 2U);
  EXPECT_EQ(stream.messages[0], Heartbeat("1"));
  std::string wanted;
  ProtoWriter proto(wanted);
  proto.Text(1, "2");
  proto.Number(2, 1002);
  proto.Number(3, 1);
  proto.Number(4, 1);
  proto.Time(5, Timestamp(Duration(2)));
  EXPECT_EQ(stream.messages[1], wanted);
  EXPECT_EQ(stream.status, -1) << "it goes on";
}

TEST_F(ChangeStreamTest, WhoIsRefusedGetsNoStream) {
  feed_.Commit(5);
  feed_.Expire(3);
  EXPECT_THAT(*Watch("?from=2"), IsProblem(Reason::kPositionExpired));
  EXPECT_THAT(*Watch("?from=6"), BlamesField("from"));
  EXPECT_THAT(*Watch("?from=4", {{"Last-Event-ID", "6"}}), BlamesField("Last-Event-ID"));
  EXPECT_THAT(*Watch("?from=x"), IsProblem(Reason::kInvalidArgument));
  EXPECT_THAT(*Begin(*members_, {.target = "/v1/changes", .caller = ""}), IsProblem(Reason::kUnauthenticated));
  EXPECT_THAT(*Begin(*members_, {.target = "/v1/changes", .caller = "importer"}), IsProblem(Reason::kPermissionDenied));
  const auto refused = [&](const std::string& message, const std::string& caller, const std::string& timeout = {}) {
    TestGrpcStream stream;
    const auto source = WatchGrpc(stream, message, caller, timeout);
    return stream.status_details;
  };
  EXPECT_THAT(refused(From("2"), "reader"), HasSubstr("POSITION_EXPIRED"));
  EXPECT_THAT(refused(From("x"), "reader"), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(refused("\x0a", "reader"), HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(refused(From("4"), "nobody"), HasSubstr("UNAUTHENTICATED"));
  EXPECT_THAT(refused(From("4"), "importer"), HasSubstr("PERMISSION_DENIED"));
  EXPECT_THAT(refused(From("4"), "reader", "soon"), HasSubstr("INVALID_ARGUMENT"));
}

TEST_F(ChangeStreamTest, ThereAreNoMoreThanThereMayBe) {
  const auto one = Watch("");
  const auto two = Watch("");
  TestGrpcStream stream;
  auto source = WatchGrpc(stream, "");
  EXPECT_EQ(stream.status, -1);
  const auto refused = Watch("");
  EXPECT_THAT(*refused, IsProblem(Reason::kOverloaded));
  EXPECT_EQ(refused->Header("Retry-After"), "5");
  TestGrpcStream another;
  const auto refused_source = WatchGrpc(another, "");
  EXPECT_THAT(another.status_details, HasSubstr("OVERLOADED"));
  source.reset();
  EXPECT_EQ(Watch("", {}, SIZE_MAX, "reader")->status, 200);
}

TEST_F(ChangeStreamTest, ACallersShareIsThatOfBothProtocols) {
  const auto one = Watch("");
  TestGrpcStream stream;
  const auto source = WatchGrpc(stream, "", "writer");
  EXPECT_EQ(stream.status, -1);
  const auto refused = Watch("");
  EXPECT_THAT(*refused, IsProblem(Reason::kOverloaded));
  EXPECT_THAT(refused->body, HasSubstr("the caller writer has as many streams of changes open as one caller may, 2"));
  TestGrpcStream another;
  const auto refused_source = WatchGrpc(another, "", "writer");
  EXPECT_THAT(another.status_details, HasSubstr("the caller writer has as many"));
  EXPECT_EQ(Watch("", {}, SIZE_MAX, "reader")->status, 200) << "there is room for others";
}

TEST_F(ChangeStreamTest, WhoIsSlowGoesOnWhereItWasAndHoldsUpNobody) {
  feed_.Commit(20'000);
  const auto slow = Watch("?from=earliest", {}, 1000);
  TestGrpcStream slow_grpc;
  slow_grpc.room = 10;
  const auto source = WatchGrpc(slow_grpc, From("earliest"));
  EXPECT_LT(slow->body.size(), 20'000U);
  EXPECT_EQ(slow_grpc.messages.size(), 10U);
  const auto quick = Watch("?from=19999");
  EXPECT_EQ(CountEvents(quick->body), 1U);
  feed_.Commit(1);
  Settle();
  EXPECT_EQ(CountEvents(quick->body), 2U);

  slow->room = SIZE_MAX;
  slow->source->OnRoom();
  slow_grpc.room = SIZE_MAX;
  source->OnRoom();
  Settle();
  EXPECT_EQ(CountEvents(slow->body), 20'001U);
  EXPECT_EQ(slow_grpc.messages.size(), 1 + 20'001U) << "a heartbeat and the changes";
}

TEST_F(ChangeStreamTest, WhoIsTooSlowIsTold) {
  feed_.Commit(20'000);
  const auto slow = Watch("?from=earliest", {}, 1000);
  TestGrpcStream slow_grpc;
  slow_grpc.room = 10;
  const auto source = WatchGrpc(slow_grpc, From("earliest"));
  feed_.Expire(15'000);
  slow->room = SIZE_MAX;
  slow->source->OnRoom();
  slow_grpc.room = SIZE_MAX;
  source->OnRoom();
  Settle();
  EXPECT_TRUE(slow->ended);
  EXPECT_THAT(slow->body, HasSubstr("event: problem\ndata: {"));
  EXPECT_THAT(slow->body, HasSubstr("\"code\":\"POSITION_EXPIRED\""));
  EXPECT_THAT(slow->body, EndsWith("}\n\n"));
  EXPECT_LE(CountEvents(slow->body), 64 + 2 * ChangeHub::kPageEvents + 1) << "what it had, and no gap";
  EXPECT_THAT(slow_grpc.status_details, HasSubstr("POSITION_EXPIRED"));
}

TEST_F(ChangeStreamTest, FiltersMoveThePositionOn) {
  feed_.Commit(10);
  feed_.Commit(1, ChangeType::kClosed);
  feed_.Commit(10);
  const auto response = Watch("?from=earliest&types=CLOSED");
  EXPECT_EQ(CountEvents(response->body), 1U);
  EXPECT_THAT(response->body, HasSubstr("id: 11\ndata: "));
  Pass(std::chrono::seconds(15));
  EXPECT_THAT(response->body, EndsWith(": heartbeat\nid: 21\n\n"));
  const auto members = Watch("?from=earliest&memberIds=1003,1020");
  EXPECT_EQ(CountEvents(members->body), 2U);
  TestGrpcStream stream;
  const auto source = WatchGrpc(stream, From("earliest") + "\x10\x05");  // types: CLOSED
  ASSERT_EQ(stream.messages.size(), 2U);
  EXPECT_EQ(stream.messages[0], Heartbeat("0"));
  Pass(std::chrono::seconds(15));
  ASSERT_EQ(stream.messages.size(), 3U);
  EXPECT_EQ(stream.messages[2], Heartbeat("21"));
}

TEST_F(ChangeStreamTest, HeartbeatsComeAfterASilence) {
  const auto response = Watch("");
  response->body.clear();
  Pass(std::chrono::seconds(14));
  EXPECT_EQ(response->body, "");
  feed_.Commit(1);
  Settle();
  response->body.clear();
  Pass(std::chrono::seconds(14));
  EXPECT_EQ(response->body, "");
  Pass(std::chrono::seconds(1));
  EXPECT_EQ(response->body, ": heartbeat\nid: 1\n\n");
  response->body.clear();
  response->room = 0;
  Pass(std::chrono::seconds(15));
  EXPECT_EQ(response->body, "") << "who reads nothing needs none";

  TestGrpcStream stream;
  const auto source = WatchGrpc(stream, "");
  stream.messages.clear();
  Pass(std::chrono::seconds(14));
  EXPECT_EQ(stream.messages.size(), 0U);
  Pass(std::chrono::seconds(1));
  EXPECT_EQ(stream.messages, std::vector{Heartbeat("1")});
  stream.room = 1;
  Pass(std::chrono::seconds(15));
  EXPECT_EQ(stream.messages.size(), 1U);
}

TEST_F(ChangeStreamTest, ADeadlineThatWasAskedForEndsIt) {
  const auto timed = Watch("", {{"X-Request-Timeout-Ms", "60000"}});
  const auto endless = Watch("");
  TestGrpcStream stream;
  auto source = WatchGrpc(stream, "", "reader", "60S");
  Pass(std::chrono::seconds(59));
  EXPECT_FALSE(timed->ended);
  EXPECT_EQ(stream.status, -1);
  Pass(std::chrono::seconds(1));
  EXPECT_TRUE(timed->ended);
  EXPECT_THAT(timed->body, EndsWith("retry: 1000\nid: 0\n\n"));
  EXPECT_THAT(stream.status_details, HasSubstr("DEADLINE_EXCEEDED"));
  source.reset();
  TestGrpcStream patient;
  const auto patient_source = WatchGrpc(patient, "", "reader", "25H");
  Pass(std::chrono::hours(24));
  EXPECT_FALSE(endless->ended);
  EXPECT_EQ(patient.status, -1);
}

TEST_F(ChangeStreamTest, ACallerWhoMayNotAnyMoreIsLetGo) {
  const auto response = Watch("");
  callers_.Remove("writer");
  Pass(std::chrono::seconds(15));
  EXPECT_TRUE(response->ended);
  EXPECT_THAT(response->body, HasSubstr("\"code\":\"UNAUTHENTICATED\""));
}

TEST_F(ChangeStreamTest, OverGrpcItOwesItsRequestAndNothingElse) {
  TestGrpcStream stream;
  const auto source = WatchGrpc(stream, "");
  EXPECT_FALSE(source->AwaitsMessage());
  source->OnFault({.reason = Reason::kInvalidArgument, .message = "a message too many"});
  EXPECT_THAT(stream.status_details, HasSubstr("a message too many"));
  feed_.Commit(1);
  Settle();
  EXPECT_EQ(stream.messages.size(), 1U) << "nothing follows";
  TestGrpcStream silent;
  GrpcMetadata metadata;
  metadata.authorization = "Bearer reader";
  const auto silent_source =
      grpc_->Open({.path = "/muster.v1.MemberService/WatchChanges", .metadata = metadata}, silent);
  EXPECT_TRUE(silent_source->AwaitsMessage());
}

TEST_F(ChangeStreamTest, ADrainEndsItPolitely) {
  feed_.Commit(3);
  const auto response = Watch("");
  response->source->OnDrain();
  EXPECT_TRUE(response->ended);
  EXPECT_THAT(response->body, EndsWith("retry: 1000\nid: 3\n\n"));
  TestGrpcStream stream;
  const auto source = WatchGrpc(stream, "");
  source->OnDrain();
  EXPECT_EQ(stream.status, 0);
}

TEST_F(ChangeStreamTest, TheLogTellsOfAStreamWhenItEnds) {
  const auto response = Watch("");
  const std::size_t before = logger_.lines.size();
  response->source.reset();
  ASSERT_EQ(logger_.lines.size(), before + 1);
  EXPECT_THAT(logger_.lines.back().second, HasSubstr("rpc=WatchChanges code=OK status=200 caller=writer"));
}

}  // namespace
}  // namespace muster
