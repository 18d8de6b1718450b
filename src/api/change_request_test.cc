#include "api/change_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "domain/change.h"
#include "domain/proto_writer.h"

namespace muster {
namespace {

using ::testing::ElementsAre;

Result<WatchRequest> Read(std::string_view query, std::string_view last_event_id = {}) {
  QueryParameters parameters;
  return ReadWatchQuery(parameters, query, last_event_id);
}

ChangeEvent EventOf(std::int64_t member, ChangeType type) {
  ChangeEvent event;
  event.member_id = MemberId(member);
  event.type = type;
  return event;
}

std::string Blamed(const Result<WatchRequest>& request) {
  if (request || request.error().violations.empty()) return "";
  return request.error().violations[0].field;
}

TEST(ChangeRequestTest, NothingIsTheLatestOfEverything) {
  for (const auto& request : {Read(""), Read("from=&types=&memberIds="), Read("from=latest"), ReadWatchMessage("")}) {
    ASSERT_TRUE(request);
    EXPECT_EQ(request->from.kind, ChangeFrom::Kind::kLatest);
    EXPECT_TRUE(request->filter.PassesAll());
  }
}

TEST(ChangeRequestTest, WhereToBegin) {
  EXPECT_EQ(Read("from=earliest")->from.kind, ChangeFrom::Kind::kEarliest);
  EXPECT_EQ(Read("from=17")->from.position, 17);
  EXPECT_EQ(Read("from=0")->from.kind, ChangeFrom::Kind::kAfter);
  EXPECT_EQ(Read("from=earliest", "18")->from.position, 18);
  EXPECT_EQ(Read("from=17", "18")->from.position, 18);
  for (const char* bad : {"from=x", "from=-1", "from=01", "from=1,2", "from=9223372036854775808", "from=Latest"}) {
    EXPECT_EQ(Blamed(Read(bad)), "from") << bad;
  }
  EXPECT_EQ(Read("from=17", "latest")->from.kind, ChangeFrom::Kind::kLatest);
  for (const char* bad : {"x", "-1", "1 "}) EXPECT_EQ(Blamed(Read("", bad)), "Last-Event-ID") << bad;
}

TEST(ChangeRequestTest, WhatToShow) {
  const auto request = Read("types=UPDATED,MERGED&memberIds=9,7,8");
  ASSERT_TRUE(request);
  EXPECT_THAT(request->filter.members, ElementsAre(MemberId(7), MemberId(8), MemberId(9)));
  EXPECT_TRUE(request->filter.Passes(EventOf(8, ChangeType::kMerged)));
  EXPECT_FALSE(request->filter.Passes(EventOf(8, ChangeType::kClosed)));
  EXPECT_FALSE(request->filter.Passes(EventOf(6, ChangeType::kMerged)));
  for (const char* bad : {"types=,", "types=UPDATED,", "types=updated", "types=0", "types=TYPE_UNSPECIFIED"}) {
    EXPECT_EQ(Blamed(Read(bad)), "types") << bad;
  }
  for (const char* bad : {"memberIds=,", "memberIds=0", "memberIds=1,", "memberIds=-1", "memberIds=1;2"}) {
    EXPECT_EQ(Blamed(Read(bad)), "memberIds") << bad;
  }
  std::string ids = "memberIds=1";
  for (int id = 2; id <= 100; ++id) ids += "," + std::to_string(id);
  EXPECT_TRUE(Read(ids));
  EXPECT_EQ(Blamed(Read(ids + ",101")), "memberIds");
  EXPECT_EQ(Blamed(Read("since=1")), "since");
}

TEST(ChangeRequestTest, TheSameAsProtobuf) {
  std::string message;
  ProtoWriter proto(message);
  proto.Text(1, "17");
  proto.Bytes(2, "\x02\x06");  // packed
  proto.Number(2, 1);          // and not
  proto.Number(3, 9);
  proto.Bytes(3, "\x07");
  const auto request = ReadWatchMessage(message);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->from.position, 17);
  EXPECT_THAT(request->filter.members, ElementsAre(MemberId(7), MemberId(9)));
  for (const ChangeType type : {ChangeType::kRegistered, ChangeType::kUpdated, ChangeType::kMerged}) {
    EXPECT_TRUE(request->filter.Passes(EventOf(7, type)));
  }
  const auto blamed = [](auto write) {
    std::string bad;
    ProtoWriter writer(bad);
    write(writer);
    return Blamed(ReadWatchMessage(bad));
  };
  EXPECT_EQ(blamed([](ProtoWriter& writer) { writer.Text(1, "x"); }), "from");
  EXPECT_EQ(blamed([](ProtoWriter& writer) { writer.Bytes(2, std::string_view("\0", 1)); }), "types");
  EXPECT_EQ(blamed([](ProtoWriter& writer) { writer.Number(2, 99); }), "types");
  EXPECT_EQ(blamed([](ProtoWriter& writer) { writer.Bytes(3, "\xff"); }), "memberIds");
  EXPECT_EQ(blamed([](ProtoWriter& writer) { writer.Number(3, -1); }), "memberIds");
  EXPECT_FALSE(ReadWatchMessage("\x0a"));
}

}  // namespace
}  // namespace muster
