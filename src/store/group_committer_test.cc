// How transactions become groups, and what a commit does around itself.

#include "store/group_committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/recording_logger.h"
#include "store/data_directory.h"
#include "store/group_committer_fixture.h"
#include "store/sqlite_database.h"

namespace muster {
namespace {

using testing::Answers;
using testing::MakeIdentity;

class GroupCommitterTest : public testing::GroupCommitterFixture {};

TEST_F(GroupCommitterTest, WhatIsQueuedTogetherIsCommittedTogether) {
  Open();
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::int64_t id = 1; id <= 100; ++id) {
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id); }, answers.Expect());
  }
  const std::uint64_t before = groups();
  release.set_value();
  for (const Result<void>& result : answers.Wait()) EXPECT_TRUE(result);
  EXPECT_LE(groups() - before, 2U) << "the occupied one, and one for all that waited";
  EXPECT_EQ(harness_.store->CountMembers(), 100);
}

TEST_F(GroupCommitterTest, AGroupThatTakesLongIsTold) {
  ManualClock clock;
  testing::RecordingLogger logger;
  harness_.clock = &clock;
  harness_.logger = &logger;
  Open();
  const auto write_for = [&](std::int64_t id, Duration time) {
    return contract::RunAndWait(shards(), 0, [&](ShardTransaction& transaction) {
      clock.Advance(time);
      return Write(transaction, id);
    });
  };
  ASSERT_TRUE(write_for(1, std::chrono::milliseconds(999)));
  ASSERT_TRUE(write_for(2, std::chrono::milliseconds(1000)));
  harness_.store->Close();  // ends the thread that logs
  ASSERT_EQ(logger.lines.size(), 1U);
  EXPECT_EQ(logger.lines[0],
            std::pair(LogLevel::kWarning,
                      std::string("a group of writes took long; is the disk busy? file=muster-0.db transactions=1 "
                                  "milliseconds=1000")));
}

TEST_F(GroupCommitterTest, AGroupHasABound) {
  Open({.group_commit_max = 10});
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::int64_t id = 1; id <= 100; ++id) {
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id); }, answers.Expect());
  }
  release.set_value();
  for (const Result<void>& result : answers.Wait()) EXPECT_TRUE(result);
  EXPECT_GE(groups(), 10U);
}

// Each client sends its next transaction when the last is answered. The first to come back must not be committed alone
// while the others are still on their way.
TEST_F(GroupCommitterTest, ClientsInLockStepShareGroups) {
  constexpr int kClients = 64;
  constexpr int kRounds = 20;
  Open();
  std::atomic<std::int64_t> next_id{1};
  // The best of some tries: where other programs take the processors, clients come back one by one.
  double group_size = 0;
  for (int attempt = 0; attempt < 5 && group_size <= kClients / 4.0; ++attempt) {
    const auto before = groups();
    std::vector<std::thread> clients;
    for (int client = 0; client < kClients; ++client) {
      clients.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) EXPECT_TRUE(WriteAndWait(next_id.fetch_add(1)));
      });
    }
    for (std::thread& client : clients) client.join();
    group_size = static_cast<double>(kClients * kRounds) / static_cast<double>(groups() - before);
  }
  EXPECT_GT(group_size, kClients / 4.0);
}

