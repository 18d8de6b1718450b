#include "store/sqlite_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/testing/members.h"
#include "store/data_directory.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

using testing::StoreHarness;
using testing::TurnLoop;

class SqliteReaderTest : public ::testing::TestWithParam<int> {
 protected:
  SqliteReaderTest() : harness_({.files = GetParam(), .durable = false}, &clock_) {
    const Result<void> opened = harness_.Open();
    MUSTER_CHECK(opened.has_value());
    reader_ = *harness_.store->MakeReader(loop_);
  }
  ~SqliteReaderTest() override { reader_.reset(); }

  ShardStore& shards() { return harness_.store->shards(); }
  std::uint32_t last_database() { return static_cast<std::uint32_t>(GetParam()) - 1; }
  // A key in the first file and a member in the last, so that with four files each resolve crosses.
  IdentityKey Key(std::uint32_t index) { return contract::KeyIn(shards(), 0, index); }
  MemberId Id(std::uint32_t index) { return contract::MemberIn(shards(), last_database(), index); }

  void InDatabase(std::uint32_t database, ShardStore::Transaction transaction) {
    const Result<void> done = contract::RunAndWait(shards(), database, std::move(transaction));
    EXPECT_TRUE(done) << done.error().message;
  }
  void WriteMember(MemberId id, std::int64_t version, const std::vector<IdentityKey>& keys) {
    Member member = contract::PlainMember(id, Version(version));
    for (const IdentityKey& key : keys) {
      Identity identity = testing::MakeIdentity(1);
      identity.key = key;
      member.identities.push_back(identity);
    }
    InDatabase(shards().DatabaseOf(id), [&](ShardTransaction& transaction) {
      return transaction.WriteMember(member, contract::ChangeOf(member));
    });
  }
  void WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) {
    InDatabase(shards().DatabaseOf(key),
               [&](ShardTransaction& transaction) { return transaction.WriteLookup(key, row); });
  }
  // As the binding protocol does: reservation, then member.
  void Bind(const IdentityKey& key, MemberId id, std::int64_t version, std::int64_t operation) {
    WriteLookup(key, LookupRow{id, OperationId(operation)});
    WriteMember(id, version, {key});
  }

  MemberReply Into(std::optional<Result<MemberAnswer>>& answer) {
    return [&answer](Result<MemberAnswer> result) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer.emplace(std::move(result));
    };
  }
  Result<MemberAnswer> Get(MemberId id, const ReadOptions& options = {}) {
    std::optional<Result<MemberAnswer>> answer;
    reader_->Get(id, options, Into(answer));
    loop_.RunTurn();
    return answer.value();
  }
  Result<MemberAnswer> Resolve(const IdentityKey& key, const ReadOptions& options = {}) {
    std::optional<Result<MemberAnswer>> answer;
    reader_->Resolve(key, options, Into(answer));
    loop_.RunTurn();
    return answer.value();
  }
  std::uint64_t Counted(const std::string& name) {
    const std::string line = "\n" + name + " ";
    const std::string text = harness_.metrics->Expose();
    const std::size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + line.size()));
  }

  ManualClock clock_;
  StoreHarness harness_;
  TurnLoop loop_;
  std::unique_ptr<MemberReader> reader_;
};

INSTANTIATE_TEST_SUITE_P(Files, SqliteReaderTest, ::testing::Values(1, 4));

TEST_P(SqliteReaderTest, AnswersTheMemberAndWhatItIsWorth) {
  Bind(Key(0), Id(0), 3, 1);
  const CommitSequence before = harness_.floor.Now();
  for (const Result<MemberAnswer>& answer : {Get(Id(0)), Resolve(Key(0))}) {
    ASSERT_TRUE(answer);
    ASSERT_TRUE(answer->member);
    EXPECT_EQ(answer->member->id(), Id(0));
    EXPECT_EQ(answer->member->version(), Version(3));
    EXPECT_TRUE(answer->member->Holds(Key(0)));
    EXPECT_EQ(answer->source, Source::kPrimary);
    EXPECT_EQ(answer->age, Duration(0));
    EXPECT_GE(answer->as_of, before);
    EXPECT_TRUE(harness_.floor.Allows(Id(0), answer->as_of)) << "the answer may fill a cache";
  }
}

