#include "api/grpc_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "api/deadlines.h"
#include "api/proto_reader.h"

namespace muster {
namespace {

using std::chrono::microseconds;

TEST(GrpcTimeoutTest, HasSixUnitsAndAMaximum) {
  EXPECT_EQ(ParseGrpcTimeout("250m"), microseconds(250'000));
  EXPECT_EQ(ParseGrpcTimeout("7u"), microseconds(7));
  EXPECT_EQ(ParseGrpcTimeout("1999n"), microseconds(1));
  EXPECT_EQ(ParseGrpcTimeout("59S"), microseconds(59'000'000));
  EXPECT_EQ(ParseGrpcTimeout("0S"), microseconds(0));
  EXPECT_EQ(ParseGrpcTimeout("11M"), kDeadlineMax);
  EXPECT_EQ(ParseGrpcTimeout("99999999H"), kDeadlineMax);
  for (const char* wrong : {"", "5", "S", "123456789S", "5x", "-5S", " 5S", "5 S", "5s", "0x5S", "5.0S"}) {
    const auto parsed = ParseGrpcTimeout(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_EQ(parsed.error().violations.at(0).field, "grpc-timeout");
  }
}

TEST(GrpcStatusTest, MessagesArePercentEncoded) {
  std::string out;
  AppendPercentEncoded(out, "100 % of 李\n\x7f");
  EXPECT_EQ(out, "100 %25 of %E6%9D%8E%0A%7F");
}

TEST(GrpcStatusTest, Base64HasNoPadding) {
  const auto base64 = [](std::string_view bytes) {
    std::string out;
    AppendBase64(out, bytes);
    return out;
  };
  // RFC 4648 section 10, without the padding.
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg");
  EXPECT_EQ(base64("fo"), "Zm8");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfb"), "//77");
}

TEST(GrpcStatusTest, FieldsAreSpelledAsProtobufDoes) {
  EXPECT_EQ(ProtoFieldPath("displayName"), "display_name");
  EXPECT_EQ(ProtoFieldPath("identities[1].bindTime"), "identities[1].bind_time");
  EXPECT_EQ(ProtoFieldPath("attributes.preferredStore"), "attributes.preferredStore");
  EXPECT_EQ(ProtoFieldPath("grpc-timeout"), "grpc-timeout");
  EXPECT_EQ(ProtoFieldPath("X-Request-Timeout-Ms"), "X-Request-Timeout-Ms");
  EXPECT_EQ(ProtoFieldPath(""), "");
}

// The texts and messages of a protobuf message, depth first: "3{1=type 2{…}}".
std::string Describe(std::string_view message, int depth) {
  std::string out;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (!out.empty()) out += ' ';
    out += std::to_string(reader.field());
    if (reader.type() == WireType::kVarint) {
      out += "=" + std::to_string(reader.number());
    } else if (depth > 0 && reader.field() == 3) {
      out += "{" + Describe(reader.bytes(), depth - 1) + "}";
    } else {
      out += "=" + std::string(reader.bytes());
    }
  }
  EXPECT_FALSE(reader.malformed());
  return out;
}

TEST(GrpcStatusTest, IsAStatusOfGoogleRpc) {
  std::string out;
  AppendStatus(out, {.reason = Reason::kMemberNotFound, .message = "no member has this id"}, "r-1");
  EXPECT_EQ(Describe(out, 1),
            "1=5 2=no member has this id 3{1=type.googleapis.com/google.rpc.ErrorInfo "
            "2=\x0a\x10MEMBER_NOT_FOUND\x12\x06muster\x1a\x11\x0a\x0arequest_id\x12\x03r-1}");
}

TEST(GrpcStatusTest, NamesFieldsAndWhenToRetry) {
  std::string out;
  Error error = FailField("identities[1].bindTime", "is wrong").error();
  AppendStatus(out, error, "r");
  EXPECT_THAT(out, ::testing::HasSubstr("google.rpc.BadRequest"));
  EXPECT_THAT(out, ::testing::HasSubstr("identities[1].bind_time"));
  EXPECT_THAT(out, ::testing::Not(::testing::HasSubstr("RetryInfo")));
  out.clear();
  AppendStatus(out, {.reason = Reason::kOverloaded, .message = "later", .retry_after_ms = 2500}, "r");
  // retry_delay { seconds: 2 nanos: 500000000 }
  EXPECT_THAT(out, ::testing::EndsWith("google.rpc.RetryInfo\x12\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01"));
}

TEST(GrpcStatusTest, WhatIsNotUtf8IsShownAsFarAsItIsAscii) {
  std::string out;
  AppendStatus(out, {.reason = Reason::kInternal, .message = "disk \xff full"}, "r");
  EXPECT_THAT(out, ::testing::HasSubstr("disk ? full"));
}

}  // namespace
}  // namespace muster
