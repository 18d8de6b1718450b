#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/testing/api_fixture.h"

namespace muster {
namespace {

using ::testing::AllOf;
using testing::BlamesField;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsProblem;
using ::testing::Not;
using testing::Response;
using testing::StubWriter;
using enum HttpMethod;

class MemberWritesTest : public testing::ApiTest {
 protected:
  MemberWritesTest() {
    writer_.answer = [this](const StubWriter::Asked&) -> Result<Member> { return LiLei(); };
  }
  Response Post(const std::string& target, const std::string& body,
                std::vector<std::pair<std::string, std::string>> headers = {}) {
    return Send({.method = kPost, .target = target, .body = body, .headers = std::move(headers)});
  }
  Response Patch(const std::string& query, const std::string& body,
                 std::vector<std::pair<std::string, std::string>> headers = {}) {
    return Send({.method = kPatch, .target = "/v1/members/7" + query, .body = body, .headers = std::move(headers)});
  }
  bool NothingWasWritten() { return writer_.TakeAsked().empty(); }
};

constexpr const char* kBind = R"({"identity":{"kind":"phone","value":"+8613800000002"}})";

TEST_F(MemberWritesTest, NeedTheScope) {
  for (const char* caller : {"", "reader", "clear"}) {
    const Reason reason = *caller == 0 ? Reason::kUnauthenticated : Reason::kPermissionDenied;
    const auto send = [&](HttpMethod method, const std::string& target, const std::string& body) {
      return Send({.method = method, .target = target, .body = body, .caller = caller});
    };
    EXPECT_THAT(send(kPost, "/v1/members", "{}"), IsProblem(reason));
    EXPECT_THAT(send(kPatch, "/v1/members/7", "{}"), IsProblem(reason));
    EXPECT_THAT(send(kPost, "/v1/members/7:bind", kBind), IsProblem(reason));
    EXPECT_THAT(send(kPost, "/v1/members/7:unbind", kBind), IsProblem(reason));
    EXPECT_THAT(send(kPost, "/v1/members/7:close", "{}"), IsProblem(reason));
  }
  EXPECT_TRUE(NothingWasWritten());
}

TEST_F(MemberWritesTest, PassOnWhyTheWriterRefuses) {
  for (const Reason reason :
       {Reason::kMemberNotFound, Reason::kStateConflict, Reason::kVersionMismatch, Reason::kIdentityTaken,
        Reason::kLimitExceeded, Reason::kMemberExists, Reason::kOverloaded, Reason::kWritesUnavailable,
        Reason::kOutcomeUnknown, Reason::kDeadlineExceeded, Reason::kInternal}) {
    writer_.answer = [reason](const StubWriter::Asked&) -> Result<Member> { return Fail(reason, "why"); };
    EXPECT_THAT(Post("/v1/members/7:bind", kBind), IsProblem(reason));
  }
}

TEST_F(MemberWritesTest, RegisterAnswersTheMemberAndWhereItIs) {
  const Response response =
      Post("/v1/members", R"({"displayName":"Lei","identities":[{"kind":"phone","value":"13800000001"}]})",
           {{"Request-Id", "r-9"}, {"X-Request-Timeout-Ms", "1000"}});
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.Header("Location"), "/v1/members/7");
  EXPECT_EQ(response.Header("ETag"), "\"3\"");
  EXPECT_EQ(response.body, MakeMemberDocument(LiLei())->json());
  const StubWriter::Asked write = TheWrite();
  EXPECT_EQ(write.verb, "register");
  EXPECT_EQ(write.member.id, MemberId(0));
  EXPECT_FALSE(write.imported);
  EXPECT_EQ(write.member.identities.at(0).value.Reveal(), "+8613800000001");
  EXPECT_EQ(write.context.caller, "writer");
  EXPECT_EQ(write.context.request_id, "r-9");
  EXPECT_EQ(write.context.deadline.at(), clock_.Monotonic() + std::chrono::seconds(1));
  EXPECT_EQ(write.context.expected_version, std::nullopt);
  EXPECT_EQ(write.context.operation_id, std::nullopt);
}

TEST_F(MemberWritesTest, RegisterLetsOnlyImportersBringAPast) {
  for (const char* body :
       {R"({"id":"7"})", R"({"version":"2"})", R"({"state":"FROZEN"})", R"({"createTime":"2020-01-01T00:00:00Z"})"}) {
    EXPECT_THAT(Post("/v1/members", body), IsProblem(Reason::kPermissionDenied)) << body;
  }
  EXPECT_TRUE(NothingWasWritten());
  const auto as_importer = [&](const std::string& body) {
    EXPECT_EQ(Send({.method = kPost, .target = "/v1/members", .body = body, .caller = "importer"}).status, 201);
    return TheWrite();
  };
  const StubWriter::Asked given = as_importer(R"({"id":"7"})");
  EXPECT_EQ(given.member.id, MemberId(7));
  EXPECT_FALSE(given.imported);
  const StubWriter::Asked past =
      as_importer(R"({"id":"7","version":"9","state":"FROZEN","createTime":"2020-01-01T00:00:00Z"})");
  EXPECT_TRUE(past.imported);
  EXPECT_EQ(past.member.version, Version(9));
  EXPECT_EQ(past.member.state, MemberState::kFrozen);
  EXPECT_EQ(past.member.update_time, clock_.Now());
}

TEST_F(MemberWritesTest, AnswersAreMaskedForCallersWhoMayNotSee) {
  callers_.Add("blind", {Scope::kMembersWrite});
  const Response response = Send({.method = kPost, .target = "/v1/members", .body = "{}", .caller = "blind"});
  EXPECT_THAT(response.body, AllOf(HasSubstr("+86138****0001"), Not(HasSubstr("+8613800000001"))));
}

TEST_F(MemberWritesTest, UpdateChangesWhatTheMaskNames) {
  const Response response = Patch("?updateMask=city,tags", R"({"city":"Wuxi","tier":"gold"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Location"), "");
  const StubWriter::Asked write = TheWrite();
  EXPECT_EQ(write.verb, "update");
  EXPECT_EQ(write.id, MemberId(7));
  EXPECT_THAT(write.patch.fields, ElementsAre("city", "tags"));
  EXPECT_EQ(write.patch.values.city, "Wuxi");
}