// The first group's answer does not end until it is let go. Two further groups wait for it, one is answered by the
// writer, and all are committed.
TEST_F(GroupCommitterTest, ACallerThatTakesLongToHearItsAnswerHoldsUpNoWrite) {
  Open({.group_commit_max = 2});
  std::promise<void> hearing, let_go;
  std::shared_future<void> until = let_go.get_future().share();
  Answers slow, behind, last;
  const auto commit_pair = [&](std::int64_t id, ShardStore::Done first, ShardStore::Done second) {
    Answers occupied;
    std::promise<void> release;
    Occupy(release.get_future().share(), occupied);
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id); }, std::move(first));
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id + 1); }, std::move(second));
    release.set_value();
    occupied.Wait();
  };
  commit_pair(
      1,
      [&, done = slow.Expect()](const Result<void>& result) mutable {
        hearing.set_value();
        until.wait();
        done(result);
      },
      slow.Expect());
  hearing.get_future().wait();
  std::atomic<int> heard{0};
  const auto count = [&](ShardStore::Done done) {
    return [&, done = std::move(done)](const Result<void>& result) mutable {
      ++heard;
      done(result);
    };
  };
  commit_pair(3, count(behind.Expect()), count(behind.Expect()));
  commit_pair(5, count(behind.Expect()), count(behind.Expect()));
  commit_pair(7, last.Expect(), last.Expect());
  for (const Result<void>& result : last.Wait()) EXPECT_TRUE(result);
  EXPECT_EQ(heard, 0);
  EXPECT_EQ(harness_.store->CountMembers(), 8);
  let_go.set_value();
  for (Answers* answers : {&slow, &behind}) {
    for (const Result<void>& result : answers->Wait()) EXPECT_TRUE(result);
  }
  EXPECT_EQ(heard, 4);
}

TEST_F(GroupCommitterTest, AFullQueueRefusesAtOnce) {
  Open({.queue_max = 5});
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::int64_t id = 1; id <= 8; ++id) {
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id); }, answers.Expect());
  }
  release.set_value();
  const std::vector<Result<void>> results = answers.Wait();
  for (std::size_t index = 0; index < results.size(); ++index) {
    if (index <= 5) {
      EXPECT_TRUE(results[index]) << index;
    } else {
      ASSERT_FALSE(results[index]) << index;
      EXPECT_EQ(results[index].error().reason, Reason::kOverloaded);
      EXPECT_GT(results[index].error().retry_after_ms, 0);
    }
  }
  EXPECT_EQ(harness_.store->CountMembers(), 5);
}

TEST_F(GroupCommitterTest, ARefusalThatWroteNothingCostsTheGroupNothing) {
  Open();
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::int64_t id = 1; id <= 20; ++id) {
    shards().Run(
        0,
        [id](ShardTransaction& transaction) -> Result<void> {
          if (id % 2 == 0) return Fail(contract::Refusal());
          return Write(transaction, id);
        },
        answers.Expect());
  }
  release.set_value();
  answers.Wait();
  EXPECT_EQ(Counted("muster_store_group_reruns_total"), 0U);
  EXPECT_EQ(harness_.store->CountMembers(), 10);
}

TEST_F(GroupCommitterTest, AVerbThatFailedIsNotCommittedEvenIfTheTransactionSaysSo) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  const Result<void> result = contract::RunAndWait(shards(), 0, [](ShardTransaction& transaction) -> Result<void> {
    // The history has version 1 of member 1 already.
    EXPECT_FALSE(Write(transaction, 1, 100));
    return {};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kInternal);
  EXPECT_EQ(Read(1)->attributes["filler"], "");
}

TEST_F(GroupCommitterTest, ClosingFinishesWhatIsQueuedAndRefusesTheRest) {
  Open();
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::int64_t id = 1; id <= 20; ++id) {
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id); }, answers.Expect());
  }
  std::thread closer([&] { harness_.store->Close(); });
  release.set_value();
  closer.join();
  for (const Result<void>& result : answers.Wait()) EXPECT_TRUE(result);
  const Result<void> late = WriteAndWait(99);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, Reason::kWritesUnavailable);
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(harness_.store->CountMembers(), 20);
}

TEST_F(GroupCommitterTest, TheLogIsBounded) {
  Open({.durable = false});
  const std::string log = DataFilePath(harness_.directory.path(), 0) + "-wal";
  constexpr std::size_t kBytes = 1 << 20;
  constexpr std::uintmax_t kSlack = 4 << 20;  // the group that passed the bound, and the log's own headers
  std::uintmax_t longest = 0;
  for (std::int64_t id = 1; id <= 60; ++id) {
    ASSERT_TRUE(WriteAndWait(id, kBytes));
    longest = std::max(longest, std::filesystem::file_size(log));
  }
  EXPECT_GT(longest, std::uintmax_t{8} << 20) << "it was used";
  EXPECT_LT(longest, static_cast<std::uintmax_t>(kWalPagesMax * kPageBytes) + kSlack);
}

