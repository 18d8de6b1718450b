// What goes wrong with a server, a connection, a lease: what callers are told is true, and comes in time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "domain/ports/shard_store_testing.h"
#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb_faults_test {
namespace {

using ::testing::HasSubstr;
using testing::MariadbHarness;
using testing::MariadbServer;
using testing::WaitUntil;

// Answers of many transactions.
class Tally {
 public:
  ShardStore::Done Count(std::int64_t number) {
    std::lock_guard lock(mutex_);
    ++under_way_;
    return [this, number](Result<void> result) {
      std::lock_guard answer_lock(mutex_);
      --under_way_;
      results_.insert_or_assign(number, std::move(result));
    };
  }
  std::size_t answered() const {
    std::lock_guard lock(mutex_);
    return results_.size();
  }
  bool idle() const {
    std::lock_guard lock(mutex_);
    return under_way_ == 0;
  }
  std::map<std::int64_t, Result<void>> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(results_, {});
  }

 private:
  mutable std::mutex mutex_;
  std::size_t under_way_ = 0;
  std::map<std::int64_t, Result<void>> results_;
};

// The relay asks for the lease, too, whenever it likes: tests count what writers ask.
bool IsWriter() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return std::string_view(name).starts_with("write ");
}

ShardStore::Transaction WriteNumber(std::int64_t number) {
  return [number](ShardTransaction& rows) -> Result<void> {
    const Member member = contract::PlainMember(MemberId(number));
    MUSTER_TRY(rows.WriteMember(member, contract::ChangeOf(member, ChangeType::kRegistered)));
    return rows.records().WriteOperation(OperationId(number), OperationOutcome::kCommitted);
  };
}

std::set<std::int64_t> NumbersThere(MariadbHarness& harness) {
  const auto rows =
      harness.server.Connect(harness.Database(0))
          ->Query(
              "SELECT m.id FROM member m JOIN operation o ON o.id = m.id JOIN history h ON "
              "h.member_id = m.id JOIN (SELECT member_id FROM `change` UNION SELECT member_id FROM stream) c "
              "ON c.member_id = m.id");
  EXPECT_TRUE(rows);
  std::set<std::int64_t> numbers;
  for (const auto& row : *rows) numbers.insert(mariadb::NumberIn(row[0]));
  return numbers;
}

TEST(MariadbFaults, WhatWasAcknowledgedBeforeAKillIsThereAfterIt) {
  MariadbServer server;
  MariadbHarness harness(1, server);
  harness.gives_back = false;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  Tally tally;
  std::int64_t number = 0;
  for (int round = 0; round < 2; ++round) {
    // Some hundred are under way at any time.
    const std::size_t enough = tally.answered() + 300;
    while (tally.answered() < enough) {
      const std::int64_t sent = number;
      for (; number < sent + 50; ++number) shards.Run(0, WriteNumber(number + 1), tally.Count(number + 1));
      ASSERT_TRUE(WaitUntil([&] { return static_cast<std::int64_t>(tally.answered()) + 200 > number; }));
    }
    server.Kill();
    ASSERT_TRUE(WaitUntil([&] { return tally.idle(); })) << "somebody is not answered";
    server.Start();
    ASSERT_TRUE(WaitUntil([&] {
      return contract::RunAndWait(shards, 0, [](ShardTransaction&) { return Result<void>(); }).has_value();
    })) << "writes do not come back";
  }
  ASSERT_TRUE(WaitUntil([&] { return tally.idle(); }));

  const std::set<std::int64_t> there = NumbersThere(harness);
  std::size_t unknown = 0;
  for (const auto& [sent, result] : tally.Take()) {
    if (result) {
      EXPECT_TRUE(there.contains(sent)) << "an acknowledged write is lost";
    } else if (result.error().reason == Reason::kOutcomeUnknown) {
      ++unknown;
    } else {
      EXPECT_FALSE(there.contains(sent)) << result.error().code() << " and yet it was written";
    }
  }
  // One for each connection that was committing, at most.
  EXPECT_LE(unknown, static_cast<std::size_t>(harness.options.connections) * 2);
  harness.store->Close();
}

