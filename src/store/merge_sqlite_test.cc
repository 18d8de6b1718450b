#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "domain/ports/shard_store_testing.h"
#include "domain/testing/plain_member_cache.h"
#include "store/binding.h"
#include "store/doctor.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"
#include "store/sweeper.h"

// Merging on SQLite files, ended at every step: what readers, caches, exports and the doctor make of what is left.

namespace muster::merge_sqlite_test {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int kFiles = 4;
constexpr std::size_t kSteps = 8;  // merge_fault_test.cc names them
constexpr std::size_t kTake = 3;

template <typename T>
T Wait(Task<T> task) {
  std::promise<T> promise;
  Spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); });
  return promise.get_future().get();
}

// Passes everything on, until a moment from which nothing gets through.
class EndingShardStore final : public ShardStore {
 public:
  explicit EndingShardStore(ShardStore& inner) : inner_(inner) {}
  void EndAfter(std::size_t runs) {
    std::lock_guard lock(mutex_);
    left_ = runs;
  }

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override { return inner_.DatabaseOf(shard); }
  Timestamp Now(std::uint32_t database) const override { return inner_.Now(database); }
  OperationsUnderWay* under_way() override { return inner_.under_way(); }
  void Run(std::uint32_t database, Transaction transaction, Done done) override {
    if (!Take()) return done(Fail(Reason::kWritesUnavailable, "the end"));
    inner_.Run(database, std::move(transaction), std::move(done));
  }

 private:
  bool Take() {
    std::lock_guard lock(mutex_);
    if (left_ == 0) return false;
    --left_;
    return true;
  }

  ShardStore& inner_;
  std::mutex mutex_;
  std::size_t left_ = std::numeric_limits<std::size_t>::max();
};

// A source in one file, its survivor in another, and what the source holds in two more.
class MergeFilesTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  MergeFilesTest() : cache_(harness_.floor) {
    harness_.options.files = kFiles;
    harness_.options.durable = false;
    harness_.cache = &cache_;
    Open();
    source_ = Make(1, {2, 3});
    survivor_ = Make(0, {});
  }
  ~MergeFilesTest() override { Close(); }

  void Open() {
    MUSTER_CHECK(harness_.Open().has_value());
    shards_ = std::make_unique<EndingShardStore>(harness_.store->shards());
    reader_ = *harness_.store->MakeReader(loop_);
    const BindingDependencies binding{.shards = shards_.get(),
                                      .catalog = &harness_.catalog,
                                      .ids = &ids_,
                                      .clock = &harness_.system_clock,
                                      .timer = &timer_};
    writer_ = MakeBindingWriter(binding);
    merger_ = MakeBindingMerger(binding);
  }
  void Close() {
    merger_.reset();
    writer_.reset();
    reader_.reset();
    if (harness_.store) harness_.store->Close();
    harness_.store.reset();
  }

  Member Make(std::uint32_t file, const std::vector<std::uint32_t>& key_files) {
    Member member;
    member.id = contract::MemberIn(*shards_, file, 0);
    KeyedHash hash(harness_.keyring.hash_key());
    for (const std::uint32_t key_file : key_files) {
      Identity identity;
      identity.kind = "account";
      identity.platform = "app";
      for (int number = 0; identity.value.empty() || shards_->DatabaseOf(identity.key) != key_file; ++number) {
        identity.value = Pii<std::string>("value-" + std::to_string(number));
        identity.key = hash.KeyOf(identity.kind, identity.platform, identity.value.Reveal());
      }
      member.identities.push_back(identity);
    }
    Result<Member> made = Wait(writer_->Register(std::move(member), true, {.caller = "test", .request_id = "request"}));
    MUSTER_CHECK(made.has_value());
    return *std::move(made);
  }
  Result<Member> Merge() {
    return Wait(merger_->Merge(survivor_.id, source_.id, false, {.caller = "test", .request_id = "request"}));
  }

  // Reads through the cache, as the near cache does.
  MemberDocumentRef Get(MemberId id) {
    if (const std::optional<MemberDocumentRef> cached = cache_.Find(id)) return *cached;
    std::optional<MemberAnswer> answer;
    reader_->Get(id, {.deadline = Deadline()}, [&](Result<MemberAnswer> read) { answer = *std::move(read); });
    while (!answer) loop_.RunTurn();
    cache_.Fill(id, answer->member, answer->as_of);
    return answer->member;
  }
  std::optional<MemberId> Holder(const IdentityKey& key) {
    std::optional<MemberAnswer> answer;
    reader_->Resolve(key, {.deadline = Deadline()}, [&](Result<MemberAnswer> read) { answer = *std::move(read); });
    while (!answer) loop_.RunTurn();
    if (!answer->member) return std::nullopt;
    return answer->member->id();
  }

  // Whether it is merged; readers, caches and exports agree.
  bool IsMerged() {
    const std::string source(Get(source_.id)->json());
    const bool merged = source.find("\"MERGED\"") != std::string::npos;
    const MemberId holder = merged ? survivor_.id : source_.id;
    for (const Identity& identity : source_.identities) {
      EXPECT_EQ(Holder(identity.key), holder);
      EXPECT_TRUE(Get(holder)->Holds(identity.key));
    }
    for (const std::vector<Member>& members : {*harness_.store->archive().ScanMembers(MemberId(0), 10),
                                               *harness_.store->archive().ReadMembers({{source_.id, survivor_.id}})}) {
      EXPECT_EQ(members.size(), 2U);
      for (const Member& member : members) EXPECT_EQ(member.identities.size(), member.id == holder ? 2U : 0U);
    }
    return merged;
  }
  std::vector<std::string> Findings() {
    std::vector<std::string> codes;
    const Result<Examination> examination = ExamineStore(harness_.directory.path(), harness_.keyring, nullptr);
    EXPECT_TRUE(examination);
    for (const Finding& finding : examination->findings) codes.push_back(finding.code);
    EXPECT_EQ(examination->damage_total, 0U) << ::testing::PrintToString(codes);
    return codes;
  }
  void Sql(MemberId id, const std::string& sql) {
    const std::string path =
        harness_.directory.path() + "/muster-" + std::to_string(ShardOf(id).value() % kFiles) + ".db";
    Database database = *Database::Open(path, Database::Mode::kWrite);
    ASSERT_TRUE(database.Execute(sql));
  }

  testing::StoreHarness harness_;
  testing::PlainMemberCache cache_;
  testing::TurnLoop loop_;
  IdAllocator ids_{harness_.system_clock, 1, 0};
  ThreadTimer timer_;
  std::unique_ptr<EndingShardStore> shards_;
  std::unique_ptr<MemberReader> reader_;
  std::unique_ptr<MemberWriter> writer_;
  std::unique_ptr<MemberMerger> merger_;
  Member source_;
  Member survivor_;
};

