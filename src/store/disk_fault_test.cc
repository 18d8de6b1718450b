// What happens when the disk is full or fails.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "domain/id_allocator.h"
#include "store/binding.h"
#include "store/group_committer.h"
#include "store/group_committer_fixture.h"

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

using testing::Answers;
using testing::kAnswerPatience;
using testing::MakeIdentity;

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

class DiskFaultTest : public testing::GroupCommitterFixture {};

TEST_F(DiskFaultTest, AFullDiskRefusesWritesServesReadsAndHeals) {
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

// The sweeper asks for old outcomes to be forgotten, and mostly there are none.
TEST_F(DiskFaultTest, ACommitOfNothingSaysNothingOfTheDisk) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  const FullDisk full(64 << 10);
  ASSERT_FALSE(WriteAndWait(2, 200 << 10));
  Answers answers;
  std::promise<Result<std::uint64_t>> forgotten;
  upkeep().ForgetOperations(0, Timestamp(),
                            [&](Result<std::uint64_t> count) { forgotten.set_value(std::move(count)); });
  ASSERT_EQ(forgotten.get_future().get(), 0U);
  EXPECT_FALSE(harness_.store->Health());
}

// A load balancer that takes an unready server out sends it no writes: asking must be enough.
TEST_F(DiskFaultTest, AskingForItsHealthIsEnoughToHeal) {
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  {
    const FullDisk full(64 << 10);
    ASSERT_FALSE(WriteAndWait(2, 200 << 10));
  }
  const auto deadline = std::chrono::steady_clock::now() + kAnswerPatience;
  while (!harness_.store->Health()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

// Nor does an idle server find out by itself that its disk is full.
TEST_F(DiskFaultTest, AskingForItsHealthIsEnoughToNotice) {
  ManualClock clock;
  harness_.clock = &clock;
  Open();
  ASSERT_TRUE(WriteAndWait(1));
  const auto deadline = std::chrono::steady_clock::now() + kAnswerPatience;
  {
    const FullDisk full(0);
    EXPECT_TRUE(harness_.store->Health());
    EXPECT_TRUE(harness_.store->Health()) << "a commit is not a second old";
    clock.Advance(kProbeEvery);
    while (harness_.store->Health()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }
  while (!harness_.store->Health()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  harness_.store.reset();
}

TEST_F(DiskFaultTest, AGroupThatMeetsAFullDiskFailsWhole) {
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
TEST_F(DiskFaultTest, NobodyLosesAnIdentityToAGroupThatFailed) {
  Open();
  IdAllocator ids(harness_.system_clock, 0, 0);
  ThreadTimer timer;
  const auto writer = MakeBindingWriter({.shards = &shards(),
                                         .catalog = &harness_.catalog,
                                         .ids = &ids,
                                         .clock = &harness_.system_clock,
                                         .timer = &timer});
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

// A verb that only reads meets a full disk too, when it needs the room of a page that has been changed. SQLite then
// rolls the transaction back by itself, and whoever came next would commit row by row.
TEST_F(DiskFaultTest, AFullDiskMetByAReadFailsTheGroupWhole) {
  constexpr std::uint64_t kKnown = 60'000;
  constexpr std::uint64_t kWriters = 1'000;
  const auto put = [](ShardTransaction& transaction, std::uint64_t number) {
    return transaction.WriteLookup(MakeIdentity(number).key, LookupRow{MemberId(1), OperationId(1)});
  };
  Open({.writer_cache_bytes = 1 << 20});
  ASSERT_TRUE(contract::RunAndWait(shards(), 0, [&](ShardTransaction& transaction) -> Result<void> {
    for (std::uint64_t number = 0; number < kKnown; ++number) MUSTER_TRY(put(transaction, number));
    return {};
  }));
  ASSERT_TRUE(harness_.Open());
  Answers answers;
  std::promise<void> release;
  Occupy(release.get_future().share(), answers);
  for (std::uint64_t i = 0; i < kWriters; ++i) {
    shards().Run(
        0,
        [&put, i](ShardTransaction& transaction) -> Result<void> {
          MUSTER_TRY(transaction.ReadLookup(MakeIdentity(i * 59 % kKnown).key));
          return put(transaction, kKnown + i);
        },
        answers.Expect());
  }
  {
    const FullDisk full(64 << 10);
    release.set_value();
    const std::vector<Result<void>> results = answers.Wait();
    for (std::size_t index = 1; index < results.size(); ++index) {
      ASSERT_FALSE(results[index]) << index;
      EXPECT_EQ(results[index].error().reason, Reason::kWritesUnavailable) << results[index].error().message;
    }
  }
  EXPECT_TRUE(WriteAndWait(1)) << "by itself";
  const auto rows = upkeep().ScanLookups(0, {}, 2 * kKnown);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), kKnown) << "rows of a group that failed were committed";
}

// What a failed flush left on the disk nobody knows: it must be neither success nor "nothing was written".
TEST_F(DiskFaultTest, AFailedFlushIsAnUnknownOutcome) {
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

TEST_F(DiskFaultTest, AFailedCommitLeavesNoMarkInTheFloor) {
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