TEST_F(MemberWritesTest, UpdateWithoutAMaskChangesWhatTheBodyHas) {
  Patch("", R"({"state":"FROZEN","city":null})");
  EXPECT_THAT(TheWrite().patch.fields, ElementsAre("state"));
  Patch("", R"({"city":null})", {{"Content-Type", "application/merge-patch+json"}});
  EXPECT_THAT(TheWrite().patch.fields, ElementsAre("city"));
}

TEST_F(MemberWritesTest, AMaskOfAllReplacesTheMemberAndKeepsItsState) {
  Patch("?updateMask=*", R"({"city":"Wuxi","version":"3"})");
  EXPECT_THAT(TheWrite().patch.fields,
              ElementsAre("displayName", "realName", "gender", "birthDate", "city", "tier", "tags", "attributes"));
  Patch("?updateMask=%2A", R"({"city":"Wuxi","state":"FROZEN"})");
  EXPECT_THAT(TheWrite().patch.fields, ElementsAre("state", "displayName", "realName", "gender", "birthDate", "city",
                                                   "tier", "tags", "attributes"));
}

TEST_F(MemberWritesTest, AnUnknownNameIsAnsweredWithThoseThatCanBeChanged) {
  const Response response = Patch("?updateMask=%2B", "{}");
  EXPECT_THAT(response.body, AllOf(HasSubstr("known are state, displayName"), Not(HasSubstr("createTime"))));
}

TEST_F(MemberWritesTest, RefusesAConditionThatIsForReads) {
  for (const char* condition : {"*", "\"3\"", ""}) {
    EXPECT_THAT(Patch("", R"({"city":"x"})", {{"If-None-Match", condition}}), BlamesField("If-None-Match"));
    for (const char* path : {"/v1/members", "/v1/members/7:bind", "/v1/members/7:unbind", "/v1/members/7:close"}) {
      EXPECT_THAT(Send({.method = kPost, .target = path, .body = "{}", .headers = {{"if-none-match", condition}}}),
                  BlamesField("If-None-Match"))
          << path;
    }
  }
  EXPECT_TRUE(NothingWasWritten());
}

TEST_F(MemberWritesTest, AnEmptyIfMatchIsNoConsent) {
  EXPECT_THAT(Patch("", R"({"city":"x"})", {{"If-Match", ""}}), BlamesField("If-Match"));
  EXPECT_TRUE(NothingWasWritten());
}