TEST_F(GroupCommitterTest, AReaderInTheWayOfTheCheckpointOnlyDelaysIt) {
  Open({.durable = false});
  ASSERT_TRUE(WriteAndWait(1));
  Database reader = *Database::Open(DataFilePath(harness_.directory.path(), 0), Database::Mode::kRead);
  Statement scan = *reader.Prepare("SELECT id FROM member");
  ASSERT_TRUE(scan.Step());
  for (std::int64_t id = 2; id <= 40; ++id) ASSERT_TRUE(WriteAndWait(id, 1 << 20));
  scan.Reset();
  for (std::int64_t id = 41; id <= 80; ++id) ASSERT_TRUE(WriteAndWait(id, 1 << 20));
  harness_.store->Close();
  EXPECT_EQ(std::filesystem::file_size(DataFilePath(harness_.directory.path(), 0) + "-wal"), 0U);
}

// What the cache is told, and when: between the floor's Begin and End, before the commit is visible.
class ProbingCache final : public MemberCache {
 public:
  explicit ProbingCache(const CommitFloor& floor) : floor_(floor) {}
  std::optional<MemberDocumentRef> Find(MemberId) override { return std::nullopt; }
  std::optional<MemberDocumentRef> FindHolder(const IdentityKey&) override { return std::nullopt; }
  void Fill(MemberId, const MemberDocumentRef&, CommitSequence) override {}
  void FillHolder(const IdentityKey&, const MemberDocumentRef&, CommitSequence) override {}
  void Erase(std::span<const MemberId> erased_members, std::span<const IdentityKey> erased_keys) override {
    for (const MemberId id : erased_members) under_way = under_way && !floor_.Allows(id, floor_.Now());
    for (const IdentityKey& key : erased_keys) under_way = under_way && !floor_.Allows(key, floor_.Now());
    if (on_erase && !erased_members.empty()) on_erase();
    members.insert(members.end(), erased_members.begin(), erased_members.end());
    keys.insert(keys.end(), erased_keys.begin(), erased_keys.end());
  }
  Stats ReadStats() const override { return {}; }

  bool under_way = true;
  std::function<void()> on_erase;
  std::vector<MemberId> members;
  std::vector<IdentityKey> keys;

 private:
  const CommitFloor& floor_;
};

TEST_F(GroupCommitterTest, CachesForgetExactlyWhatIsWrittenBeforeItIsVisible) {
  ProbingCache cache(harness_.floor);
  harness_.cache = &cache;
  Open();
  bool was_visible = true;
  cache.on_erase = [&] { was_visible = Read(5).has_value(); };
  const IdentityKey key = MakeIdentity(5).key;
  const CommitSequence before = harness_.floor.Now();
  ASSERT_TRUE(WriteAndWait(5));
  EXPECT_FALSE(was_visible);
  EXPECT_TRUE(cache.under_way);
  EXPECT_THAT(cache.members, ::testing::ElementsAre(MemberId(5)));
  EXPECT_THAT(cache.keys, ::testing::Each(key));
  EXPECT_FALSE(cache.keys.empty());
  EXPECT_FALSE(harness_.floor.Allows(MemberId(5), before)) << "a fill from before the commit";
  EXPECT_TRUE(harness_.floor.Allows(MemberId(5), harness_.floor.Now())) << "a fill from after it";

  cache.members.clear();
  cache.keys.clear();
  ASSERT_TRUE(contract::RunAndWait(shards(), 0, [&](ShardTransaction& transaction) -> Result<void> {
    MUSTER_TRY(transaction.ReadMember(MemberId(5)));
    MUSTER_TRY(transaction.ReadLookup(key));
    return {};
  }));
  EXPECT_TRUE(cache.members.empty() && cache.keys.empty()) << "reading touches nothing";
  ASSERT_TRUE(contract::RunAndWait(
      shards(), 0, [&](ShardTransaction& transaction) { return transaction.WriteLookup(key, std::nullopt); }));
  EXPECT_THAT(cache.keys, ::testing::ElementsAre(key));
  harness_.store.reset();
}

}  // namespace
}  // namespace muster
