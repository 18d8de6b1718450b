#include "api/calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "api/testing/api_fixture.h"

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::IsProblem;
using ::testing::Not;
using ::testing::Pair;
using testing::Response;
using enum HttpMethod;

// What all requests have in common, whatever they ask for.
class CallsTest : public testing::ApiTest {
 protected:
  CallsTest() { reader_->Put(LiLei()); }

  // A member whose answer is a large one.
  Member Large(std::int64_t id) {
    Member member = LiLei();
    member.id = MemberId(id);
    member.identities.clear();
    for (int i = 0; i < 40; ++i) member.attributes["name" + std::to_string(i)] = std::string(1000, 'x');
    return member;
  }
};

TEST_F(CallsTest, AKeyIsNoRequestId) {
  Send({.target = "/v1/members/7", .headers = {{"Request-Id", "mk_secretsecret"}}});
  Send({.method = kPost, .target = "/v1/members", .body = "{}", .headers = {{"Request-Id", "mk_secretsecret"}}});
  EXPECT_THAT(TheWrite().context.request_id, Not(HasSubstr("secret")));
  EXPECT_GE(logger_.lines.size(), 2U);
  for (const auto& [level, line] : logger_.lines) EXPECT_THAT(line, Not(HasSubstr("secret")));
}

TEST_F(CallsTest, RejectionsOfTheServerAreRequestsToo) {
  for (auto* handler : {members_.get(), admin_.get()}) {
    const auto reject = [&](int status, const HttpRequest& known) {
      auto response = std::make_shared<Response>();
      handler->Reject({.status = status, .detail = "what is wrong"}, known,
                      HttpExchange(*new testing::TestSink(loop_, response), {}));
      return *response;
    };
    EXPECT_THAT(reject(413, {}), IsProblem(Reason::kBodyTooLarge));
    EXPECT_NE(reject(413, {}).Header("Request-Id"), reject(413, {}).Header("Request-Id"));
    EXPECT_THAT(reject(503, {}), IsProblem(Reason::kOverloaded));
    EXPECT_EQ(reject(503, {}).Header("Retry-After"), "1");
    const std::array<HttpHeader, 1> headers = {{{"Request-Id", "mine"}}};
    HttpRequest known;
    known.headers = headers;
    EXPECT_THAT(reject(501, known), IsProblem(Reason::kNotImplemented));
    EXPECT_EQ(reject(501, known).Header("Request-Id"), "mine");
    EXPECT_THAT(logger_.lines.back().second,
                AllOf(HasSubstr("rpc=None code=NOT_IMPLEMENTED status=501"), HasSubstr("request_id=mine")));
  }
  EXPECT_THAT(metrics_.Expose(), HasSubstr("muster_api_requests_total{code=\"BODY_TOO_LARGE\",rpc=\"None\"} 6\n"));
}

TEST_F(CallsTest, ACrowdedServerAnswersNothingButProbes) {
  for (const auto& [method, target] : {std::pair(kGet, "/v1/members/7"), std::pair(kPost, "/v1/members")}) {
    const Response response = Send({.method = method, .target = target, .body = "{}", .crowded = true});
    EXPECT_THAT(response, IsProblem(Reason::kOverloaded));
    EXPECT_EQ(response.Header("Retry-After"), "1");
  }
  EXPECT_TRUE(writer_.TakeAsked().empty());
  EXPECT_EQ(Send({.target = "/livez", .crowded = true}).status, 200);
}

TEST_F(CallsTest, WhatOperatorsLookForIsLoggedAtInfo) {
  const auto level = [&] { return logger_.lines.back().first; };
  Send({.target = "/v1/members/7"});
  EXPECT_EQ(level(), LogLevel::kDebug);
  Send({.target = "/v1/members/7", .caller = ""});
  EXPECT_EQ(level(), LogLevel::kInfo);
  Send({.target = "/v1/members/7", .caller = "importer"});
  EXPECT_EQ(level(), LogLevel::kInfo);
  SendAdmin({.target = "/admin/v1/members:export"});
  EXPECT_EQ(level(), LogLevel::kInfo);
  reader_->failure = Error{.reason = Reason::kInternal, .message = "the disk is on fire"};
  Send({.target = "/v1/members/7", .headers = {{"Request-Id", "mine"}}});
  EXPECT_THAT(logger_.lines,
              Contains(Pair(LogLevel::kError, AllOf(HasSubstr("the disk is on fire"), HasSubstr("request_id=mine")))));
}

