// What the data remembers of numbers: ranges that imports were given, and the newest number of an operation.

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "domain/id_allocator.h"
#include "domain/ports/import_ranges_contract.h"
#include "domain/ports/shard_store_testing.h"
#include "store/binding.h"
#include "store/data_directory.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

constexpr std::uint64_t kLines = std::uint64_t{1} << 20;

class ImportRangesTest : public ::testing::TestWithParam<int> {
 protected:
  ImportRangesTest() : harness_({.files = GetParam()}, &clock_) { Reopen(); }

  void Reopen() {
    const Result<void> opened = harness_.Open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  ImportRanges& ranges() { return harness_.store->import_ranges(); }
  std::int64_t Reserve(std::uint64_t lines) { return contract::ReserveAndWait(ranges(), lines).value(); }
  // Registers a member under new numbers of `ids`; an import's when `line` is a number of a range.
  Member Register(IdAllocator& ids, std::uint32_t index, std::optional<std::int64_t> line = std::nullopt) {
    const auto writer = MakeBindingWriter({.shards = &harness_.store->shards(),
                                           .catalog = &harness_.catalog,
                                           .ids = &ids,
                                           .clock = &clock_,
                                           .timer = &timer_});
    Member member;
    Identity& identity = member.identities.emplace_back();
    identity.kind = "account";
    identity.platform = "app";
    identity.value = Pii("value " + std::to_string(index));
    // In turn of all files, so that some take a commit over two.
    const auto file = index % static_cast<std::uint32_t>(GetParam());
    identity.key = contract::KeyIn(harness_.store->shards(), file, index);
    WriteContext context{.caller = "test", .request_id = "request"};
    if (line) {
      member.id = MemberId(*line);
      context.operation_id = OperationId(*line);
    }
    std::promise<Result<Member>> made;
    Spawn(writer->Register(std::move(member), line.has_value(), std::move(context)),
          [&made](Result<Member> result) { made.set_value(std::move(result)); });
    return made.get_future().get().value();
  }

  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  ManualTimer timer_{clock_};
  testing::StoreHarness harness_;
};

INSTANTIATE_TEST_SUITE_P(Files, ImportRangesTest, ::testing::Values(1, 4));

TEST_P(ImportRangesTest, RemembersWhatItGaveOverARestart) {
  const std::int64_t first = Reserve(1000);
  EXPECT_EQ(IdAllocator::TimeOf(first), clock_.Now());
  Reopen();
  EXPECT_EQ(ranges().CountLines(first), 1000U);
}

// Each import takes numbers of a quarter of a second, so several are ahead of the clock, which may also be set back.
TEST_P(ImportRangesTest, NoNumberIsGivenTwiceOverRestartsAndWhateverTheClockSays) {
  std::int64_t last = 0;
  for (int i = 0; i < 12; ++i) {
    const std::int64_t first = Reserve(kLines);
    ASSERT_GT(first, last);
    last = IdAllocator::IdOfRange(first, kLines - 1);
    if (i % 3 == 0) Reopen();
    if (i % 4 == 0) clock_.Advance(-std::chrono::hours(1));
  }
}

TEST_P(ImportRangesTest, NewNumbersAreAboveAllThatTheDataKnows) {
  Member last;
  IdAllocator ids(clock_, 0, 0);
  for (std::uint32_t index = 0; index < 20; ++index) {
    clock_.Advance(std::chrono::milliseconds(7));
    last = Register(ids, index);
  }
  for (const auto back : {std::chrono::hours(24), std::chrono::hours(0)}) {
    clock_.Advance(-back);
    Reopen();
    EXPECT_GE(harness_.store->newest_number(), last.identities[0].bound_by.value());
    EXPECT_GE(harness_.store->newest_number(), last.created_by.value());
    EXPECT_LE(IdAllocator::TimeOf(harness_.store->newest_number()), IdAllocator::TimeOf(last.created_by.value()));
  }
  // As the server does. The same first sequence, the same times as before: every number would come again.
  IdAllocator again(clock_, 0, 0, harness_.store->newest_number());
  const Member next = Register(again, 100);
  EXPECT_GT(next.id, last.id);
  EXPECT_GT(next.created_by, last.identities[0].bound_by);
}

// While the clock stands still numbers run ahead of it, and of the times in the data.
TEST_P(ImportRangesTest, NumbersAheadOfTheClockAreKnownToo) {
  IdAllocator ids(clock_, 0, 0);
  clock_.Advance(-std::chrono::hours(1));
  IdAllocator ahead(clock_, 0, 0, ids.NextMemberId().value());
  const Member member = Register(ahead, 1);
  Reopen();
  EXPECT_GE(harness_.store->newest_number(), member.created_by.value());
}

TEST_P(ImportRangesTest, ImportsLeaveOrdinaryNumbersWithTheClock) {
  std::int64_t first = 0;
  for (int i = 0; i < 100; ++i) first = Reserve(kLines);
  IdAllocator ids(clock_, 0, 0);
  const Member member = Register(ids, 1, first);
  EXPECT_EQ(member.created_by, OperationId(first));
  Reopen();
  EXPECT_LE(IdAllocator::TimeOf(harness_.store->newest_number()), clock_.Now());
}

TEST_P(ImportRangesTest, ChangesFromBeforeNumbersWereKeptCountByTheirTime) {
  IdAllocator ids(clock_, 0, 100);
  const Member member = Register(ids, 0);
  harness_.store.reset();
  for (std::int64_t file = 0; file < GetParam(); ++file) {
    Database database = *Database::Open(DataFilePath(harness_.directory.path(), file), Database::Mode::kWrite);
    ASSERT_TRUE(database.Execute("UPDATE change SET number = 0; DELETE FROM operation"));
  }
  Reopen();
  EXPECT_GE(harness_.store->newest_number(), member.created_by.value());
}

// What nobody has written ends neither the process nor in numbers that make no sense.
TEST_P(ImportRangesTest, DamagedNumbersAreErrors) {
  const std::string path = DataFilePath(harness_.directory.path(), 0);
  const auto execute = [&path](const std::string& sql) {
    const Result<void> done = Database::Open(path, Database::Mode::kWrite)->Execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  };
  IdAllocator ids(clock_, 0, 0);
  Register(ids, 0);
  for (const char* row : {"(5, 1)", "(-1, 1)", "(9223372036854775807, 1)", "(1044480, 0)", "(1044480, -1)"}) {
    execute(std::string("INSERT INTO import_range(first, lines) VALUES") + row);
    const Result<std::int64_t> given = contract::ReserveAndWait(ranges(), 1);
    ASSERT_FALSE(given) << row;
    EXPECT_EQ(given.error().reason, Reason::kInternal) << row;
    execute("DELETE FROM import_range");
  }
  for (const char* number : {"-1", "9223372036854775807"}) {
    if (harness_.store) harness_.store->Close();
    execute(std::string("UPDATE change SET number = ") + number);
    const Result<void> opened = harness_.Open();
    ASSERT_FALSE(opened) << number;
    EXPECT_EQ(opened.error().reason, Reason::kInternal) << number;
  }
}

// Numbers stay ahead of a clock that was ahead once, and outcomes are forgotten by when they were recorded.
TEST_P(ImportRangesTest, OutcomesAreForgottenThoughTheirNumbersAreAheadOfTheClock) {
  ShardStore& shards = harness_.store->shards();
  const OperationId ahead(IdAllocator::LowestAt(clock_.Now() + std::chrono::days(365)));
  std::promise<Result<void>> written;
  shards.Run(
      0, [&](ShardTransaction& rows) { return rows.records().WriteOperation(ahead, OperationOutcome::kCommitted); },
      [&written](Result<void> result) { written.set_value(std::move(result)); });
  ASSERT_TRUE(written.get_future().get());
  clock_.Advance(std::chrono::hours(1));
  for (const std::uint64_t expected : {1U, 0U}) {
    std::promise<Result<std::uint64_t>> forgotten;
    harness_.store->shard_upkeep().ForgetOperations(
        0, clock_.Now(), [&forgotten](Result<std::uint64_t> count) { forgotten.set_value(std::move(count)); });
    EXPECT_EQ(forgotten.get_future().get(), expected);
  }
}

}  // namespace
}  // namespace muster