TEST_P(SqliteReaderTest, NoVersionOfAMemberThatDoesNotExistIsStale) {
  EXPECT_TRUE(Get(Id(0), {.min_version = Version(5)})) << "the primary knows that there is none";
}

TEST_P(SqliteReaderTest, ADanglingLookupRowIsNobody) {
  WriteLookup(Key(0), LookupRow{Id(0), OperationId(1)});
  EXPECT_FALSE(Resolve(Key(0))->member) << "an owner that does not exist";
  WriteMember(Id(0), 1, {});
  EXPECT_FALSE(Resolve(Key(0))->member) << "an owner that does not list it";
  WriteMember(Id(0), 2, {Key(0)});
  EXPECT_TRUE(Resolve(Key(0))->member);
  WriteLookup(Key(0), std::nullopt);
  EXPECT_FALSE(Resolve(Key(0))->member) << "no lookup row";
}

TEST_P(SqliteReaderTest, ADeadlineThatPassedIsSaidAndNotRead) {
  Bind(Key(0), Id(0), 1, 1);
  const Deadline deadline = Deadline::After(clock_, std::chrono::milliseconds(5));
  std::optional<Result<MemberAnswer>> late, unhurried;
  reader_->Get(Id(0), {.deadline = deadline}, Into(late));
  reader_->Get(Id(0), {}, Into(unhurried));
  clock_.Advance(std::chrono::milliseconds(5));
  loop_.RunTurn();
  ASSERT_FALSE(*late);
  EXPECT_EQ(late->error().reason, Reason::kDeadlineExceeded);
  EXPECT_TRUE(*unhurried) << "an equal read beside it is not hurt";
  EXPECT_EQ(Counted("muster_store_rows_read_total"), 1U);
}

TEST_P(SqliteReaderTest, EqualReadsOfATurnShareOneRow) {
  Bind(Key(0), Id(0), 1, 1);
  std::vector<std::optional<Result<MemberAnswer>>> answers(40);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (i % 2 == 0) {
      reader_->Get(Id(0), {}, Into(answers[i]));
    } else {
      reader_->Resolve(Key(0), {.min_version = Version(i == 7 ? 2 : 0)}, Into(answers[i]));
    }
  }
  loop_.RunTurn();
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i]->has_value(), i != 7) << i;
  EXPECT_EQ(Counted("muster_store_rows_read_total"), 3U) << "the member, the lookup row, and its owner";
  EXPECT_EQ(Counted("muster_store_read_turns_total"), 1U);
  EXPECT_EQ(Counted("muster_store_reads_total"), 40U);
}

TEST_P(SqliteReaderTest, RepliesComeInTheOrderOfTheCallsAndMayReadAgain) {
  std::vector<int> order;
  for (int i = 0; i < 10; ++i) {
    reader_->Get(Id(static_cast<std::uint32_t>(9 - i)), {}, [&, i](const Result<MemberAnswer>&) {
      order.push_back(i);
      if (i == 3) reader_->Get(Id(0), {}, [&](const Result<MemberAnswer>&) { order.push_back(100); });
    });
  }
  EXPECT_TRUE(order.empty()) << "nothing is answered during the call";
  loop_.RunTurn();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  loop_.RunTurn();
  EXPECT_EQ(order.back(), 100);
  EXPECT_TRUE(loop_.idle());
}

TEST_P(SqliteReaderTest, TooManyReadsAreRefusedAtOnceAndALongTurnIsDivided) {
  std::size_t answered = 0, refused = 0;
  for (std::size_t i = 0; i < kReadsQueuedMax + 10; ++i) {
    reader_->Get(MemberId(static_cast<std::int64_t>(i) + 1), {}, [&](const Result<MemberAnswer>& answer) {
      ++answered;
      if (answer) return;
      ++refused;
      EXPECT_EQ(answer.error().reason, Reason::kOverloaded);
    });
  }
  EXPECT_EQ(refused, 10U);
  loop_.RunTurn();
  EXPECT_EQ(answered, 10 + kReadsPerTurnMax);
  std::size_t turns = 1;
  for (; !loop_.idle(); ++turns) loop_.RunTurn();
  EXPECT_EQ(answered, kReadsQueuedMax + 10);
  EXPECT_EQ(turns, kReadsQueuedMax / kReadsPerTurnMax);
}