TEST(MariadbFaults, AServerThatStopsIsAnsweredForInTimeAndGoesOn) {
  MariadbServer server;
  MariadbHarness harness(1, server);
  harness.gives_back = false;
  harness.options.connections = 2;
  harness.options.connect_timeout_ms = 1'000;
  harness.options.statement_timeout_ms = 1'000;
  harness.options.lock_wait_ms = 1'000;
  harness.options.transaction_timeout_ms = 1'000;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(1)));
  testing::PostedLoop loop;
  const auto reader = *harness.store->MakeReader(loop);
  server.Stop();
  const auto began = std::chrono::steady_clock::now();
  Tally tally;
  for (std::int64_t number = 2; number < 50; ++number) shards.Run(0, WriteNumber(number), tally.Count(number));
  std::optional<Result<MemberAnswer>> answer;
  reader->Get(MemberId(1), {}, [&](Result<MemberAnswer> result) { answer.emplace(std::move(result)); });
  ASSERT_TRUE(loop.RunUntil([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->error().reason, Reason::kOverloaded);
  ASSERT_TRUE(WaitUntil([&] { return tally.idle(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(15));
  std::size_t unknown = 0;
  std::map<std::int64_t, Result<void>> results = tally.Take();
  for (const auto& [number, result] : results) {
    ASSERT_FALSE(result) << "acknowledged by a server that stands still";
    EXPECT_TRUE(result.error().reason == Reason::kWritesUnavailable || result.error().reason == Reason::kOverloaded ||
                result.error().reason == Reason::kOutcomeUnknown)
        << result.error().code();
    if (result.error().reason == Reason::kOutcomeUnknown) ++unknown;
  }
  EXPECT_LE(unknown, 2U);

  server.Continue();
  ASSERT_TRUE(WaitUntil([&] { return contract::RunAndWait(shards, 0, WriteNumber(100)).has_value(); }));
  const std::set<std::int64_t> there = NumbersThere(harness);
  for (const auto& [number, result] : results) {
    if (result.error().reason != Reason::kOutcomeUnknown) EXPECT_FALSE(there.contains(number));
  }
  harness.store->Close();
}

// A commit without an answer may still come: until its session has ended, no cache may be filled with what it touches.
TEST(MariadbFaults, WhatAnUnansweredCommitTouchesIsUnderTheFloorUntilItsSessionEnded) {
  MariadbServer server;
  MariadbHarness harness(1, server);
  harness.gives_back = false;
  harness.options.connections = 1;
  harness.options.connect_timeout_ms = 1'000;
  harness.options.statement_timeout_ms = 1'000;
  harness.options.lock_wait_ms = 1'000;
  std::atomic<bool> stops = false;
  // Asked before the commit: then the server stands still.
  std::atomic<int> asked{0};
  harness.lease = [&] {
    if (IsWriter() && stops && ++asked == 2) server.Stop();
    return WriterLease{};
  };
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(1)));
  stops = true;
  asked = -1;  // at the begin it is asked twice
  const Result<void> result = contract::RunAndWait(shards, 0, WriteNumber(2));
  stops = false;
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kOutcomeUnknown) << result.error().message;
  EXPECT_FALSE(harness.floor.Allows(MemberId(2), harness.floor.Now()));
  server.Continue();
  ASSERT_TRUE(WaitUntil([&] {
    // Whether it is written says nothing yet: each transaction asks whether the session has ended.
    static_cast<void>(contract::RunAndWait(shards, 0, WriteNumber(3)));
    return harness.floor.Allows(MemberId(2), harness.floor.Now());
  }));
  harness.store->Close();
}

TEST(MariadbFaults, WhoLosesTheFenceWritesNothing) {
  MariadbHarness harness(1);
  std::atomic<std::int64_t> epoch{3};
  harness.lease = [&] { return WriterLease{.epoch = Epoch(epoch.load())}; };
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(1)));
  EXPECT_EQ(harness.server.ReadInteger("SELECT epoch FROM fence", harness.Database(0)), 3) << "the holder raises it";

  // The fence waits for the transaction that runs, which commits; the next one is refused.
  std::thread mover;
  Result<void> moved;
  ASSERT_TRUE(contract::RunAndWait(shards, 0, [&](ShardTransaction& rows) -> Result<void> {
    if (!mover.joinable()) {
      mover = std::thread([&] {
        moved = harness.server.Connect(harness.Database(0))->Execute("UPDATE fence SET epoch = 4 WHERE id = 1");
      });
      EXPECT_TRUE(WaitUntil([&] {
        return harness.server.ReadInteger(
                   "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE "
                   "'UPDATE fence%'") > 0;
      }));
    }
    return WriteNumber(2)(rows);
  }));
  mover.join();
  EXPECT_TRUE(moved);
  const Result<void> refused = contract::RunAndWait(shards, 0, WriteNumber(3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("may not write just now"));
  EXPECT_EQ(NumbersThere(harness), (std::set<std::int64_t>{1, 2}));
  // Who comes by the epoch again writes again.
  epoch = 5;
  EXPECT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(4)));
  EXPECT_EQ(harness.server.ReadInteger("SELECT epoch FROM fence", harness.Database(0)), 5);
  harness.store->Close();
}