INSTANTIATE_TEST_SUITE_P(EveryStep, MergeFilesTest, ::testing::Range(std::size_t{0}, kSteps + 1));

TEST_P(MergeFilesTest, WhatIsLeftReadsRightAndIsSettledAfterARestart) {
  ASSERT_FALSE(IsMerged());
  shards_->EndAfter(GetParam());
  const Result<Member> merged = Merge();
  EXPECT_EQ(merged.has_value(), GetParam() > kTake);
  EXPECT_EQ(IsMerged(), GetParam() > kTake);
  Close();
  const bool is_whole = GetParam() == kSteps || GetParam() < kTake;
  EXPECT_THAT(Findings(), is_whole ? IsEmpty() : ::testing::Matcher<std::vector<std::string>>(Each("MOVE_UNFINISHED")));

  Open();
  EXPECT_EQ(IsMerged(), GetParam() > kTake);
  // The writer knows that the process has ended: nobody waits.
  const Result<Member> again = Merge();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(IsMerged());
  for (std::uint32_t file = 0; file < kFiles; ++file) {
    EXPECT_TRUE(Wait(SweepMoves(*shards_, harness_.store->shard_upkeep(), file, MemberId(0), 10)));
  }
  EXPECT_TRUE(IsMerged());
  Close();
  EXPECT_THAT(Findings(), IsEmpty());
}

using MergeRacesTest = MergeFilesTest;
INSTANTIATE_TEST_SUITE_P(OnFiles, MergeRacesTest, ::testing::Values(0));

// Two threads merge two members into each other and take it back, which crosses now and then; a third one binds and
// unbinds what moves. Whoever is in whose way, all come to an end, and nothing is held twice or left.
TEST_P(MergeRacesTest, CrossingMergesEnd) {
  constexpr int kRounds = 8;
  const auto merge_back_and_forth = [this](MemberId one, MemberId other) {
    for (int round = 0; round < kRounds; ++round) {
      const Result<Member> merged = Wait(merger_->Merge(one, other, false, {.caller = "a", .request_id = "request"}));
      if (!merged) continue;
      (void)Wait(merger_->Unmerge(one, other, false, {.caller = "a", .request_id = "request"}));
    }
  };
  std::thread first(merge_back_and_forth, survivor_.id, source_.id);
  std::thread second(merge_back_and_forth, source_.id, survivor_.id);
  const Identity& identity = source_.identities[0];
  for (int round = 0; round < kRounds; ++round) {
    for (const MemberId id : {source_.id, survivor_.id}) {
      const WriteContext context{.caller = "b", .request_id = "request"};
      if (Wait(writer_->Unbind(id, identity.key, context))) (void)Wait(writer_->Bind(id, identity, context));
    }
  }
  first.join();
  second.join();
  Close();
  EXPECT_THAT(Findings(), Each(::testing::AnyOf("MOVE_UNFINISHED", "LOOKUP_DANGLING")));
}

using MergeFindingsTest = MergeFilesTest;
INSTANTIATE_TEST_SUITE_P(AfterTheCommit, MergeFindingsTest, ::testing::Values(kTake + 1));

TEST_P(MergeFindingsTest, MarksThatTheSweeperDoesNotFindAreFound) {
  shards_->EndAfter(GetParam());
  ASSERT_TRUE(Merge());
  Close();
  Sql(source_.id, "DELETE FROM record WHERE kind = 3");
  Sql(survivor_.id,
      "INSERT INTO record(kind, key, time, value) VALUES(3, x'0000000000000005', 0, x'0000000000000001')");
  EXPECT_THAT(Findings(),
              UnorderedElementsAre("MOVE_UNFINISHED", "MOVE_UNFINISHED", "MOVE_INDEX_DIFFERS", "MOVE_INDEX_DIFFERS"));
}

TEST_P(MergeFindingsTest, AMoveWithoutItsOtherEndIsDamage) {
  shards_->EndAfter(GetParam());
  ASSERT_TRUE(Merge());
  Close();
  Sql(survivor_.id, "DELETE FROM member; DELETE FROM history; DELETE FROM change");
  const Result<Examination> examination = ExamineStore(harness_.directory.path(), harness_.keyring, nullptr);
  ASSERT_TRUE(examination);
  EXPECT_THAT(examination->findings, ::testing::Contains(::testing::Field(&Finding::code, "MOVE_BROKEN")));
}

}  // namespace
}  // namespace muster::merge_sqlite_test