TEST_F(MemberWritesTest, UpdateChecksItsMask) {
  for (const char* mask : {"", "ctiy", "city,,tags", "identities", "id", "attributes.color", "city,city", "*,city"}) {
    EXPECT_THAT(Patch("?updateMask=" + std::string(mask), R"({"city":"x"})"), BlamesField("updateMask")) << mask;
  }
  EXPECT_THAT(Patch("?updateMask=city&updateMask=tags", "{}"), BlamesField("updateMask"));
  EXPECT_THAT(Patch("?mask=city", "{}"), BlamesField("mask"));
  EXPECT_THAT(Patch("?updateMask=state", "{}"), BlamesField("state"));
  EXPECT_THAT(Patch("", R"({"identities":[]})"), BlamesField("identities"));
  EXPECT_THAT(Patch("", ""), IsProblem(Reason::kInvalidArgument));
  EXPECT_TRUE(NothingWasWritten());
}

TEST_F(MemberWritesTest, BindUnbindAndClose) {
  EXPECT_EQ(Post("/v1/members/7:bind", kBind).status, 200);
  const StubWriter::Asked bind = TheWrite();
  EXPECT_EQ(bind.verb, "bind");
  EXPECT_EQ(bind.id, MemberId(7));
  EXPECT_EQ(bind.member.identities.at(0).value.Reveal(), "+8613800000002");
  EXPECT_EQ(Post("/v1/members/7:unbind", kBind).status, 200);
  const StubWriter::Asked unbind = TheWrite();
  EXPECT_EQ(unbind.verb, "unbind");
  EXPECT_EQ(unbind.key, bind.key);
  for (const char* body : {"", "{}"}) {
    EXPECT_EQ(Post("/v1/members/7:close", body).status, 200);
    EXPECT_EQ(TheWrite().verb, "close");
  }
  EXPECT_THAT(Post("/v1/members/7:close", R"({"force":true})"), BlamesField("force"));
  EXPECT_THAT(Post("/v1/members/7:bind", "{}"), BlamesField("identity"));
  EXPECT_THAT(Post("/v1/members/7:unbind", R"({"identity":{"kind":"phone","value":"1"}})"),
              BlamesField("identity.value"));
  EXPECT_TRUE(NothingWasWritten());
}

// Every write but register, with a body that it takes.
const std::vector<std::tuple<HttpMethod, std::string, std::string>> kConditional = {
    {kPatch, "/v1/members/7", R"({"city":"x"})"},
    {kPost, "/v1/members/7:bind", kBind},
    {kPost, "/v1/members/7:unbind", kBind},
    {kPost, "/v1/members/7:merge", R"({"sourceId":"8"})"},
    {kPost, "/v1/members/7:unmerge", R"({"sourceId":"8"})"},
    {kPost, "/v1/members/7:close", "{}"}};

TEST_F(MemberWritesTest, IfMatchIsHonouredByEveryVerb) {
  for (const auto& [method, target, body] : kConditional) {
    const auto send = [&](const std::string& if_match) {
      return Send({.method = method, .target = target, .body = body, .headers = {{"If-Match", if_match}}});
    };
    EXPECT_EQ(send("\"3\"").status, 200);
    EXPECT_EQ(TheWrite().context.expected_version, Version(3));
    EXPECT_EQ(send("*").status, 200);
    EXPECT_EQ(TheWrite().context.expected_version, std::nullopt);
    EXPECT_THAT(send("W/\"3\""), IsProblem(Reason::kVersionMismatch));
    EXPECT_THAT(send("\"abc\""), IsProblem(Reason::kVersionMismatch));
    EXPECT_THAT(send("3"), BlamesField("If-Match"));
    EXPECT_TRUE(NothingWasWritten());
  }
}

TEST_F(MemberWritesTest, IfMatchOfSeveralVersionsAsksWhichItIs) {
  reader_->Put(LiLei());
  for (testing::TestLoop* later : {static_cast<testing::TestLoop*>(nullptr), &loop_}) {
    reader_->later = later;
    for (const auto& [method, target, body] : kConditional) {
      const auto send = [&](const std::string& if_match) {
        return Send({.method = method, .target = target, .body = body, .headers = {{"If-Match", if_match}}});
      };
      EXPECT_EQ(send("\"1\", \"3\"").status, 200);
      EXPECT_EQ(TheWrite().context.expected_version, Version(3));
      EXPECT_TRUE(reader_->asked.back().options.no_cache);
      EXPECT_THAT(send("\"1\", \"2\""), IsProblem(Reason::kVersionMismatch));
      EXPECT_TRUE(NothingWasWritten());
    }
  }
  reader_->members.clear();
  EXPECT_THAT(Patch("", "{}", {{"If-Match", "\"1\", \"2\""}}), IsProblem(Reason::kMemberNotFound));
  reader_->failure = Error{.reason = Reason::kDeadlineExceeded, .message = "m"};
  EXPECT_THAT(Patch("", "{}", {{"If-Match", "\"1\", \"2\""}}), IsProblem(Reason::kDeadlineExceeded));
  EXPECT_TRUE(NothingWasWritten());
}

