// The parts that need no server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>

#include "cache/redis/center.h"
#include "cache/redis/command.h"
#include "cache/redis/connection.h"
#include "cache/redis/fault.h"
#include "cache/redis/keys.h"
#include "cache/redis/nodes.h"
#include "cache/redis/padded.h"
#include "cache/redis/reply.h"
#include "cache/redis/scripts.h"
#include "cache/redis/server_facts.h"
#include "cache/redis/slots.h"

namespace muster::redis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RedisFault, OfTheWordsOfAnError) {
  EXPECT_EQ(FailureOf("NOSCRIPT No matching script. Please use EVAL.").fault, Fault::kNoScript);
  EXPECT_EQ(FailureOf("OOM command not allowed when used memory > 'maxmemory'.").fault, Fault::kOutOfMemory);
  EXPECT_EQ(FailureOf("WRONGPASS invalid username-password pair").fault, Fault::kAuthentication);
  EXPECT_EQ(FailureOf("READONLY You can't write against a read only replica.").fault, Fault::kReadOnly);
  EXPECT_EQ(FailureOf("ERR value +8613800000000").fault, Fault::kRefused);
  EXPECT_EQ(FailureOf("").fault, Fault::kRefused);
  EXPECT_EQ(FailureOf("MOVEDX 1 127.0.0.1:1").fault, Fault::kRefused);
}

TEST(RedisFault, RedirectionsSayWhereTo) {
  const Failure moved = FailureOf("MOVED 3999 127.0.0.1:6381");
  EXPECT_EQ(moved.fault, Fault::kMoved);
  EXPECT_EQ(moved.slot, 3999);
  EXPECT_EQ(moved.endpoint, (Endpoint{.host = "127.0.0.1", .port = 6381}));
  EXPECT_EQ(FailureOf("ASK 1 ::1:7000").endpoint, (Endpoint{.host = "::1", .port = 7000}));
  for (const char* const bad : {"MOVED", "MOVED 1", "MOVED x 127.0.0.1:1", "MOVED 1 host:1", "MOVED 1 127.0.0.1:x",
                                "MOVED 70000 127.0.0.1:1", "ASK :1 127"}) {
    EXPECT_EQ(FailureOf(bad).fault, Fault::kMalformed) << bad;
  }
}

TEST(RedisFault, EachHasANameAndAdvice) {
  std::set<std::string_view> names;
  for (int fault = 0; fault <= static_cast<int>(Fault::kRefused); ++fault) {
    names.insert(FaultName(static_cast<Fault>(fault)));
    EXPECT_FALSE(FaultAdvice(static_cast<Fault>(fault)).empty());
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Fault::kRefused) + 1);
}

TEST(RedisEndpoint, IsAnAddressOrASocket) {
  for (const char* const good : {"127.0.0.1:6379", "[::1]:6379", "unix:/run/redis.sock"}) {
    const auto endpoint = ParseEndpoint(good);
    ASSERT_TRUE(endpoint) << good;
    EXPECT_EQ(endpoint->Name(), good);
  }
  for (const char* const bad : {"", "localhost:6379", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                                "unix:relative", "127.0.0.1:1x", "redis://127.0.0.1:6379"}) {
    const auto endpoint = ParseEndpoint(bad);
    ASSERT_FALSE(endpoint) << bad;
    EXPECT_EQ(endpoint.error().reason, Reason::kInvalidArgument);
  }
}

TEST(RedisCommand, IsAnArrayOfBulkStrings) {
  EXPECT_EQ(MakeCommand("SET", std::string_view("a\r\n\0b", 5), 42),
            std::string("*3\r\n$3\r\nSET\r\n$5\r\na\r\n\0b\r\n$2\r\n42\r\n", 32));
}

