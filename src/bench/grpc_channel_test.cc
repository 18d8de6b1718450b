#include "bench/grpc_channel.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <utility>
#include <vector>

namespace muster {
namespace {

using std::chrono::seconds;

constexpr std::array kIds = {MemberId(42)};
const LoadCall kGet{.verb = LoadVerb::kGet, .ids = kIds};

struct Collected final : LoadAnswerSink {
  void OnAnswer(const LoadAnswer& answer) override {
    EXPECT_FALSE(codes.contains(answer.token));
    codes[answer.token] = answer.is_success ? "ok" : std::string(answer.code);
    kinds[answer.token] = answer.kind;
  }
  std::map<std::uint32_t, std::string> codes;
  std::map<std::uint32_t, LoadAnswer::Kind> kinds;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

// A header block of literals.
std::string BlockOf(const Fields& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block += '\0';
    for (const std::string& text : {name, value}) {
      EXPECT_LT(text.size(), 127U);
      block += static_cast<char>(text.size());
      block += text;
    }
  }
  return block;
}

std::string FrameOf(H2FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
  std::string out;
  AppendH2Frame(out, {.type = type, .flags = flags, .stream = stream, .payload = payload});
  return out;
}

std::string Number(std::uint32_t number) {
  std::string out;
  AppendH2Number(out, number, 4);
  return out;
}

class GrpcChannelTest : public ::testing::Test {
 protected:
  GrpcChannelTest() { channel_.Begin(out_); }

  void Send(std::uint32_t token, BenchTime at = seconds(1)) {
    channel_.Append(out_, kGet, {.token = token, .sent = at});
  }
  bool Take(std::string_view bytes) { return channel_.Take(bytes, seconds(2), out_, answers_); }
  static std::string Success(std::uint32_t stream) {
    return FrameOf(H2FrameType::kHeaders, kH2EndHeaders, stream, BlockOf({{":status", "200"}})) +
           FrameOf(H2FrameType::kData, 0, stream, std::string("\0\0\0\0\2ok", 7)) +
           FrameOf(H2FrameType::kHeaders, kH2EndHeaders | kH2EndStream, stream, BlockOf({{"grpc-status", "0"}}));
  }
  static std::string Failure(std::uint32_t stream, const Fields& fields) {
    return FrameOf(H2FrameType::kHeaders, kH2EndHeaders | kH2EndStream, stream, BlockOf(fields));
  }

