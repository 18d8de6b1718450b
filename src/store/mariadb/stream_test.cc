// The steps by which a change comes into the stream, one by one: what follows a crash, or a leader that stood still.

#include "store/mariadb/stream.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/mariadb/group.h"
#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb_stream_test {
namespace {

using mariadb::Group;
using mariadb::GroupRows;
using mariadb::OutboxRow;
using mariadb::RelayTerm;
using mariadb::Transaction;
using testing::MariadbHarness;

// Lanes without a relay, on databases that a store has made.
class Steps : public ::testing::Test {
 protected:
  struct Lane {
    Lane(MariadbHarness& harness, std::uint32_t index)
        : group({.index = index,
                 .session = {.place = mariadb::GroupPlace::Fixed(*mariadb::Endpoint::Parse(harness.server.address())),
                             .account = {.user = "root", .password = {}},
                             .database = harness.Database(index),
                             .timeouts = {}},
                 .connections = 1},
                {.keyring = harness.keyring,
                 .clock = harness.system_clock,
                 .random = harness.random,
                 .logger = *harness.logger,
                 .metrics = metrics,
                 .floor = harness.floor,
                 .cache = nullptr,
                 .shards = FixedShards(ShardMap::Spread(2)),
                 .lease = {}}) {
      EXPECT_TRUE(group.Start());
    }
    ~Lane() { group.Close(); }
    MetricRegistry metrics;
    Group group;
  };

  Steps() {
    harness_.MustOpen();
    harness_.store->Close();
    harness_.store.reset();
    for (std::uint32_t index = 0; index < 2; ++index) lanes_.push_back(std::make_unique<Lane>(harness_, index));
  }
  ~Steps() override { lanes_.clear(); }

  template <typename Work>
  auto Run(std::uint32_t group, Work work) {
    using Answer = decltype(work(std::declval<Transaction&>()));
    std::promise<Answer> promise;
    Answer answer = Fail(Reason::kInternal, "it did not run");
    lanes_[group]->group.Run(
        [&](Transaction& transaction) -> Result<void> {
          answer = work(transaction);
          if (!answer) return std::unexpected(answer.error());
          return {};
        },
        [&](Result<void> result) { promise.set_value(result ? answer : Answer(std::unexpected(result.error()))); });
    Answer out = promise.get_future().get();
    EXPECT_TRUE(out) << out.error().message;
    return *std::move(out);
  }

  void Commit(std::uint32_t group, std::int64_t member, std::int64_t version) {
    harness_.server.Execute("INSERT INTO `change`(shard, member_id, version, type, time) VALUES(0, " +
                                std::to_string(member) + ", " + std::to_string(version) + ", 2, 1)",
                            harness_.Database(group));
  }
  std::optional<RelayTerm> Take(const std::string& holder) {
    return Run(0, [&](Transaction& transaction) { return mariadb::TakeRelay(transaction, holder); });
  }
  std::vector<OutboxRow> Collect(std::uint32_t group, const RelayTerm& term) {
    const auto copied = term.copied.find(group);
    return Run(group, [&](Transaction& transaction) {
      return mariadb::CollectOutbox(transaction,
                                    copied == term.copied.end() ? std::vector<std::int64_t>() : copied->second);
    });
  }
  std::optional<std::int64_t> Append(const RelayTerm& term, const std::vector<GroupRows>& batch,
                                     const std::vector<std::uint32_t>& emptied = {}) {
    return Run(
        0, [&](Transaction& transaction) { return mariadb::AppendToStream(transaction, term.number, batch, emptied); });
  }
  void EndLease() { harness_.server.Execute("UPDATE relay SET until_time = 0", harness_.Database(0)); }

  // Positions and members of the stream.
  std::vector<std::pair<std::int64_t, std::int64_t>> Stream() {
    const auto rows = harness_.server.Connect(harness_.Database(0))
                          ->Query("SELECT position, member_id * 100 + version FROM stream ORDER BY position");
    std::vector<std::pair<std::int64_t, std::int64_t>> stream;
    for (const auto& row : *rows) stream.emplace_back(mariadb::NumberIn(row[0]), mariadb::NumberIn(row[1]));
    return stream;
  }