TEST(RedisReply, AnswersComeWholeHoweverTheirBytesCome) {
  const std::string bytes = "*3\r\n$2\r\nab\r\n$-1\r\n:7\r\n-OOM no\r\n+OK\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    ReplyParser parser;
    std::vector<Reply> replies;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      ASSERT_TRUE(parser.Feed(std::string_view(bytes).substr(at, step)));
      while (true) {
        auto next = parser.Next();
        ASSERT_TRUE(next);
        if (!*next) break;
        replies.push_back(**std::move(next));
      }
    }
    ASSERT_EQ(replies.size(), 3U);
    ASSERT_EQ(replies[0].view().size(), 3U);
    EXPECT_EQ(replies[0].view().at(0).text(), "ab");
    EXPECT_TRUE(replies[0].view().at(1).is_nil());
    EXPECT_EQ(replies[0].view().at(2).integer(), 7);
    EXPECT_EQ(replies[1].view().failure().fault, Fault::kOutOfMemory);
    EXPECT_EQ(replies[2].view().text(), "OK");
    EXPECT_EQ(replies[2].view().integer(), std::nullopt);
  }
}

TEST(RedisReply, WhatIsNoAnswerIsSaid) {
  ReplyParser parser;
  ASSERT_TRUE(parser.Feed("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_EQ(parser.Next().error(), Fault::kMalformed);
}

TEST(RedisFacts, IdentityIsOfTheProcessAndItsHistory) {
  const std::string run(40, 'a'), history(40, 'b');
  const auto info = [](const std::string& run_id, const std::string& replid, const std::string& policy) {
    return "# Server\r\nrun_id:" + run_id + "\r\nused_memory:5\r\nmaxmemory:77\r\nmaxmemory_policy:" + policy +
           "\r\nrole:master\r\nmaster_replid:" + replid + "\r\ncluster_enabled:1\r\n";
  };
  const auto facts = ParseServerFacts(info(run, history, "volatile-lru"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->identity.size(), kIdentityBytes);
  EXPECT_TRUE(facts->is_primary && facts->is_cluster && facts->KeepsFloors());
  EXPECT_EQ(facts->memory_max, 77U);
  EXPECT_NE(ParseServerFacts(info(history, history, "noeviction"))->identity, facts->identity);
  EXPECT_NE(ParseServerFacts(info(run, run, "noeviction"))->identity, facts->identity);
  EXPECT_FALSE(ParseServerFacts(info(run, history, "allkeys-lru"))->KeepsFloors());
  EXPECT_FALSE(ParseServerFacts("# Server\r\nrun_id:" + run + "\r\n"));
  EXPECT_FALSE(ParseServerFacts(""));
}

TEST(RedisMarker, NamesTheProcessesOfAnEpoch) {
  const std::string one(kIdentityBytes, '1'), two(kIdentityBytes, '2');
  const Marker marker(Epoch(7), {one, two});
  EXPECT_TRUE(marker.Names(one) && marker.Names(two));
  EXPECT_FALSE(marker.Names(one.substr(20) + two.substr(20)));
  EXPECT_FALSE(marker.Names(""));
  const auto parsed = Marker::Parse(marker.text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->epoch(), Epoch(7));
  EXPECT_EQ(parsed->text(), marker.text());
  EXPECT_FALSE(Marker::Parse(""));
  EXPECT_FALSE(Marker::Parse("0000000000000000007"));
  EXPECT_FALSE(Marker::Parse(marker.text() + "x"));
}

TEST(RedisPadded, TextsAreOrderedAsNumbers) {
  EXPECT_EQ(Padded(42), "0000000000000000042");
  EXPECT_EQ(Padded(INT64_MAX), "9223372036854775807");
  EXPECT_EQ(ParsePadded(Padded(INT64_MAX)), INT64_MAX);
  for (const char* const bad : {"", "42", "-000000000000000042", "00000000000000000x2", "9999999999999999999"}) {
    EXPECT_EQ(ParsePadded(bad), std::nullopt) << bad;
  }
}

TEST(RedisSlots, AreThoseOfTheSpecification) {
  static_assert(SlotOf("123456789") == 0x31C3 % kSlotCount);
  EXPECT_EQ(SlotOf("foo"), 12'182);
  EXPECT_EQ(SlotOf(ShardId(512)), SlotOf("512"));
}

TEST(RedisKeys, OfAPartHaveOneTagAndOfAnEpochNoneInCommon) {
  const Keys keys("m");
  IdentityKey key;
  key.bytes[0] = 0xAB;
  const Subject member = Subject::Of(MemberId(42)), identity = Subject::Of(key);
  const std::string tag = "{" + std::to_string(member.shard().value()) + "}";
  for (const std::string& name :
       {keys.Marker(member.shard()), keys.Floor(member.shard(), 0), keys.Floor(member.shard(), 1),
        keys.Value(Epoch(3), member), keys.Lease(Epoch(3), member)}) {
    EXPECT_THAT(name, HasSubstr(tag));
  }
  EXPECT_NE(keys.Value(Epoch(3), member), keys.Value(Epoch(4), member));
  EXPECT_NE(keys.Value(Epoch(3), member), keys.Lease(Epoch(3), member));
  EXPECT_NE(Keys::Field(member), Keys::Field(identity));
  EXPECT_TRUE(keys.Value(Epoch(3), member).starts_with(keys.MemberPrefix()));
  for (const std::string& other : {keys.Value(Epoch(3), identity), keys.Lease(Epoch(3), member),
                                   keys.Marker(member.shard()), keys.Floor(member.shard(), 0)}) {
    EXPECT_FALSE(other.starts_with(keys.MemberPrefix())) << other;
  }
  EXPECT_EQ(Keys::MemberOf(keys.Value(Epoch(3), member)), MemberId(42));
  EXPECT_EQ(Keys::MemberOf("m:m{1}:3:x"), MemberId(0));
}

TEST(RedisScripts, HaveTheirSha1) {
  for (const Script& script : AllScripts()) {
    EXPECT_EQ(script.hash.size(), 40U);
    EXPECT_TRUE(script.text.starts_with("#!lua")) << "a script without it would run on a replica";
  }
}

TEST(RedisOptionsCheck, FloorsOutliveWhatMayBeOld) {
  RedisOptions options;
  options.endpoints = {"127.0.0.1:6379"};
  EXPECT_TRUE(CheckRedisOptions(options));
  const auto blames = [&](const std::string& field) {
    const auto checked = CheckRedisOptions(options);
    const bool is_blamed = !checked && checked.error().violations.at(0).field == field;
    options = {};
    options.endpoints = {"127.0.0.1:6379"};
    return is_blamed;
  };
  options.floor_life_s = options.replica_lag_max_s + options.source_time_max_s + options.lease_ms / 1000;
  EXPECT_TRUE(blames("floor_life_s"));
  options.endpoints = {};
  EXPECT_TRUE(blames("endpoints"));
  options.endpoints.push_back("localhost");
  EXPECT_TRUE(blames("endpoints[1]"));
  options.prefix = "a{b";
  EXPECT_TRUE(blames("prefix"));
  options.request_timeout_ms = 0;
  EXPECT_TRUE(blames("request_timeout_ms"));
  options.value_ttl_s = 0;
  EXPECT_TRUE(blames("value_ttl_s"));
}

TEST(RedisCredentials, ComeFromAFileThatOthersCannotRead) {
  const std::string path = ::testing::TempDir() + "/muster-redis-password-" + std::to_string(::getpid());
  EXPECT_FALSE(LoadCredentials("", path));
  std::ofstream(path) << "secret\n";
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto open = LoadCredentials("", path);
  ASSERT_FALSE(open);
  EXPECT_THAT(open.error().message, HasSubstr("chmod 600"));
  EXPECT_THAT(open.error().message, Not(HasSubstr("secret")));
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(LoadCredentials("someone", path)->password, "secret");
  std::ofstream(path) << "";
  EXPECT_FALSE(LoadCredentials("", path));
  ::unlink(path.c_str());
  EXPECT_TRUE(LoadCredentials("", "")->password.empty());
}

}  // namespace
}  // namespace muster::redis