  std::string out_;
  Collected answers_;
  GrpcChannel channel_{"127.0.0.1:7401", "mk_key", 4};
};

TEST_F(GrpcChannelTest, AnswersComeInAnyOrderAndInAnyPieces) {
  EXPECT_TRUE(out_.starts_with("PRI * HTTP/2.0"));
  for (std::uint32_t token = 0; token < 4; ++token) {
    ASSERT_TRUE(channel_.has_room());
    Send(token);
  }
  EXPECT_FALSE(channel_.has_room());
  const std::string bytes = Success(5) + Success(1) + Success(7);
  for (const char byte : bytes) ASSERT_TRUE(Take({&byte, 1}));
  EXPECT_EQ(answers_.codes, (std::map<std::uint32_t, std::string>{{2, "ok"}, {0, "ok"}, {3, "ok"}}));
  EXPECT_EQ(channel_.under_way(), 1U);
  EXPECT_TRUE(channel_.has_room());
  EXPECT_EQ(channel_.Drop().token, 1U);
}

TEST_F(GrpcChannelTest, FailuresHaveTheirStatusAndTheirReason) {
  for (std::uint32_t token = 0; token < 4; ++token) Send(token);
  // A google.rpc.Status whose first detail is an ErrorInfo with the reason OVERLOADED.
  const std::string details = "CA4aNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxIMCgpPVkVSTE9BREVE";
  EXPECT_TRUE(Take(Failure(1, {{"grpc-status", "14"}, {"grpc-status-details-bin", details}}) +
                   Failure(3, {{"grpc-status", "7"}}) + Failure(5, {{":status", "415"}}) +
                   FrameOf(H2FrameType::kReset, 0, 7, Number(7))));
  EXPECT_EQ(answers_.codes,
            (std::map<std::uint32_t, std::string>{
                {0, "UNAVAILABLE OVERLOADED"}, {1, "PERMISSION_DENIED"}, {2, "no grpc-status"}, {3, "reset"}}));
  EXPECT_TRUE(IsGrpcRefusal("PERMISSION_DENIED"));
  EXPECT_TRUE(IsGrpcRefusal("NOT_FOUND MEMBER_NOT_FOUND"));
  EXPECT_FALSE(IsGrpcRefusal("UNAVAILABLE OVERLOADED"));
  EXPECT_FALSE(IsGrpcRefusal("timeout"));
}

TEST_F(GrpcChannelTest, ABlockMayGoOnInFurtherFramesAndBePadded) {
  Send(0);
  const std::string block = BlockOf({{"grpc-status", "5"}});
  EXPECT_TRUE(Take(FrameOf(H2FrameType::kHeaders, kH2EndStream | kH2Padded | kH2Priority, 1,
                           std::string("\2\0\0\0\0\0", 6) + block.substr(0, 4) + std::string(2, '\0')) +
                   FrameOf(H2FrameType::kContinuation, 0, 1, block.substr(4, 3)) +
                   FrameOf(H2FrameType::kContinuation, kH2EndHeaders, 1, block.substr(7))));
  EXPECT_EQ(answers_.codes[0], "NOT_FOUND");
}

TEST_F(GrpcChannelTest, WhatServersAskIsAnswered) {
  out_.clear();
  EXPECT_TRUE(Take(FrameOf(H2FrameType::kSettings, 0, 0, std::string("\0\3", 2) + Number(2)) +
                   FrameOf(H2FrameType::kPing, 0, 0, "12345678") + FrameOf(H2FrameType::kSettings, kH2Ack, 0)));
  EXPECT_EQ(out_, FrameOf(H2FrameType::kSettings, kH2Ack, 0) + FrameOf(H2FrameType::kPing, kH2Ack, 0, "12345678"));
  Send(0);
  Send(1);
  EXPECT_FALSE(channel_.has_room()) << "the server wants two at a time";
}

TEST_F(GrpcChannelTest, ASpentWindowIsWaitedFor) {
  const std::vector<MemberId> ids(1000, MemberId(INT64_MAX));
  for (std::uint32_t n = 0; n < 4; ++n) {
    ASSERT_TRUE(channel_.has_room());
    channel_.Append(out_, {.verb = LoadVerb::kBatchGet, .ids = ids}, {.token = n});
    ASSERT_TRUE(Take(Success(2 * n + 1)));
  }
  for (std::uint32_t n = 4; channel_.has_room(); ++n) {
    channel_.Append(out_, {.verb = LoadVerb::kBatchGet, .ids = ids}, {.token = n});
    ASSERT_TRUE(Take(Success(2 * n + 1)));
    ASSERT_LT(n, 10U);
  }
  EXPECT_TRUE(Take(FrameOf(H2FrameType::kWindowUpdate, 0, 0, Number(60'000))));
  EXPECT_TRUE(channel_.has_room());
}

TEST_F(GrpcChannelTest, AServerThatLeavesGetsNoFurtherCalls) {
  Send(0);
  EXPECT_TRUE(Take(FrameOf(H2FrameType::kGoAway, 0, 0, Number(1) + Number(0))));
  EXPECT_FALSE(channel_.has_room());
  EXPECT_FALSE(Take(Success(1))) << "its last answer is there: the connection is of no use any more";
  EXPECT_EQ(answers_.codes[0], "ok");
  std::string again;
  channel_.Begin(again);
  EXPECT_TRUE(channel_.has_room());
}

TEST_F(GrpcChannelTest, WhatIsLateIsGivenUpAlone) {
  Send(0, seconds(1));
  Send(1, seconds(5));
  out_.clear();
  EXPECT_TRUE(channel_.GiveUpLate(seconds(2), seconds(6), out_, answers_));
  EXPECT_EQ(answers_.kinds[0], LoadAnswer::Kind::kTimedOut);
  EXPECT_EQ(out_, FrameOf(H2FrameType::kReset, 0, 1, Number(8)));
  EXPECT_TRUE(Take(Success(1))) << "an answer that crosses it is nobody's";
  EXPECT_EQ(channel_.under_way(), 1U);
}

TEST_F(GrpcChannelTest, WhatIsNoHttp2EndsTheConnection) {
  const std::vector<std::string> wrong = {
      std::string(64, '\xff'),
      FrameOf(H2FrameType::kHeaders, kH2EndHeaders, 1, "\xff\xff\xff\xff\xff"),
      FrameOf(H2FrameType::kHeaders, kH2EndHeaders, 0, BlockOf({{"a", "b"}})),
      FrameOf(H2FrameType::kHeaders, kH2EndHeaders | kH2Padded, 1, "\x09x"),
      FrameOf(H2FrameType::kHeaders, 0, 1, BlockOf({{"a", "b"}})) + FrameOf(H2FrameType::kPing, 0, 0, "12345678"),
      FrameOf(H2FrameType::kContinuation, kH2EndHeaders, 1, BlockOf({{"a", "b"}})),
      FrameOf(H2FrameType::kSettings, 0, 0, "12345"),
      FrameOf(H2FrameType::kSettings, 0, 0, std::string("\0\1", 2) + Number(0)),
      "HTTP/1.1 400 Bad Request\r\n\r\n"};
  for (const std::string& bytes : wrong) {
    std::string out;
    channel_.Begin(out);
    EXPECT_FALSE(Take(bytes)) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace muster
