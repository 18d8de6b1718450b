#include "domain/proto_writer.h"

#include <google/protobuf/timestamp.pb.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "domain/testing/arbitrary_member.h"
#include "muster/v1/change.pb.h"
#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

RC_GTEST_PROP(ProtoWriterProperty, NumbersAreThoseOfProtobuf, (std::int64_t number)) {
  v1::GetMemberRequest message;
  message.set_id(number);
  std::string out;
  ProtoWriter(out).Number(1, number);
  RC_ASSERT(out == message.SerializeAsString());
}

RC_GTEST_PROP(ProtoWriterProperty, TimesAreThoseOfProtobuf, ()) {
  const Timestamp time = *testing::ArbitraryTime();
  std::string out;
  ProtoWriter(out).Time(3, time);
  v1::Change message;
  RC_ASSERT(message.ParseFromString(out));
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  RC_ASSERT(message.change_time().seconds() == second.time_since_epoch().count());
  RC_ASSERT(message.change_time().nanos() == (time - second).count() * 1000);
}

TEST(ProtoWriterTest, MessagesOfAnyLengthNest) {
  for (const std::size_t size : {0U, 1U, 126U, 127U, 128U, 129U, 16'380U, 16'384U, 3'000'000U}) {
    std::string out;
    ProtoWriter writer(out);
    const std::size_t result = writer.Begin(1);
    const std::size_t error = writer.Begin(2);
    writer.Text(1, std::string(size, 'x'));
    writer.Bool(3, true);
    writer.End(error);
    writer.End(result);
    v1::BatchMembersResponse message;
    ASSERT_TRUE(message.ParseFromString(out)) << size;
    ASSERT_EQ(message.results_size(), 1);
    EXPECT_EQ(message.results(0).error().code().size(), size);
    EXPECT_TRUE(message.results(0).error().retryable());
    EXPECT_EQ(message.SerializeAsString(), out);
  }
}

TEST(ProtoWriterTest, DefaultsAreLeftOut) {
  std::string out;
  ProtoWriter writer(out);
  writer.Number(1, 0);
  writer.Bool(2, false);
  writer.Text(3, "");
  writer.Time(4, Timestamp{});
  EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace muster