TEST_F(MemberWritesTest, OnlyJsonIsTaken) {
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"}) {
    EXPECT_THAT(Post("/v1/members", "{}", {{"Content-Type", type}}), IsProblem(Reason::kUnsupportedMediaType)) << type;
    for (const auto& [method, target, body] : kConditional) {
      EXPECT_THAT(Send({.method = method, .target = target, .body = body, .headers = {{"Content-Type", type}}}),
                  IsProblem(Reason::kUnsupportedMediaType));
    }
  }
  EXPECT_THAT(Post("/v1/members", "{}", {{"Content-Type", "application/merge-patch+json"}}),
              IsProblem(Reason::kUnsupportedMediaType));
  EXPECT_TRUE(NothingWasWritten());
  EXPECT_EQ(Post("/v1/members", "{}", {{"Content-Type", "application/json; charset=utf-8"}}).status, 201);
  EXPECT_EQ(Patch("", "{}", {{"Content-Type", "application/merge-patch+json"}}).status, 200);
}

TEST_F(MemberWritesTest, WhatIsHeldInMemoryIsBounded) {
  writer_.SetHeld(true);
  const std::string body = R"({"attributes":{"a":")" + std::string(1'000'000, 'x') + R"("}})";
  std::vector<std::shared_ptr<Response>> responses;
  for (int i = 0; i < 70; ++i)
    responses.push_back(Begin(*members_, {.method = kPost, .target = "/v1/members", .body = body}));
  writer_.SetHeld(false);
  int refused = 0;
  for (const auto& response : responses) {
    const Response answer = Await(response);
    if (answer.status == 201) continue;
    EXPECT_THAT(answer, IsProblem(Reason::kOverloaded));
    EXPECT_EQ(answer.Header("Retry-After"), "1");
    ++refused;
  }
  EXPECT_EQ(refused, 4) << "64 MiB hold 66 bodies of a million bytes and their overhead";
  EXPECT_EQ(Post("/v1/members", body).status, 201) << "what was answered is held no more";
}

// What a server does when it ends while writes are under way: the handler goes first, the store later.
TEST_F(MemberWritesTest, TheHandlerWaitsForItsWrites) {
  writer_.SetHeld(true);
  const auto response = Begin(*members_, {.method = kPost, .target = "/v1/members", .body = "{}"});
  std::thread opener([this] { writer_.SetHeld(false); });
  members_.reset();
  opener.join();
  EXPECT_EQ(writer_.TakeAsked().size(), 1u);
  EXPECT_TRUE(response->abandoned);
  EXPECT_FALSE(response->answered);
}

TEST_F(MemberWritesTest, EveryWriteIsLoggedWithoutPersonalValues) {
  Post("/v1/members", R"({"realName":"Canary","identities":[{"kind":"phone","value":"+8613800000001"}]})",
       {{"Request-Id", "r-1"}});
  ASSERT_EQ(logger_.lines.size(), 1u);
  EXPECT_EQ(logger_.lines[0].first, LogLevel::kInfo);
  EXPECT_THAT(logger_.lines[0].second,
              AllOf(HasSubstr("rpc=RegisterMember code=OK status=201 caller=writer member_id=7 request_id=r-1"),
                    Not(HasSubstr("Canary")), Not(HasSubstr("138"))));
  Post("/v1/members", R"({"identities":[{"kind":"phone","value":"Canary"}]})");
  EXPECT_THAT(logger_.lines.back().second, AllOf(HasSubstr("code=INVALID_ARGUMENT"), Not(HasSubstr("Canary"))));
  reader_->failure = Error{.reason = Reason::kInternal, .message = "m"};
  Send({.target = "/v1/members/7"});
  EXPECT_EQ(logger_.lines.back().first, LogLevel::kInfo) << "failures of reads are logged";
  reader_->failure.reset();
  Send({.target = "/v1/members/7"});
  EXPECT_EQ(logger_.lines.back().first, LogLevel::kDebug) << "reads are not";
}

}  // namespace
}  // namespace muster
