#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/testing/api_fixture.h"

namespace muster {
namespace {

using testing::BlamesField;
using testing::IsProblem;
using testing::Response;
using testing::StubWriter;
using enum HttpMethod;

// Merge and unmerge over HTTP: what they ask of the writer, and what they refuse by themselves.
class MemberMergeTest : public testing::ApiTest {
 protected:
  MemberMergeTest() {
    writer_.answer = [this](const StubWriter::Asked&) -> Result<Member> { return LiLei(); };
  }
  Response Post(const std::string& verb, const std::string& body, const std::string& caller = "writer") {
    return Send({.method = kPost, .target = "/v1/members/7:" + verb, .body = body, .caller = caller});
  }
};

TEST_F(MemberMergeTest, AskTheWriter) {
  for (const char* verb : {"merge", "unmerge"}) {
    EXPECT_EQ(Post(verb, R"({"sourceId":"8"})").status, 200);
    StubWriter::Asked write = TheWrite();
    EXPECT_EQ(write.verb, verb);
    EXPECT_EQ(write.id, MemberId(7));
    EXPECT_EQ(write.source, MemberId(8));
    EXPECT_FALSE(write.dry_run);
    EXPECT_EQ(Post(verb, R"({"dryRun":true,"sourceId":8})").status, 200);
    write = TheWrite();
    EXPECT_EQ(write.source, MemberId(8));
    EXPECT_TRUE(write.dry_run);
  }
}

TEST_F(MemberMergeTest, NeedASourceAndNothingElse) {
  for (const char* verb : {"merge", "unmerge"}) {
    for (const char* body : {"{}", R"({"dryRun":true})", R"({"sourceId":0})", R"({"sourceId":"x"})",
                             R"({"sourceId":null})", R"({"sourceId":["8"]})"}) {
      EXPECT_THAT(Post(verb, body), BlamesField("sourceId")) << body;
    }
    EXPECT_THAT(Post(verb, R"({"sourceId":"8","dryRun":"yes"})"), BlamesField("dryRun"));
    EXPECT_THAT(Post(verb, R"({"sourceId":"8","force":true})"), BlamesField("force"));
    EXPECT_THAT(Post(verb, ""), IsProblem(Reason::kInvalidArgument));
  }
  EXPECT_TRUE(writer_.TakeAsked().empty());
}

TEST_F(MemberMergeTest, NeedTheScope) {
  for (const char* verb : {"merge", "unmerge"}) {
    EXPECT_THAT(Post(verb, R"({"sourceId":"8"})", ""), IsProblem(Reason::kUnauthenticated));
    EXPECT_THAT(Post(verb, R"({"sourceId":"8"})", "reader"), IsProblem(Reason::kPermissionDenied));
  }
  EXPECT_TRUE(writer_.TakeAsked().empty());
}

}  // namespace
}  // namespace muster