  MariadbHarness harness_{2};
  std::vector<std::unique_ptr<Lane>> lanes_;
};

TEST_F(Steps, ALeaderThatStoodStillAddsNothingUnderALaterTerm) {
  Commit(0, 1, 1);
  Commit(1, 2, 1);
  RelayTerm first = *Take("first");
  EXPECT_FALSE(Take("second").has_value()) << "the lease holds";
  const std::vector<OutboxRow> rows = Collect(0, first);
  ASSERT_EQ(rows.size(), 1U);
  EndLease();
  // The second one brings all of it in, to the end: its outboxes are empty, and nothing is noted.
  RelayTerm second = *Take("second");
  EXPECT_GT(second.number, first.number);
  const auto of_first = Collect(0, second);
  ASSERT_EQ(Append(second, {{.group = 0, .rows = of_first}, {.group = 1, .rows = Collect(1, second)}}), 2);
  second.copied = {{0, {of_first[0].sequence}}};
  EXPECT_TRUE(Collect(0, second).empty());
  ASSERT_EQ(Append(second, {}, {0, 1}), 2);
  // The first one goes on.
  EXPECT_FALSE(Append(first, {{.group = 0, .rows = rows}}).has_value());
  EXPECT_EQ(Stream().size(), 2U);
  Commit(0, 1, 2);
  first.copied = {{0, {rows[0].sequence}}};
  EXPECT_EQ(Collect(0, first).size(), 1U) << "it deletes nothing but what was copied";
}

// Whoever follows a leader that ended after any of its steps brings the rest in: all, once, in order.
TEST_F(Steps, ACrashAfterAnyStepLosesNothingAndTellsNothingTwice) {
  std::int64_t version = 0;
  for (int crash_after = 0; crash_after < 4; ++crash_after) {
    ++version;
    for (std::int64_t member = 1; member <= 4; ++member) Commit(member % 2, member, version);
    for (const bool crashes : {true, false}) {
      EndLease();
      RelayTerm term = *Take(crashes ? "crashes" : "follows");
      const int last_step = crashes ? crash_after : 4;
      if (last_step == 0) continue;  // after the term began
      std::vector<GroupRows> batch;
      for (const std::uint32_t group : {0U, 1U}) {
        GroupRows some{.group = group, .rows = Collect(group, term)};
        if (!some.rows.empty()) batch.push_back(std::move(some));
      }
      if (last_step == 1) continue;  // after it collected
      ASSERT_TRUE(Append(term, batch).has_value());
      if (last_step == 2) continue;  // after it appended
      for (const GroupRows& some : batch) {
        std::vector<std::int64_t>& copied = term.copied[some.group];
        copied.clear();
        for (const OutboxRow& row : some.rows) copied.push_back(row.sequence);
      }
      EXPECT_TRUE(Collect(0, term).empty());
      if (last_step == 3) continue;  // after one of two outboxes was emptied
      EXPECT_TRUE(Collect(1, term).empty());
    }
    const auto stream = Stream();
    ASSERT_EQ(stream.size(), static_cast<std::size_t>(4 * version)) << "after step " << crash_after;
    std::map<std::int64_t, std::int64_t> versions;
    for (std::size_t i = 0; i < stream.size(); ++i) {
      EXPECT_EQ(stream[i].first, static_cast<std::int64_t>(i) + 1);
      EXPECT_EQ(stream[i].second % 100, ++versions[stream[i].second / 100]);
    }
    for (const std::uint32_t group : {0U, 1U}) {
      EXPECT_EQ(harness_.server.ReadInteger("SELECT COUNT(*) FROM `change`", harness_.Database(group)), 0);
    }
  }
}

// A copied row that was not deleted yet is what says that it is in the stream already.
TEST_F(Steps, WhatMayStillBeInAnOutboxIsNotForgotten) {
  for (std::int64_t member = 1; member <= 6; ++member) Commit(0, member, 1);
  const RelayTerm term = *Take("one");
  const auto rows = Collect(0, term);
  ASSERT_EQ(Append(term, {{.group = 0, .rows = {rows.begin(), rows.begin() + 3}}}), 3);
  ASSERT_EQ(Append(term, {}, {0}), 3);
  ASSERT_EQ(Append(term, {{.group = 0, .rows = {rows.begin() + 3, rows.end()}}}), 6);
  const auto forget = [&] {
    return Run(
        0, [](Transaction& transaction) { return mariadb::ForgetChanges(transaction, Timestamp::max(), INT64_MAX); });
  };
  EXPECT_EQ(forget(), 3U);
  EXPECT_EQ(forget(), 0U);
  EXPECT_EQ(Stream().front().first, 4);
  ASSERT_EQ(Append(term, {}, {0}), 6);
  EXPECT_EQ(forget(), 2U) << "the newest stays";
}

}  // namespace
}  // namespace muster::mariadb_stream_test