TEST_F(CallsTest, LargeAnswersNeedRoom) {
  reader_->Put(Large(8));
  for (EventLoop* later : {static_cast<EventLoop*>(nullptr), static_cast<EventLoop*>(&loop_)}) {
    reader_->later = later;
    EXPECT_EQ(Send({.target = "/v1/members/7", .hold_max = 0}).status, 200) << "small ones need none";
    EXPECT_EQ(Send({.target = "/v1/members/8"}).status, 200);
    const Response refused = Send({.target = "/v1/members/8", .hold_max = kLargeAnswerBytes});
    EXPECT_THAT(refused, IsProblem(Reason::kOverloaded));
    EXPECT_EQ(refused.Header("Retry-After"), "1");
  }
  EXPECT_THAT(SendAdmin({.target = "/admin/v1/members:export", .hold_max = 0}), IsProblem(Reason::kOverloaded));
  const Response metrics = Await(Begin(*members_, {.target = "/metrics", .caller = "", .hold_max = 0}));
  EXPECT_EQ(metrics.status, metrics_.Expose().size() > kLargeAnswerBytes ? 503 : 200);
}

TEST_F(CallsTest, AWriteIsAnsweredWhateverIsHeld) {
  writer_.answer = [this](const auto&) -> Result<Member> { return Large(8); };
  EXPECT_EQ(Send({.method = kPost, .target = "/v1/members", .body = "{}", .hold_max = 0}).status, 201);
}

TEST_F(CallsTest, BatchesHoldTheirMembersAsTheyCome) {
  for (std::int64_t id = 10; id < 20; ++id) reader_->Put(Large(id));
  const std::string body = R"({"ids":["10","11","12","13","14","15","16","17","18","19"]})";
  for (EventLoop* later : {static_cast<EventLoop*>(nullptr), static_cast<EventLoop*>(&loop_)}) {
    reader_->later = later;
    const auto batch = [&](std::size_t hold_max) {
      return Send({.method = kPost, .target = "/v1/members:batchGet", .body = body, .hold_max = hold_max});
    };
    const Response whole = batch(SIZE_MAX);
    EXPECT_EQ(whole.status, 200);
    EXPECT_GE(whole.held, whole.body.size());
    reader_->asked.clear();
    EXPECT_THAT(batch(0), IsProblem(Reason::kOverloaded));
    EXPECT_TRUE(reader_->asked.empty()) << "nothing is read for an answer without room";
    EXPECT_THAT(batch(200'000), IsProblem(Reason::kOverloaded));
  }
}

// The objects of calls are used again, and there are many.
TEST_F(CallsTest, ALongConditionIsNotKept) {
  Calls calls(loop_, Dependencies());
  const auto begin = [&] {
    return calls.Begin(Rpc::kGetMember, {},
                       HttpExchange(*new testing::TestSink(loop_, std::make_shared<Response>()), {}));
  };
  Call* const call = begin();
  ASSERT_TRUE(calls.KeepCondition(*call, std::string(16'000, 'x')));
  EXPECT_EQ(call->if_none_match.size(), 16'000U);
  calls.StartHead(*call);
  calls.Answer(*call, 304, {}, {});
  EXPECT_EQ(begin(), call);
  EXPECT_EQ(call->if_none_match, "");
  EXPECT_LT(call->if_none_match.capacity(), 1000U);
  calls.StartHead(*call);
  calls.Answer(*call, 200, {}, {});
}

TEST_F(CallsTest, ConditionsUnderWayAreBoundedTogether) {
  Calls calls(loop_, Dependencies());
  const std::string condition(1 << 20, 'x');
  std::vector<Call*> under_way;
  const auto begin = [&] {
    under_way.push_back(calls.Begin(Rpc::kGetMember, {},
                                    HttpExchange(*new testing::TestSink(loop_, std::make_shared<Response>()), {})));
    return calls.KeepCondition(*under_way.back(), condition);
  };
  while (under_way.size() < Calls::kHeldBytesMax / condition.size()) ASSERT_TRUE(begin());
  const Result<void> refused = begin();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kOverloaded);
  for (Call* const call : under_way) calls.Fail(*call, refused.error());
  EXPECT_TRUE(begin()) << "the room is given back";
  calls.Fail(*under_way.back(), refused.error());
}

TEST_F(CallsTest, TheExpositionOfTheCallersPortIsSharedForASecond) {
  const auto count = [&](HttpHandler& handler) {
    const std::string text = Await(Begin(handler, {.target = "/metrics", .caller = ""})).body;
    constexpr std::string_view kLine = "\nmuster_api_requests_total{code=\"OK\",rpc=\"Live\"} ";
    return std::stoi(text.substr(text.find(kLine) + kLine.size()));
  };
  const auto ask = [&] { Await(Begin(*members_, {.target = "/livez", .caller = ""})); };
  EXPECT_EQ(count(*members_), 0);
  ask();
  EXPECT_EQ(count(*members_), 0);
  clock_.Advance(std::chrono::milliseconds(1100));
  EXPECT_EQ(count(*members_), 1);
  ask();
  EXPECT_EQ(count(*admin_), 2) << "operators get the newest";
}

}  // namespace
}  // namespace muster
