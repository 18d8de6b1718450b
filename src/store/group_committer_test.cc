// How transactions become groups, and what happens when a group cannot be committed.

#include "store/group_committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "domain/id_allocator.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/testing/arbitrary_member.h"
#include "store/binding.h"
#include "store/data_directory.h"
#include "store/sqlite_test_support.h"

namespace {
std::atomic<bool> g_fail_flush{false};
}  // namespace

// SQLite flushes with this function; here it can be told to fail, as a dying disk does.
extern "C" int fdatasync(int descriptor) {
  if (g_fail_flush.load()) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, descriptor));
}

namespace muster {
namespace {

using testing::MakeIdentity;
using testing::StoreHarness;

constexpr Duration kPatience = std::chrono::seconds(30);

// A file-size limit stands in for a full disk: the kernel refuses to let a file grow.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : before_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit full{.rlim_cur = bytes, .rlim_max = limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &full);
  }
  FullDisk(const FullDisk&) = delete;
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    std::signal(SIGXFSZ, before_);
  }

 private:
  rlimit limit_{};
  void (*before_)(int);
};

// Collects answers of transactions.
class Answers {
 public:
  ShardStore::Done Expect() {
    const std::size_t index = count_++;
    return [this, index](Result<void> result) {
      std::lock_guard lock(mutex_);
      results_.emplace_back(index, std::move(result));
      arrived_.notify_all();
    };
  }
  // In the order in which they were expected.
  std::vector<Result<void>> Wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(arrived_.wait_for(lock, kPatience, [this] { return results_.size() == count_; }));
    std::ranges::sort(results_, {}, [](const auto& entry) { return entry.first; });
    std::vector<Result<void>> results;
    for (const auto& [index, result] : results_) results.push_back(result);
    return results;
  }

 private:
  std::size_t count_ = 0;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::pair<std::size_t, Result<void>>> results_;
};

class GroupCommitterTest : public ::testing::Test {
 protected:
  ShardStore& shards() { return harness_.store->shards(); }
  void Open(SqliteOptions options = {}) {
    harness_.options = options;
    const Result<void> opened = harness_.Open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  std::uint64_t Counted(const std::string& name) {
    const std::string line = "\n" + name + "{file=\"muster-0.db\"} ";
    const std::string text = harness_.metrics->Expose();
    const std::size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + line.size()));
  }
  std::uint64_t groups() { return Counted("muster_store_commit_groups_total"); }

  // Keeps the writer in a transaction until the promise is kept.
  void Occupy(std::shared_future<void> release, Answers& answers) {
    std::promise<void> running;
    shards().Run(
        0,
        [&running, release, first = true](ShardTransaction&) mutable -> Result<void> {
          if (first) running.set_value();
          first = false;
          release.wait();
          return {};
        },
        answers.Expect());
    running.get_future().wait();
  }
  static Result<void> Write(ShardTransaction& transaction, std::int64_t id, std::size_t bytes = 0) {
    Member member = contract::PlainMember(MemberId(id));
    member.attributes["filler"] = std::string(bytes, 'f');
    member.identities.push_back(MakeIdentity(static_cast<std::uint64_t>(id)));
    MUSTER_TRY(transaction.WriteMember(member, contract::ChangeOf(member, ChangeType::kRegistered)));
    return transaction.WriteLookup(member.identities[0].key, LookupRow{member.id, OperationId(id)});
  }
  Result<void> WriteAndWait(std::int64_t id, std::size_t bytes = 0) {
    return contract::RunAndWait(shards(), 0,
                                [&](ShardTransaction& transaction) { return Write(transaction, id, bytes); });
  }
  std::optional<Member> Read(std::int64_t id) {
    const auto page = harness_.store->archive().ScanMembers(MemberId(id - 1), 1);
    EXPECT_TRUE(page);
    if (!page || page->empty() || page->front().id != MemberId(id)) return std::nullopt;
    return page->front();
  }

  StoreHarness harness_;
};

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
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) EXPECT_TRUE(WriteAndWait(next_id.fetch_add(1)));
    });
  }
  for (std::thread& client : clients) client.join();
  const double group_size = static_cast<double>(kClients * kRounds) / static_cast<double>(groups());
  EXPECT_GT(group_size, kClients / 4.0) << groups() << " groups";
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