TEST_P(SqliteReaderTest, ARecordThatCannotBeReadHurtsNobodyElse) {
  WriteMember(Id(0), 1, {});
  WriteMember(Id(1), 1, {});
  harness_.store->Close();
  {
    Database file = *Database::Open(DataFilePath(harness_.directory.path(), last_database()), Database::Mode::kWrite);
    ASSERT_TRUE(file.Execute("UPDATE member SET record = x'ff00ff' WHERE id = " + std::to_string(Id(0).value())));
  }
  std::optional<Result<MemberAnswer>> damaged, sound;
  reader_->Get(Id(0), {}, Into(damaged));
  reader_->Get(Id(1), {}, Into(sound));
  loop_.RunTurn();
  ASSERT_FALSE(*damaged);
  EXPECT_EQ(damaged->error().reason, Reason::kInternal);
  EXPECT_THAT(damaged->error().message, ::testing::HasSubstr("member " + std::to_string(Id(0).value())));
  EXPECT_TRUE(*sound);
}

TEST_P(SqliteReaderTest, DescribesItself) {
  Get(Id(0));
  const RouteDescription description = reader_->Describe();
  EXPECT_EQ(description.name, "store(sqlite)");
  EXPECT_TRUE(description.children.empty());
  EXPECT_THAT(description.counters, ::testing::Contains(std::pair<std::string, std::uint64_t>("reads", 1)));
}

// A member that always holds its identity is never said to be nobody, and versions never go back, however its row and
// other reads of the turn change around it.
TEST_P(SqliteReaderTest, AHeldIdentityIsFoundWhileItsMemberChanges) {
  constexpr std::int64_t kVersions = 400;
  Bind(Key(0), Id(0), 1, 1);
  std::atomic<bool> finished{false};
  std::jthread writer([&] {
    for (std::int64_t version = 2; version <= kVersions; ++version) WriteMember(Id(0), version, {Key(0)});
    finished.store(true);
  });
  Version seen(0);
  while (!finished.load()) {
    std::optional<Result<MemberAnswer>> other, answer;
    reader_->Get(Id(1), {}, Into(other));  // begins the last file's snapshot before the lookup row is read
    reader_->Resolve(Key(0), {}, Into(answer));
    loop_.RunTurn();
    ASSERT_TRUE(answer.value()) << answer->error().message;
    ASSERT_TRUE((*answer)->member);
    EXPECT_GE((*answer)->member->version(), seen);
    seen = (*answer)->member->version();
  }
  writer.join();
  EXPECT_EQ(Resolve(Key(0))->member->version(), Version(kVersions));
}

// Two members take turns with one identity, as the protocol has it: out of the one's list, then the reservation, then
// into the other's list. Whoever is answered lists it; and once a bind was answered, its member or a later one is
// found.
TEST_P(SqliteReaderTest, AnIdentityThatMovesIsNeverAnsweredWithOneThatDoesNotHoldIt) {
  constexpr std::int64_t kMoves = 150;
  const MemberId ids[2] = {Id(0), contract::MemberIn(shards(), 0, 1)};
  std::int64_t versions[2] = {1, 1};
  Bind(Key(0), ids[0], 1, 1);
  WriteMember(ids[1], 1, {});
  // Even: held by ids[move / 2 % 2]; odd: on its way.
  std::atomic<std::int64_t> progress{0};
  std::jthread mover([&] {
    for (std::int64_t move = 0; move < kMoves; ++move) {
      const auto from = static_cast<std::size_t>(move % 2);
      progress.fetch_add(1);
      WriteMember(ids[from], ++versions[from], {});
      Bind(Key(0), ids[1 - from], ++versions[1 - from], move + 2);
      progress.fetch_add(1);
    }
  });
  std::int64_t found = 0;
  for (std::int64_t before = 0; before < 2 * kMoves;) {
    before = progress.load();
    const Result<MemberAnswer> answer = Resolve(Key(0));
    const std::int64_t after = progress.load();
    ASSERT_TRUE(answer || answer.error().reason == Reason::kOverloaded);
    if (!answer) continue;
    if (answer->member) {
      ++found;
      EXPECT_TRUE(answer->member->Holds(Key(0)));
    }
    if (before == after && before % 2 == 0) {
      ASSERT_TRUE(answer->member) << "it did not move during the read";
      EXPECT_EQ(answer->member->id(), ids[before / 2 % 2]);
    }
  }
  mover.join();
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace muster
