#include "api/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/result.h"

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ProblemTest, HasTheMembersOfTheSpecification) {
  std::string out;
  AppendProblem(out, Error{.reason = Reason::kMemberNotFound, .message = "no member has this id"}, "r-1");
  EXPECT_EQ(out, R"({"type":"urn:muster:problem:MEMBER_NOT_FOUND","title":"There is no such member","status":404,)"
                 R"("code":"MEMBER_NOT_FOUND","detail":"no member has this id","retryable":false,"requestId":"r-1"})");
}

TEST(ProblemTest, ListsFaultsOfFields) {
  std::string out;
  AppendProblem(out, FailField("identities[1].value", "is no phone number").error(), "r");
  EXPECT_THAT(out, HasSubstr(R"("errors":[{"field":"identities[1].value","detail":"is no phone number"}])"));
}

TEST(ProblemTest, StaysJsonWhateverTheMessage) {
  std::string out;
  AppendProblem(out, Error{.reason = Reason::kInternal, .message = "quote \" newline \n byte \xff"}, "r");
  EXPECT_THAT(out, HasSubstr(R"("detail":"quote \" newline \n byte ?")"));
}

TEST(ProblemTest, TellsWhenToComeBack) {
  const auto headers = [](Error error) {
    std::string out;
    AppendProblemHeaders(out, error);
    return out;
  };
  EXPECT_EQ(headers({.reason = Reason::kOverloaded, .message = ""}), "Retry-After: 1\r\n");
  EXPECT_EQ(headers({.reason = Reason::kIdempotencyInProgress, .message = "", .retry_after_ms = 1000}),
            "Retry-After: 1\r\n");
  EXPECT_EQ(headers({.reason = Reason::kRateLimited, .message = "", .retry_after_ms = 1001}), "Retry-After: 2\r\n");
  EXPECT_EQ(headers({.reason = Reason::kWritesUnavailable, .message = "", .retry_after_ms = 5000}),
            "Retry-After: 5\r\n");
  EXPECT_EQ(headers({.reason = Reason::kUnauthenticated, .message = ""}),
            "WWW-Authenticate: Bearer realm=\"muster\"\r\n");
  EXPECT_EQ(headers({.reason = Reason::kMemberNotFound, .message = "", .retry_after_ms = 5000}), "");
}

TEST(ProblemTest, EveryReasonMakesAProblemOfItsStatus) {
  for (const ReasonDescription& reason : AllReasons()) {
    std::string out;
    AppendProblem(out, Error{.reason = reason.reason, .message = "m"}, "r");
    EXPECT_THAT(out, AllOf(HasSubstr("\"status\":" + std::to_string(reason.http_status)),
                           HasSubstr("\"code\":\"" + std::string(reason.code) + "\"")));
  }
}

TEST(ProblemTest, RejectionsKeepTheirStatus) {
  for (const int status : {400, 408, 413, 414, 415, 417, 431, 500, 501, 503, 505}) {
    const Error error = RejectionError(status, "what is wrong");
    EXPECT_EQ(DescribeReason(error.reason).http_status, status);
    EXPECT_EQ(error.message, "what is wrong");
  }
}

}  // namespace
}  // namespace muster
