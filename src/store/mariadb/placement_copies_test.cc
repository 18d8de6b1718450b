// Which server answers a read, and with what age; servers that are frozen, behind, gone, or somebody else's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/mariadb/placement.h"
#include "store/mariadb/testing/center_process.h"
#include "store/mariadb/testing/mariadb_group.h"
#include "store/mariadb/testing/mariadb_runners.h"

namespace muster::mariadb_placement_copies_test {
namespace {

using mariadb::Endpoint;
using mariadb::GroupPlacement;
using std::chrono::milliseconds;
using testing::CenterProcess;
using testing::MariadbGroup;
using testing::MariadbRunners;
using testing::MariadbServer;
using testing::WaitUntil;

// A copy that stands still costs its time-out, and then nothing for a while.
void ExpectThatAFrozenCopyIsLeftAlone(MariadbGroup& group, CenterProcess& west) {
  const auto nearest = west.Placement()->front().copies.front().endpoint;
  const std::string name = nearest.Name() == group["w1"].tcp_address() ? "w1" : "w2";
  group[name].Stop();
  Duration longest(0);
  std::size_t slow = 0;
  const Instant begun = west.clock().Monotonic();
  while (west.clock().Monotonic() - begun < milliseconds(1'500)) {
    const Instant asked = west.clock().Monotonic();
    const auto answer = west.Read(1);
    const Duration took = west.clock().Monotonic() - asked;
    ASSERT_TRUE(answer) << answer.error().message;
    longest = std::max(longest, took);
    if (took > milliseconds(150)) ++slow;
  }
  std::printf("a frozen copy: the slowest read took %lld ms\n", static_cast<long long>(longest.count() / 1000));
  std::fflush(stdout);
  EXPECT_LT(longest, milliseconds(2'000));
  // Each of the two threads finds out for itself, and once in a second somebody looks.
  EXPECT_LE(slow, 5U);
  group[name].Continue();
}

// Soon: while the topology has not been confirmed for a second, nobody is sure to be the primary.
bool IsAnsweredBy(Source source, CenterProcess& process, const ReadOptions& options) {
  return WaitUntil([&] {
    const auto answer = process.Read(1, options);
    EXPECT_TRUE(answer || options.no_cache || options.floor > Version(0)) << answer.error().message;
    return answer && answer->member && answer->may_be_kept && answer->source == source;
  });
}

TEST(MariadbPlacement, CopiesAnswerAsLongAsTheyAreNotBehindAndWhateverTheirLagWhenNobodyElseCan) {
  MariadbGroup group;
  MariadbRunners runners(group, false);
  CenterProcess east(runners, "east");
  CenterProcess west(runners, "west", milliseconds(1'500));
  east.MustOpen();
  west.MustOpen();
  ASSERT_TRUE(east.Write(1, 1));
  const auto is_from = [&](Source source, std::int64_t version) {
    return WaitUntil([&] {
      const auto answer = west.Read(1);
      return answer && answer->member && answer->source == source && answer->member->version() == Version(version);
    });
  };
  ASSERT_TRUE(is_from(Source::kReplica, 1));
  EXPECT_TRUE(IsAnsweredBy(Source::kPrimary, east, {})) << "it is in this center";
  EXPECT_TRUE(IsAnsweredBy(Source::kPrimary, west, {.no_cache = true}));
  EXPECT_TRUE(IsAnsweredBy(Source::kPrimary, west, {.prefer_primary = true}));

  // One stands still: the other one answers, and at once for whoever knows what was written.
  group["w1"].Execute("STOP SLAVE SQL_THREAD");
  ASSERT_TRUE(east.Write(1, 2));
  const auto newest = west.Read(1, {.min_version = Version(2)});
  ASSERT_TRUE(newest) << newest.error().message;
  EXPECT_EQ(newest->member->version(), Version(2));
  ASSERT_TRUE(is_from(Source::kReplica, 2));
  // Both do: a while they answer what they have, with their age; then the primary does.
  group["w2"].Execute("STOP SLAVE SQL_THREAD");
  ASSERT_TRUE(east.Write(1, 3));
  EXPECT_TRUE(IsAnsweredBy(Source::kPrimary, west, {.floor = Version(3)})) << "no copy has it";
  const Instant stopped = west.clock().Monotonic();
  ASSERT_TRUE(WaitUntil([&] {
    const auto answer = west.Read(1);
    EXPECT_TRUE(answer);
    if (!answer) return true;
    if (answer->source == Source::kPrimary) return answer->member->version() == Version(3);
    EXPECT_LE(answer->age, milliseconds(2'000));
    return false;
  }));
  EXPECT_GE(west.clock().Monotonic() - stopped, milliseconds(1'000)) << "not at once";
  group["w2"].Execute("START SLAVE SQL_THREAD");
  ASSERT_TRUE(is_from(Source::kReplica, 3)) << "it is a copy again";
  ASSERT_TRUE(east.Write(1, 4));
  ASSERT_TRUE(is_from(Source::kReplica, 4));
  ExpectThatAFrozenCopyIsLeftAlone(group, west);
  group["w2"].Execute("STOP SLAVE SQL_THREAD");
  ASSERT_TRUE(east.Write(1, 5));

  // The primary is gone, and nobody fails over: plain reads are answered, with their age, and the caller's own no-cache
  // is not.
  group["e1"].Kill();
  ASSERT_TRUE(WaitUntil([&] {
    const auto answer = west.Read(1);
    EXPECT_TRUE(answer);
    return answer && answer->source == Source::kReplica && answer->age > milliseconds(1'500) &&
           answer->member->version() == Version(4);
  }));
  const auto preferred = west.Read(1, {.prefer_primary = true});
  ASSERT_TRUE(preferred) << preferred.error().message;
  EXPECT_EQ(preferred->source, Source::kReplica);
  const auto refused = west.Read(1, {.no_cache = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kOverloaded);
  const auto below = west.Read(1, {.prefer_primary = true, .floor = Version(5)});
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().reason, Reason::kStale);
  // It has it in its relay log.
  group["w2"].Execute("START SLAVE SQL_THREAD");
  EXPECT_TRUE(WaitUntil([&] { return west.Read(1, {.prefer_primary = true, .floor = Version(5)}).has_value(); }));
}

// All stood still for a moment, as the machine did: who is asked next does not fail because they are left alone.
TEST(MariadbPlacement, ThoseThatAreLeftAloneAreAskedWhereNobodyElseIsLeft) {
  MariadbGroup group;
  MariadbRunners runners(group, false);
  CenterProcess east(runners, "east");
  CenterProcess west(runners, "west");
  east.MustOpen();
  west.MustOpen();
  ASSERT_TRUE(east.Write(1, 1));
  ASSERT_TRUE(IsAnsweredBy(Source::kReplica, west, {.min_version = Version(1)}));
  group["e1"].Kill();
  for (const char* const name : {"w1", "w2"}) group[name].Stop();
  const auto unanswered = west.Read(1);
  for (const char* const name : {"w1", "w2"}) group[name].Continue();
  ASSERT_FALSE(unanswered);
  EXPECT_EQ(unanswered.error().reason, Reason::kOverloaded);
  const auto answer = west.Read(1);  // within a second of their silence
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->member->version(), Version(1));
}

// Writes are refused at once, and opening waits for a bounded time.
void ExpectThatNothingIsDoneWithoutAPrimary(MariadbGroup& group, MariadbRunners& runners) {
  std::mutex mutex;
  std::vector<GroupPlacement> groups(1);
  groups[0].name = "g0";
  const auto source = [&] {
    std::lock_guard lock(mutex);
    return std::make_shared<const std::vector<GroupPlacement>>(groups);
  };
  CenterProcess hasty(runners, "east");
  hasty.PlaceBy(source);
  hasty.SetOpenTimeout(milliseconds(300));
  const Result<void> opened = hasty.Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(opened.error().message, ::testing::HasSubstr("g0"));

  CenterProcess east(runners, "east");
  east.PlaceBy(source);
  std::thread mover([&] {
    EXPECT_TRUE(WaitUntil([&] { return east.clock().Monotonic() > Instant::min(); }));
    std::lock_guard lock(mutex);
    groups[0].primary = *Endpoint::Parse(group["e1"].tcp_address());
  });
  const Result<void> waited = east.Open();
  mover.join();
  ASSERT_TRUE(waited) << waited.error().message;
  ASSERT_TRUE(WaitUntil([&] { return east.Write(1).has_value(); }));
  {
    std::lock_guard lock(mutex);
    groups[0].primary.reset();
  }
  const Instant asked = east.clock().Monotonic();
  const Result<void> refused = east.Write(2);
  EXPECT_LT(east.clock().Monotonic() - asked, milliseconds(500));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_FALSE(east.store().Health());
  const auto read = east.Read(1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, Reason::kOverloaded);
  // A replica is named as the primary: it takes no writes yet.
  {
    std::lock_guard lock(mutex);
    groups[0].primary = *Endpoint::Parse(group["w1"].tcp_address());
  }
  const Result<void> read_only = east.Write(3);
  ASSERT_FALSE(read_only);
  EXPECT_EQ(read_only.error().reason, Reason::kWritesUnavailable) << read_only.error().message;
  EXPECT_FALSE(east.Read(1, {.no_cache = true})) << "it is not the primary, whatever is said of it";
}

// A server with rows of something else is not taken for the group's.
TEST(MariadbPlacement, WhatIsPlacedIsWhatIsAsked) {
  MariadbGroup group;
  MariadbRunners runners(group, false);
  MariadbServer stranger;
  stranger.Execute("CREATE DATABASE members");
  stranger.Execute("CREATE USER app@'%' IDENTIFIED BY ''");
  stranger.Execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON members.* TO app@'%'");
  const auto place_at = [](MariadbServer& server) {
    std::vector<GroupPlacement> groups(1);
    groups[0].name = "g0";
    groups[0].primary = *Endpoint::Parse(server.tcp_address());
    groups[0].copies = {{.endpoint = *groups[0].primary, .has_all_before = Instant::max()}};
    return std::make_shared<const std::vector<GroupPlacement>>(std::move(groups));
  };
  std::mutex mutex;
  std::shared_ptr<const std::vector<GroupPlacement>> now = place_at(stranger);
  CenterProcess east(runners, "east");
  east.PlaceBy([&] {
    std::lock_guard lock(mutex);
    return now;
  });
  {
    CenterProcess theirs(runners, "east");
    theirs.PlaceBy([&] { return place_at(stranger); });
    theirs.MustOpen();
    ASSERT_TRUE(theirs.Write(1));
  }
  now = place_at(group["e1"]);
  east.MustOpen();
  ASSERT_TRUE(east.Write(2));
  {
    std::lock_guard lock(mutex);
    now = place_at(stranger);
  }
  const Result<void> refused = east.Write(3);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("does not hold the rows of this group"));
  EXPECT_FALSE(east.Read(1)) << "that is somebody else's member 1";
  EXPECT_EQ(stranger.ReadInteger("SELECT COUNT(*) FROM member", "members"), 1);
  {
    std::lock_guard lock(mutex);
    now = place_at(group["e1"]);
  }
  EXPECT_TRUE(east.Write(3));
  ExpectThatNothingIsDoneWithoutAPrimary(group, runners);
}

}  // namespace
}  // namespace muster::mariadb_placement_copies_test
