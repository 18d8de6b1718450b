#include "domain/commit_floor.h"

#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"

namespace muster {
namespace {

constexpr std::array kMembers = {MemberId(1)};
const std::array kKeys = {IdentityKey{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}};

TEST(CommitFloorTest, AllowsEverythingBeforeTheFirstCommit) {
  const CommitFloor floor;
  EXPECT_EQ(floor.Now(), CommitSequence(0));
  EXPECT_TRUE(floor.Allows(kMembers[0], floor.Now()));
  EXPECT_TRUE(floor.Allows(kKeys[0], floor.Now()));
}

TEST(CommitFloorTest, RefusesWhileACommitIsUnderWay) {
  CommitFloor floor;
  floor.Begin(kMembers, kKeys);
  EXPECT_FALSE(floor.Allows(kMembers[0], floor.Now()));
  EXPECT_FALSE(floor.Allows(kKeys[0], floor.Now()));
  EXPECT_TRUE(floor.Allows(MemberId(2), floor.Now())) << "another slot";
}

TEST(CommitFloorTest, RefusesWhatWasReadBeforeACommitAndAllowsWhatWasReadAfterIt) {
  CommitFloor floor;
  const CommitSequence before = floor.Now();
  floor.Begin(kMembers, kKeys);
  const CommitSequence during = floor.Now();
  floor.End(kMembers, kKeys);
  const CommitSequence after = floor.Now();
  for (const CommitSequence stale : {before, during}) {
    EXPECT_FALSE(floor.Allows(kMembers[0], stale));
    EXPECT_FALSE(floor.Allows(kKeys[0], stale));
  }
  EXPECT_GT(after, before);
  EXPECT_TRUE(floor.Allows(kMembers[0], after));
  EXPECT_TRUE(floor.Allows(kKeys[0], after));
  EXPECT_TRUE(floor.Allows(MemberId(2), before)) << "nobody touched it";
}

TEST(CommitFloorTest, EveryWriterOfASlotHasToEnd) {
  CommitFloor floor;
  constexpr int kWriters = 1000;
  for (int i = 0; i < kWriters; ++i) floor.Begin(kMembers, {});
  for (int i = 0; i < kWriters; ++i) {
    EXPECT_FALSE(floor.Allows(kMembers[0], floor.Now()));
    floor.End(kMembers, {});
  }
  EXPECT_TRUE(floor.Allows(kMembers[0], floor.Now()));
}

TEST(CommitFloorTest, TheLastEndCountsWhateverTheOrder) {
  CommitFloor floor;
  floor.Begin(kMembers, {});
  floor.Begin(kMembers, {});
  floor.End(kMembers, {});
  const CommitSequence between = floor.Now();
  floor.End(kMembers, {});
  EXPECT_FALSE(floor.Allows(kMembers[0], between));
}

TEST(CommitFloorTest, ACallMayNameOneSlotTwice) {
  CommitFloor floor;
  constexpr std::array kTwice = {MemberId(1), MemberId(1)};
  floor.Begin(kTwice, {});
  EXPECT_FALSE(floor.Allows(kMembers[0], floor.Now()));
  floor.End(kTwice, {});
  EXPECT_TRUE(floor.Allows(kMembers[0], floor.Now()));
}

TEST(CommitFloorDeathTest, AnEndWithoutABeginIsAMistakeOfOurs) {
  EXPECT_DEATH(
      {
        CommitFloor floor;
        floor.End(kMembers, {});
      },
      "check failed");
}

// The header's protocol on a toy store (versions under a lock) and a toy cache (one entry a member under a lock):
// nothing that is in the cache after a commit was acknowledged may be older than it.
class Model {
 public:
  static constexpr std::size_t kMemberCount = 4;

  void Write(std::size_t member) {
    const std::array ids = {IdOf(member)};
    floor_.Begin(ids, {});
    {
      std::lock_guard lock(cache_mutex_);
      cached_[member] = 0;
    }
    std::int64_t version = 0;
    {
      std::lock_guard lock(store_mutex_);
      version = ++stored_[member];
    }
    floor_.End(ids, {});
    acknowledged_[member].store(version);
  }

  // False: the answer was older than what had been acknowledged when the read began.
  bool Read(std::size_t member) {
    const std::int64_t at_least = acknowledged_[member].load();
    {
      std::lock_guard lock(cache_mutex_);
      if (cached_[member] != 0) return cached_[member] >= at_least;
    }
    const CommitSequence as_of = floor_.Now();
    std::int64_t version = 0;
    {
      std::lock_guard lock(store_mutex_);
      version = stored_[member];
    }
    std::lock_guard lock(cache_mutex_);
    if (floor_.Allows(IdOf(member), as_of) && version != 0) {
      cached_[member] = version;
      ++fills_;
    }
    return version >= at_least;
  }

  bool CacheIsExact() {
    for (std::size_t member = 0; member < kMemberCount; ++member) {
      if (cached_[member] != 0 && cached_[member] != stored_[member]) return false;
    }
    return true;
  }
  int fills() const { return fills_; }

 private:
  static MemberId IdOf(std::size_t member) { return MemberId(static_cast<std::int64_t>(member) + 1); }

  CommitFloor floor_;
  std::mutex store_mutex_;
  std::array<std::int64_t, kMemberCount> stored_ = {};
  std::mutex cache_mutex_;
  std::array<std::int64_t, kMemberCount> cached_ = {};  // 0: not known
  int fills_ = 0;
  std::array<std::atomic<std::int64_t>, kMemberCount> acknowledged_ = {};
};

TEST(CommitFloorModelTest, ACacheUnderThreadsIsNeverStale) {
  constexpr int kRounds = 20'000;
  Model model;
  std::atomic<int> stale = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      SeededRandom random(thread);
      for (int i = 0; i < kRounds; ++i) {
        const auto member = static_cast<std::size_t>(random.Below(Model::kMemberCount));
        if (thread < 2 && random.Below(8) == 0) {
          model.Write(member);
        } else if (!model.Read(member)) {
          ++stale;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stale, 0);
  EXPECT_TRUE(model.CacheIsExact());
  EXPECT_GT(model.fills(), 100) << "a floor that refuses everything would pass the rest";
}

}  // namespace
}  // namespace muster
