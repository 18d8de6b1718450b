// The binding protocol on SQLite files, with their threads: what the memory twin cannot show.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "domain/ports/shard_store_testing.h"
#include "store/binding.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"
#include "store/sweeper.h"

namespace muster {
namespace {

// Remembers what the writer erased; holds nothing.
class RecordingCache final : public MemberCache {
 public:
  std::optional<MemberDocumentRef> Find(MemberId) override { return std::nullopt; }
  std::optional<MemberDocumentRef> FindHolder(const IdentityKey&) override { return std::nullopt; }
  void Fill(MemberId, const MemberDocumentRef&, CommitSequence) override {}
  void FillHolder(const IdentityKey&, const MemberDocumentRef&, CommitSequence) override {}
  void Erase(std::span<const MemberId> members, std::span<const IdentityKey> keys) override {
    std::lock_guard lock(mutex_);
    for (const IdentityKey& key : keys) {
      for (const MemberId member : members) erased_together_.emplace(member, key);
    }
  }
  Stats ReadStats() const override { return {}; }

  bool ErasedTogether(MemberId member, const IdentityKey& key) {
    std::lock_guard lock(mutex_);
    return erased_together_.contains({member, key});
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<MemberId, IdentityKey>> erased_together_;
};

template <typename T>
T Wait(Task<T> task) {
  std::promise<T> promise;
  Spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); });
  return promise.get_future().get();
}

class BindingSqliteTest : public ::testing::TestWithParam<int> {
 protected:
  BindingSqliteTest() : harness_({.files = GetParam()}) {
    harness_.cache = &cache_;
    const Result<void> opened = harness_.Open();
    MUSTER_CHECK(opened.has_value());
    writer_ = MakeBindingWriter({.shards = &shards(),
                                 .catalog = &harness_.catalog,
                                 .ids = &ids_,
                                 .clock = &harness_.system_clock,
                                 .timer = timer_.get()});
  }
  ~BindingSqliteTest() override {
    timer_.reset();  // its thread may just have handed something to the store
    harness_.store->Close();
  }

