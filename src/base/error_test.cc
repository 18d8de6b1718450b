#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/check.h"
#include "base/result.h"
#include "base/task.h"

namespace muster {
namespace {

TEST(Reasons, EveryRowIsFoundAndInOrder) {
  const auto& rows = AllReasons();
  ASSERT_EQ(rows.size(), kReasonCount);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(rows[i].reason), i) << rows[i].code;
    EXPECT_EQ(&DescribeReason(rows[i].reason), &rows[i]);
  }
}

TEST(Reasons, CodesAreUniqueUpperSnakeCase) {
  std::set<std::string_view> codes;
  for (const auto& row : AllReasons()) {
    EXPECT_TRUE(codes.insert(row.code).second) << row.code;
    EXPECT_THAT(std::string(row.code), testing::MatchesRegex("[A-Z]+(_[A-Z]+)*"));
    EXPECT_FALSE(row.title.empty());
  }
}

// Google's mapping of google.rpc.Code to HTTP (google/rpc/code.proto), with the finer 4xx of HTTP where it has them.
TEST(Reasons, HttpAndGrpcAgree) {
  for (const auto& row : AllReasons()) {
    const bool is_server_fault = row.http_status >= 500;
    // DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE
    const std::set<int> server_codes = {4, 8, 12, 13, 14};
    if (is_server_fault) EXPECT_TRUE(server_codes.contains(row.grpc_code)) << row.code;
    if (!is_server_fault) EXPECT_TRUE(row.http_status >= 400 && row.http_status < 500) << row.code;
    if (row.grpc_code == 5) EXPECT_EQ(row.http_status, 404) << row.code;
    if (row.grpc_code == 16) EXPECT_EQ(row.http_status, 401) << row.code;
    if (row.grpc_code == 7) EXPECT_EQ(row.http_status, 403) << row.code;
  }
}

TEST(Reasons, OnlyTemporaryConditionsMayBeRetried) {
  for (const auto& row : AllReasons()) {
    const bool is_temporary = row.http_status == 408 || row.http_status == 429 || row.http_status == 503 ||
                              row.http_status == 504 || row.reason == Reason::kIdempotencyInProgress;
    EXPECT_EQ(row.retryable, is_temporary) << row.code;
  }
}

TEST(ReasonsDeathTest, AReasonOutsideTheTableAborts) {
  EXPECT_DEATH(DescribeReason(static_cast<Reason>(200)), "without a row");
}

TEST(CheckDeathTest, NamesThePlaceAndTheCondition) {
  const int answer = 41;
  EXPECT_DEATH(MUSTER_CHECK(answer == 42), "error_test.cc:[0-9]+: check failed: answer == 42");
}

Result<int> Half(int number) {
  if (number % 2 != 0) return Fail(Reason::kInvalidArgument, "odd");
  return number / 2;
}

Result<int> Quarter(int number) {
  MUSTER_ASSIGN(const int half, Half(number));
  MUSTER_ASSIGN(const int quarter, Half(half));
  return quarter;
}

Result<void> MustBeEven(int number) {
  MUSTER_TRY(Half(number));
  return {};
}

Task<Result<int>> QuarterLater(int number) {
  MUSTER_CO_TRY(Half(number));
  MUSTER_CO_ASSIGN(const int half, Half(number));
  co_return Half(half);
}

TEST(Result, GivesBackTheFirstError) {
  EXPECT_EQ(Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().message, "odd");
  EXPECT_TRUE(MustBeEven(2).has_value());
  EXPECT_EQ(MustBeEven(3).error().reason, Reason::kInvalidArgument);
}

TEST(Result, WorksInsideACoroutine) {
  auto good = QuarterLater(8);
  good.Start();
  EXPECT_EQ(good.TakeValue(), 2);
  auto bad = QuarterLater(3);
  bad.Start();
  EXPECT_EQ(bad.TakeValue().error().message, "odd");
}

Result<int> FieldFault() { return FailField("identities[1].value", "must not be empty"); }
Result<int> WholeFault() { return FailField("", "the body must be an object"); }

TEST(Result, AFieldsFaultNamesTheField) {
  const Error error = FieldFault().error();
  EXPECT_EQ(error.code(), "INVALID_ARGUMENT");
  EXPECT_EQ(error.message, "identities[1].value: must not be empty");
  ASSERT_EQ(error.violations.size(), 1U);
  EXPECT_EQ(error.violations[0].field, "identities[1].value");
  EXPECT_EQ(error.violations[0].description, "must not be empty");
}

TEST(Result, AFaultOfTheWholeHasNoField) {
  const Error error = WholeFault().error();
  EXPECT_EQ(error.message, "the body must be an object");
  ASSERT_EQ(error.violations.size(), 1U);
  EXPECT_EQ(error.violations[0].field, "");
}

}  // namespace
}  // namespace muster