TEST_F(GroupCommitterTest, AFullDiskRefusesWritesServesReadsAndHeals) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  ASSERT_TRUE(harness_.store->Health());
  {
    const FullDisk full(64 << 10);
    // More than the log may grow by.
    const Result<void> refused = WriteAndWait(2, 200 << 10);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
    EXPECT_THAT(refused.error().message, ::testing::HasSubstr("space"));
    EXPECT_FALSE(harness_.store->Health());
    EXPECT_TRUE(Read(1)) << "reads go on";
    EXPECT_FALSE(Read(2));
    for (std::int64_t id = 3; id < 13; ++id) EXPECT_FALSE(WriteAndWait(id, 200 << 10));
  }
  EXPECT_TRUE(WriteAndWait(2, 200 << 10)) << "by itself";
  EXPECT_TRUE(harness_.store->Health());
  EXPECT_EQ(harness_.store->CountMembers(), 2);
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(harness_.store->CountMembers(), 2);
  EXPECT_TRUE(Read(1) && Read(2));
}

// A load balancer that takes an unready server out sends it no writes: asking must be enough.
TEST_F(GroupCommitterTest, AskingForItsHealthIsEnoughToHeal) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  {
    const FullDisk full(64 << 10);
    ASSERT_FALSE(WriteAndWait(2, 200 << 10));
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!harness_.store->Health()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

TEST_F(GroupCommitterTest, AGroupThatMeetsAFullDiskFailsWhole) {
  Open();
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::int64_t id = 1; id <= 20; ++id) {
    shards().Run(0, [id](ShardTransaction& transaction) { return Write(transaction, id, 60'000); }, answers.Expect());
  }
  {
    const FullDisk full(256 << 10);
    release.set_value();
    const std::vector<Result<void>> results = answers.Wait();
    for (std::size_t index = 1; index < results.size(); ++index) {
      ASSERT_FALSE(results[index]) << index;
      EXPECT_EQ(results[index].error().reason, Reason::kWritesUnavailable);
    }
  }
  EXPECT_EQ(harness_.store->CountMembers(), 0);
  EXPECT_EQ(harness_.store->archive().ScanMembers(MemberId(0), 100)->size(), 0U);
}

// A refusal that rests on what others of the group wrote is worth nothing when the group cannot be committed.
TEST_F(GroupCommitterTest, NobodyLosesAnIdentityToAGroupThatFailed) {
  Open();
  IdAllocator ids(harness_.system_clock, 0, 0);
  const auto writer = MakeBindingWriter(
      {.shards = &shards(), .catalog = &harness_.catalog, .ids = &ids, .clock = &harness_.system_clock});
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  Member member;
  member.identities.push_back(MakeIdentity(1));
  for (int i = 0; i < 2; ++i) {
    Spawn(writer->Register(member, false, {}), [done = answers.Expect()](const Result<Member>& result) mutable {
      done(result ? Result<void>() : std::unexpected(result.error()));
    });
  }
  shards().Run(0, [](ShardTransaction& transaction) { return Write(transaction, 9, 200 << 10); }, answers.Expect());
  {
    const FullDisk full(64 << 10);
    release.set_value();
    const std::vector<Result<void>> results = answers.Wait();
    for (std::size_t index = 1; index < results.size(); ++index) {
      ASSERT_FALSE(results[index]);
      EXPECT_EQ(results[index].error().reason, Reason::kWritesUnavailable) << results[index].error().message;
    }
  }
}

// What a failed flush left on the disk nobody knows: it must be neither success nor "nothing was written".
TEST_F(GroupCommitterTest, AFailedFlushIsAnUnknownOutcome) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  g_fail_flush.store(true);
  const Result<void> result = WriteAndWait(2);
  g_fail_flush.store(false);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kOutcomeUnknown);
  EXPECT_FALSE(harness_.store->Health());
  EXPECT_TRUE(WriteAndWait(3));
  EXPECT_TRUE(harness_.store->Health());
  EXPECT_FALSE(Read(2)) << "for this process it did not happen";
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(harness_.store->CountMembers(), 2);
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

TEST_F(GroupCommitterTest, AFailedCommitLeavesNoMarkInTheFloor) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  {
    const FullDisk full(64 << 10);
    ASSERT_FALSE(WriteAndWait(2, 30 << 10) && WriteAndWait(3, 30 << 10) && WriteAndWait(4, 30 << 10));
  }
  for (std::int64_t id = 2; id <= 4; ++id) EXPECT_TRUE(harness_.floor.Allows(MemberId(id), harness_.floor.Now()));
}

}  // namespace
}  // namespace muster