  ShardStore& shards() { return harness_.store->shards(); }
  ShardUpkeep& upkeep() { return harness_.store->shard_upkeep(); }
  Identity IdentityAt(std::uint32_t index) {
    Identity identity;
    identity.kind = "account";
    identity.platform = "app";
    identity.key = contract::KeyIn(shards(), index % static_cast<std::uint32_t>(GetParam()), index);
    identity.value = Pii<std::string>("value");
    return identity;
  }
  MemberId Make() {
    const Result<Member> made = Wait(writer_->Register(Member{}, false, {}));
    EXPECT_TRUE(made);
    return made->id;
  }
  // As a failing disk would: the member is there and cannot be read.
  void Damage(MemberId id) {
    const std::uint32_t file = shards().DatabaseOf(id);
    Result<Database> database =
        Database::Open(harness_.directory.path() + "/muster-" + std::to_string(file) + ".db", Database::Mode::kWrite);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->Execute("UPDATE member SET record = x'00' WHERE id = " + std::to_string(id.value())));
  }
  std::vector<Member> AllMembers() {
    auto members = harness_.store->archive().ScanMembers(MemberId(0), 10'000);
    EXPECT_TRUE(members);
    return *members;
  }
  // No identity is held twice, each one's lookup row names its holder, and versions rose by one a change.
  void Check() {
    std::map<IdentityKey, MemberId> held;
    for (const Member& member : AllMembers()) {
      const auto history = harness_.store->archive().ListHistory(member.id, Version(INT64_MAX), 10'000);
      ASSERT_TRUE(history);
      EXPECT_EQ(history->size(), static_cast<std::size_t>(member.version.value()));
      for (const Identity& identity : member.identities) {
        EXPECT_TRUE(held.emplace(identity.key, member.id).second) << "an identity is held by two members";
        const LookupRow expected{member.id, identity.bound_by};
        EXPECT_TRUE(contract::RunAndWait(shards(), shards().DatabaseOf(identity.key),
                                         [&](ShardTransaction& rows) -> Result<void> {
                                           MUSTER_ASSIGN(const auto row, rows.ReadLookup(identity.key));
                                           EXPECT_EQ(row, expected);
                                           return {};
                                         }));
      }
    }
  }

  RecordingCache cache_;
  std::unique_ptr<ThreadTimer> timer_ = std::make_unique<ThreadTimer>();
  testing::StoreHarness harness_;
  IdAllocator ids_{harness_.system_clock, 1, 0};
  std::unique_ptr<MemberWriter> writer_;
};

TEST_P(BindingSqliteTest, AMemberThatCannotBeReadKeepsNobodyElseFromBeingSwept) {
  const MemberId damaged = Make();
  const MemberId sound = Make();
  std::vector<IdentityKey> dangling;
  for (std::uint32_t i = 0; i < 6; ++i) {
    const IdentityKey key = contract::KeyIn(shards(), 0, 100 + i);
    ASSERT_TRUE(contract::RunAndWait(shards(), 0, [&](ShardTransaction& rows) {
      return rows.WriteLookup(key, LookupRow{i % 3 == 0 ? damaged : sound, OperationId(1)});
    }));
    if (i % 3 != 0) dangling.push_back(key);
  }
  Damage(damaged);
  const Result<SweepProgress> progress = Wait(SweepLookups(shards(), upkeep(), 0, {}, 100));
  ASSERT_TRUE(progress) << progress.error().message;
  EXPECT_EQ(progress->freed, dangling.size());
  EXPECT_EQ(progress->unreadable, 2U);
  const auto left = upkeep().ScanLookups(0, {}, 100);
  ASSERT_TRUE(left);
  EXPECT_EQ(left->size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Files, BindingSqliteTest, ::testing::Values(1, 4));

// A reader may see the reservation of an identity in one file, and that its member does not list it yet in another, and
// remember that nobody holds it. The commit has to take that back.
TEST_P(BindingSqliteTest, TheCommitErasesTheIdentityFromCaches) {
  const MemberId member = Make();
  for (std::uint32_t index = 0; index < 4; ++index) {
    const IdentityKey key = IdentityAt(index).key;
    ASSERT_TRUE(Wait(writer_->Bind(member, IdentityAt(index), {})));
    EXPECT_TRUE(cache_.ErasedTogether(member, key)) << "index " << index;
  }
}

TEST_P(BindingSqliteTest, ManyWritersOverFewIdentitiesKeepThemApart) {
  constexpr int kThreads = 4;
  constexpr std::uint32_t kRounds = 60;
  constexpr std::uint32_t kIdentities = 5;
  std::vector<MemberId> members;
  for (int index = 0; index < 4; ++index) members.push_back(Make());
  std::vector<Identity> identities;
  for (std::uint32_t index = 0; index < kIdentities; ++index) identities.push_back(IdentityAt(index));

  MetricRegistry metrics;
  Sweeper sweeper(shards(), upkeep(), {.period_ms = 1, .pause_ms = 1, .batch = 2}, NullLogger(), metrics);
  sweeper.Start();
  const auto play = [&](int thread) {
    SeededRandom random(static_cast<std::uint64_t>(thread));
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const MemberId member = members[random.Below(members.size())];
      const Identity& identity = identities[random.Below(kIdentities)];
      const Result<Member> result = random.Below(3) == 0 ? Wait(writer_->Unbind(member, identity.key, {}))
                                                         : Wait(writer_->Bind(member, identity, {}));
      if (result) continue;
      const Reason reason = result.error().reason;
      EXPECT_TRUE(reason == Reason::kIdentityTaken || reason == Reason::kIdentityNotFound ||
                  reason == Reason::kOverloaded)
          << result.error().message;
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.emplace_back(play, thread);
  for (std::thread& thread : threads) thread.join();
  sweeper.Stop();
  Check();
}

TEST_P(BindingSqliteTest, ManyRegistrationsOfTheSameIdentityMakeOneMember) {
  constexpr int kThreads = 4;
  const Identity identity = IdentityAt(1);
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Member member;
      member.identities = {IdentityAt(10 + static_cast<std::uint32_t>(thread)), identity};
      const Result<Member> result = Wait(writer_->Register(member, false, {}));
      if (result) made.fetch_add(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made.load(), 1);
  EXPECT_EQ(AllMembers().size(), 1U);
  Check();
}

// People whose requests are sent twice, each with identities in several files.
TEST_P(BindingSqliteTest, OfTwoRegistrationsOfOnePersonOneWins) {
  constexpr int kThreads = 16;
  constexpr std::uint32_t kPeople = 50;
  std::array<std::atomic<int>, kPeople> made{};
  std::barrier together(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (std::uint32_t person = 0; person < kPeople; ++person) {
        Member member;
        for (std::uint32_t index = 0; index < 4; ++index) member.identities.push_back(IdentityAt(4 * person + index));
        together.arrive_and_wait();
        const Result<Member> result = Wait(writer_->Register(member, false, {}));
        if (result) {
          made[person].fetch_add(1);
        } else {
          EXPECT_EQ(result.error().reason, Reason::kIdentityTaken) << result.error().message;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::uint32_t person = 0; person < kPeople; ++person) EXPECT_EQ(made[person].load(), 1) << "person " << person;
  EXPECT_EQ(AllMembers().size(), kPeople);
  Check();
}

// Writers that come, reserve, are refused and go again are no reason to refuse the one that may.
TEST_P(BindingSqliteTest, ACrowdThatIsRefusedKeepsNobodyOut) {
  constexpr int kRefused = 31;
  constexpr std::uint32_t kRounds = 5;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const Identity identity = IdentityAt(1000 + round);
    std::vector<MemberId> members;
    for (int index = 0; index <= kRefused; ++index) members.push_back(Make());
    std::barrier together(kRefused + 1);
    std::atomic<int> bound{0};
    std::vector<std::thread> threads;
    for (int index = 0; index <= kRefused; ++index) {
      threads.emplace_back([&, index] {
        WriteContext context;
        if (index > 0) context.expected_version = Version(7);
        together.arrive_and_wait();
        const Result<Member> result = Wait(writer_->Bind(members[static_cast<std::size_t>(index)], identity, context));
        if (result) {
          EXPECT_EQ(index, 0);
          bound.fetch_add(1);
        } else {
          EXPECT_NE(index, 0) << result.error().message;
          EXPECT_TRUE(result.error().reason == Reason::kVersionMismatch ||
                      result.error().reason == Reason::kIdentityTaken)
              << result.error().message;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(bound.load(), 1);
  }
  Check();
}

}  // namespace
}  // namespace muster