TEST(MariadbFaults, ALeaseThatEndsBeforeTheCommitRefusesAndAfterItLeavesOpen) {
  ManualClock clock;
  MariadbHarness harness(1, testing::SharedMariadb(), &clock);
  std::atomic<Instant> valid_until = Instant::max();
  std::atomic<int> asked{0};
  std::atomic<int> ends_at_call{0};  // the lease is over from this call on
  harness.lease = [&] {
    const bool over = IsWriter() && ends_at_call > 0 && ++asked >= ends_at_call;
    return WriterLease{.epoch = Epoch(0), .valid_until = over ? Instant::min() : valid_until.load()};
  };
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  const auto run = [&](std::int64_t number, int call) {
    asked = 0;
    ends_at_call = call;
    Result<void> result = contract::RunAndWait(shards, 0, WriteNumber(number));
    ends_at_call = 0;
    return result ? Reason{} : result.error().reason;
  };
  EXPECT_EQ(run(1, 1), Reason::kWritesUnavailable) << "before it began";
  EXPECT_EQ(run(2, 3), Reason::kWritesUnavailable) << "before the commit";
  EXPECT_EQ(run(3, 4), Reason::kOutcomeUnknown) << "after the commit: never a success";
  EXPECT_EQ(run(4, 5), Reason{});
  EXPECT_EQ(NumbersThere(harness), (std::set<std::int64_t>{3, 4}));
  // By the clock, too.
  valid_until = clock.Monotonic();
  EXPECT_FALSE(contract::RunAndWait(shards, 0, WriteNumber(5)));
  valid_until = Instant::max();
  harness.store->Close();
}

TEST(MariadbFaults, AReadOnlyServerRefusesWritesUntilItIsNot) {
  MariadbServer server;
  // Roots write to a server that is read-only.
  server.Execute("CREATE USER app@localhost IDENTIFIED BY ''");
  server.Execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON `members%`.* TO app@localhost");
  MariadbHarness harness(1, server);
  harness.gives_back = false;
  harness.options.user = "app";
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(1)));
  server.Execute("SET GLOBAL read_only = 1");
  const Result<void> refused = contract::RunAndWait(shards, 0, WriteNumber(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("read-only"));
  EXPECT_FALSE(harness.store->Health());
  EXPECT_TRUE(harness.store->archive().ReadMembers(std::vector{MemberId(1)})) << "reads go on";
  server.Execute("SET GLOBAL read_only = 0");
  EXPECT_TRUE(WaitUntil([&] { return harness.store->Health().has_value(); })) << "the probe finds out by itself";
  EXPECT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(3)));
  EXPECT_EQ(NumbersThere(harness), (std::set<std::int64_t>{1, 3}));
  harness.store->Close();
}

// Tables in a tablespace that may not grow; what a full disk makes of an insert is the same error.
TEST(MariadbFaults, AFullTablespaceRefusesWritesAndReadsGoOn) {
  MariadbServer server({"--innodb-data-file-path=ibdata1:12M:autoextend:max:16M", "--innodb-file-per-table=0"});
  MariadbHarness harness(1, server);
  harness.gives_back = false;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  std::int64_t last = 0;
  Result<void> result;
  for (std::int64_t number = 1; number < 2'000 && result; ++number) {
    result = contract::RunAndWait(shards, 0, [&](ShardTransaction& rows) {
      Member member = contract::PlainMember(MemberId(number));
      member.attributes = {{"note", std::string(16'000, 'x')}};
      return rows.WriteMember(member, contract::ChangeOf(member));
    });
    if (result) last = number;
  }
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(result.error().message, HasSubstr("no space left"));
  EXPECT_EQ(harness.store->archive().ReadMembers(std::vector{MemberId(last)})->size(), 1U);
  EXPECT_TRUE(harness.store->archive().ReadMembers(std::vector{MemberId(last + 1)})->empty());
  harness.store->Close();
}

TEST(MariadbFaults, AConnectionThatEndedWhileItWasIdleIsOpenedAgainUnnoticed) {
  MariadbHarness harness(1);
  harness.options.connections = 1;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(1)));
  const auto sessions = harness.server.Connect()->Query("SELECT id FROM information_schema.processlist WHERE db = '" +
                                                        harness.Database(0) + "'");
  for (const auto& session : *sessions) harness.server.Execute("KILL " + session[0]);
  EXPECT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(2)));
  EXPECT_TRUE(harness.store->archive().ReadMembers(std::vector{MemberId(2)}));
  harness.store->Close();
}

TEST(MariadbFaults, AConnectionThatIsLostBeforeTheCommitHasWrittenNothing) {
  MariadbHarness harness(1);
  harness.options.connections = 1;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  const Result<void> result = contract::RunAndWait(shards, 0, [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_TRY(WriteNumber(1)(rows));
    const auto sessions = harness.server.Connect()->Query("SELECT id FROM information_schema.processlist WHERE db = '" +
                                                          harness.Database(0) + "'");
    for (const auto& session : *sessions) harness.server.Execute("KILL " + session[0]);
    return WriteNumber(2)(rows);
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kWritesUnavailable) << result.error().message;
  EXPECT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(3)));
  EXPECT_EQ(NumbersThere(harness), std::set<std::int64_t>{3});
  harness.store->Close();
}

TEST(MariadbFaults, ARowThatIsHeldForTooLongIsOverloadNotSilence) {
  MariadbHarness harness(1);
  harness.options.lock_wait_ms = 1'000;
  harness.options.attempts_max = 1;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, WriteNumber(1)));
  const auto other = harness.server.Connect(harness.Database(0));
  ASSERT_TRUE(other->Execute("START TRANSACTION"));
  ASSERT_TRUE(other->Query("SELECT id FROM member WHERE id = 1 FOR UPDATE"));
  const Result<void> refused = contract::RunAndWait(shards, 0, [](ShardTransaction& rows) -> Result<void> {
    MUSTER_TRY(rows.ReadMember(MemberId(1)));
    return {};
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kOverloaded) << refused.error().message;
  ASSERT_TRUE(other->Execute("ROLLBACK"));
  harness.store->Close();
}

TEST(MariadbFaults, AQueueThatIsFullAndAStoreThatClosesRefuseAtOnce) {
  MariadbHarness harness(1);
  harness.options.connections = 1;
  harness.options.queue_max = 2;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  Tally tally;
  std::atomic<bool> entered{false};
  std::atomic<bool> go_on{false};
  shards.Run(
      0,
      [&](ShardTransaction&) -> Result<void> {
        entered = true;
        EXPECT_TRUE(WaitUntil([&] { return go_on.load(); }));
        return {};
      },
      tally.Count(1));
  ASSERT_TRUE(WaitUntil([&] { return entered.load(); }));
  for (std::int64_t number = 2; number <= 4; ++number) shards.Run(0, WriteNumber(number), tally.Count(number));
  EXPECT_EQ(tally.answered(), 1U) << "the one too many is refused at once";
  go_on = true;
  ASSERT_TRUE(WaitUntil([&] { return tally.idle(); }));
  const auto results = tally.Take();
  EXPECT_EQ(results.at(4).error().reason, Reason::kOverloaded);
  EXPECT_TRUE(results.at(3));
  harness.store->Close();
  EXPECT_EQ(contract::RunAndWait(shards, 0, WriteNumber(5)).error().reason, Reason::kWritesUnavailable);
}

}  // namespace
}  // namespace muster::mariadb_faults_test
