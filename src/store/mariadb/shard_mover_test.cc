// Shards move between two groups on real servers: under writes, with movers that stand still at each step and wake up
// later, with writers that believe in the past, taken back, and stopped.

#include "store/mariadb/shard_mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/timer.h"
#include "domain/id_allocator.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"
#include "store/binding.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "topology/shard_map.h"
#include "topology/shard_move.h"
#include "topology/testing/two_center_topology.h"

namespace muster::mariadb::shard_mover_test {
namespace {

using muster::testing::MariadbHarness;
using muster::testing::WaitUntil;
using ::testing::HasSubstr;

// Where a mover stands still, until it is let go.
class Stop {
 public:
  void At(const std::string& step) {
    std::lock_guard lock(mutex_);
    at_ = step;
  }
  void Reach(const std::string& step) {
    std::unique_lock lock(mutex_);
    if (step != at_) return;
    is_there_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return at_.empty(); });
    is_there_ = false;
  }
  bool Await() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [this] { return is_there_; });
  }
  void LetGo() {
    std::lock_guard lock(mutex_);
    at_.clear();
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string at_;
  bool is_there_ = false;
};

class MariadbShardMover : public ::testing::Test {
 protected:
  MariadbShardMover() {
    topology_ = *OpenTopologyFile(directory_.path() + "/topology.json");
    Change([](TopologyDocument& document) -> Result<void> {
      const TopologyDocument two = muster::testing::TwoCenters(2);
      document.centers = two.centers;
      document.writer = two.writer;
      document.groups = two.groups;
      document.lease_ms = TopologyDocument::kLeaseMsMin;
      document.epoch = Epoch(2);
      return {};
    });
    harness_.shards = [this] { return Map(); };
    harness_.mover = MoverNamed("first", stop_, leads_);
  }
  ~MariadbShardMover() override {
    stop_.LetGo();
    if (other_) other_->Close();
  }

  ShardMoverOptions MoverNamed(const std::string& name, Stop& stop, std::atomic<bool>& leads) {
    return {.topology = topology_.get(),
            .sight = [this, &leads] { return ShardMoverOptions::Sight{.document = Document(), .leads = leads}; },
            .name = name,
            .on_step = [&stop](const std::string& step) { stop.Reach(step); }};
  }
  std::shared_ptr<const TopologyDocument> Document() { return *topology_->Read(); }
  std::shared_ptr<const ShardMap> Map() { return std::make_shared<const ShardMap>(ShardMap::Of(*Document())); }
  void Change(const std::function<Result<void>(TopologyDocument&)>& change) {
    const auto changed = topology_->Update(change);
    ASSERT_TRUE(changed) << changed.error().message;
  }
  void Begin(const std::string& shards, const std::string& from = "g0", const std::string& to = "g1") {
    Change([&](TopologyDocument& document) {
      return BeginShardMove({.shards = *ParseShards(shards), .from = from, .to = to}, harness_.clock->Now(), document);
    });
  }
  bool AwaitEnd() {
    return WaitUntil([this] { return !Document()->shard_move; });
  }
  // Another process on the same databases, by its own map or by that of now.
  void OpenOther(const ShardMapSource& shards = {}) {
    MariadbDependencies dependencies = harness_.Dependencies();
    dependencies.metrics = &other_metrics_;
    if (shards) dependencies.shards = shards;
    dependencies.mover = MoverNamed("other", other_stop_, other_leads_);
    other_ = *MariadbStore::Open(harness_.options, dependencies);
  }

  ShardStore& shards() { return harness_.store->shards(); }
  static Result<void> Write(ShardStore& store, std::uint32_t group, MemberId id, std::int64_t version) {
    Member member = contract::PlainMember(id);
    member.version = Version(version);
    return contract::RunAndWait(
        store, group, [&](ShardTransaction& rows) { return rows.WriteMember(member, contract::ChangeOf(member)); });
  }
  // Rows of those shards that a group has.
  std::int64_t RowsIn(std::uint32_t group, const std::string& shards) {
    std::int64_t rows = 0;
    const ShardSet set = *ParseShards(shards);
    for (const std::string table : {"member", "identity", "history", "record"}) {
      for (std::size_t shard = 0; shard < set.size(); ++shard) {
        if (!set[shard]) continue;
        rows += harness_.server.ReadInteger("SELECT COUNT(*) FROM " + table + " WHERE shard = " + std::to_string(shard),
                                            harness_.Database(group));
      }
    }
    return rows;
  }
  // Members with all kinds of rows, in every shard of the set.
  std::vector<MemberId> Fill(const std::string& text) {
    const ShardSet set = *ParseShards(text);
    std::vector<MemberId> ids;
    std::map<std::uint16_t, int> made;
    for (std::int64_t id = 1; made.size() < set.count(); ++id) {
      const ShardId shard = ShardOf(MemberId(id));
      if (!set[shard.value()] || made[shard.value()]++ > 0) continue;
      EXPECT_TRUE(Write(shards(), shards().DatabaseOf(MemberId(id)), MemberId(id), 1));
      ids.push_back(MemberId(id));
    }
    return ids;
  }
  void ExpectInTheStreamOnceAndInOrder(const std::map<MemberId, std::int64_t>& versions) {
    ASSERT_TRUE(harness_.WaitForStream());
    std::map<MemberId, std::int64_t> seen;
    for (std::int64_t after = 0;;) {
      const auto page = harness_.store->change_feed().Read(after, 1000);
      ASSERT_TRUE(page);
      for (const ChangeEvent& event : page->events) {
        EXPECT_EQ(event.version.value(), ++seen[event.member_id]) << "member " << event.member_id.value();
      }
      after = page->next;
      if (page->events.empty()) break;
    }
    for (const auto& [id, version] : versions) EXPECT_GE(seen[id], version) << "member " << id.value();
  }

  muster::testing::TemporaryDirectory directory_;
  std::unique_ptr<TopologyStore> topology_;
  Stop stop_;
  Stop other_stop_;
  std::atomic<bool> leads_{true};
  std::atomic<bool> other_leads_{false};
  MariadbHarness harness_{2};
  MetricRegistry other_metrics_;
  std::unique_ptr<MariadbStore> other_;
};

// Registers, updates and binds, all the time, and remembers what was acknowledged.
class Writers {
 public:
  Writers(MariadbHarness& harness, int threads)
      : ids_(harness.system_clock, 0, 1),
        writer_(MakeBindingWriter({.shards = &harness.store->shards(),
                                   .catalog = &harness.catalog,
                                   .ids = &ids_,
                                   .clock = &harness.system_clock,
                                   .timer = &timer_})) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this, thread] { Run(thread); });
    }
  }
  // What every member has at least.
  std::map<MemberId, std::int64_t> End() {
    stops_ = true;
    for (std::thread& thread : threads_) thread.join();
    return acknowledged_;
  }
  int refused() const { return refused_; }
  int count() const { return count_; }

 private:
  template <typename T>
  static T Wait(Task<T> task) {
    std::promise<T> promise;
    Spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); });
    return promise.get_future().get();
  }
  void Note(const Result<Member>& done) {
    if (!done) {
      // The last two: what was not bound cannot be unbound, and some are never unbound.
      constexpr std::array kMayBe = {Reason::kWritesUnavailable, Reason::kOverloaded, Reason::kIdentityNotFound,
                                     Reason::kLimitExceeded};
      EXPECT_EQ(std::ranges::count(kMayBe, done.error().reason), 1) << done.error().code() << done.error().message;
      ++refused_;
      return;
    }
    ++count_;
    std::lock_guard lock(mutex_);
    std::int64_t& version = acknowledged_[done->id];
    version = std::max(version, done->version.value());
  }
  void Run(int thread) {
    std::uint64_t number = static_cast<std::uint64_t>(thread) << 32;
    std::vector<MemberId> mine;
    while (!stops_) {
      Member member;
      member.identities.push_back(muster::testing::MakeIdentity(++number));
      const Result<Member> made = Wait(writer_->Register(std::move(member), false, {}));
      Note(made);
      if (made) mine.push_back(made->id);
      if (mine.empty()) continue;
      const MemberId one = mine[number % mine.size()];
      const Identity other = muster::testing::MakeIdentity(++number);
      Note(Wait(writer_->Bind(one, other, {})));
      if (number % 4 != 0) Note(Wait(writer_->Unbind(one, other.key, {})));
    }
  }

  IdAllocator ids_;
  ThreadTimer timer_;
  const std::unique_ptr<MemberWriter> writer_;
  std::atomic<bool> stops_{false};
  std::atomic<int> refused_{0};
  std::atomic<int> count_{0};
  std::mutex mutex_;
  std::map<MemberId, std::int64_t> acknowledged_;
  std::vector<std::thread> threads_;
};

TEST_F(MariadbShardMover, UnderWritesNothingIsLostAndNothingIsThereTwice) {
  harness_.MustOpen();
  Writers writers(harness_, 3);
  ASSERT_TRUE(WaitUntil([&] { return writers.count() > 200; }));
  // Half of the group's shards, some at a time.
  const std::string moved = "0-510/2";
  harness_.mover.batch_shards = 64;
  Begin(moved);
  ASSERT_TRUE(AwaitEnd());
  const int count = writers.count();
  ASSERT_TRUE(WaitUntil([&] { return writers.count() > count + 200; }));
  const auto acknowledged = writers.End();
  EXPECT_EQ(Map()->ShardsOf(0), *ParseShards("512-1022/2"));
  EXPECT_EQ(RowsIn(0, moved), 0);
  EXPECT_GT(RowsIn(1, moved), 0);
  std::map<IdentityKey, MemberId> holders;
  std::map<MemberId, Version> found;
  for (const Member& member : harness_.store->archive().ScanMembers(MemberId(0), 1'000'000).value()) {
    EXPECT_TRUE(found.emplace(member.id, member.version).second) << "a member is there twice";
    for (const Identity& identity : member.identities) {
      EXPECT_TRUE(holders.try_emplace(identity.key, member.id).second) << "two members hold one identity";
    }
  }
  for (const auto& [id, version] : acknowledged) {
    ASSERT_TRUE(found.contains(id)) << "member " << id.value() << " is lost";
    EXPECT_GE(found[id].value(), version) << "a change of member " << id.value() << " is lost";
    EXPECT_EQ(harness_.store->archive().ListHistory(id, Version(1'000'000), 1000)->size(),
              static_cast<std::size_t>(found[id].value()));
  }
  ExpectInTheStreamOnceAndInOrder(acknowledged);
}

// At each step the mover stands still, another one brings the move to its end, and more is written; then the first one
// goes on with what it was about to do.
class MariadbShardMoverStands : public MariadbShardMover, public ::testing::WithParamInterface<const char*> {};

TEST_P(MariadbShardMoverStands, AMoverThatStoodStillChangesNothingWhenItWakesUp) {
  harness_.MustOpen();
  const std::string moved = "0-30/2";
  const std::vector<MemberId> ids = Fill(moved);
  OpenOther();
  stop_.At(GetParam());
  Begin(moved);
  ASSERT_TRUE(stop_.Await());
  leads_ = false;
  other_leads_ = true;
  ASSERT_TRUE(AwaitEnd());
  std::map<MemberId, std::int64_t> versions;
  for (const MemberId id : ids) {
    ASSERT_EQ(shards().DatabaseOf(id), 1U);
    ASSERT_TRUE(Write(shards(), 1, id, 2));
    versions[id] = 2;
  }
  const std::int64_t rows = RowsIn(1, moved);
  leads_ = true;  // as it believes
  other_leads_ = false;
  stop_.LetGo();
  const std::int64_t revision = Document()->revision;
  // It has noticed once it does the next move.
  Begin("32");
  ASSERT_TRUE(WaitUntil([&] { return !Document()->shard_move && Document()->revision > revision + 3; }));
  EXPECT_EQ(RowsIn(1, moved), rows);
  EXPECT_EQ(RowsIn(0, moved), 0);
  for (const MemberId id : ids) {
    EXPECT_EQ(harness_.store->archive().ReadMembers(std::vector{id})->front().version, Version(2));
  }
  ExpectInTheStreamOnceAndInOrder(versions);
}

INSTANTIATE_TEST_SUITE_P(Steps, MariadbShardMoverStands,
                         ::testing::Values("copying", "fenced", "switched", "cleaning"));

TEST_F(MariadbShardMover, WhoeverBelievesInThePastWritesNothingToAShardThatIsLeaving) {
  harness_.MustOpen();
  const MemberId id = Fill("0").front();
  const auto past = Map();
  OpenOther([past] { return past; });
  ASSERT_TRUE(Write(other_->shards(), 0, id, 2));
  stop_.At("switched");
  Begin("0");
  ASSERT_TRUE(stop_.Await());
  const Result<void> refused = Write(other_->shards(), 0, id, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  // And who knows is told to wait.
  const Result<void> fenced = Write(shards(), 1, id, 3);
  ASSERT_FALSE(fenced);
  EXPECT_THAT(fenced.error().message, HasSubstr("takes no writes for some seconds"));
  stop_.LetGo();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(Write(shards(), 1, id, 3));
  EXPECT_FALSE(Write(other_->shards(), 0, id, 4));
}

TEST_F(MariadbShardMover, ATransactionUnderWayIsWaitedForAndItsRowsCome) {
  harness_.MustOpen();
  const MemberId id = Fill("0").front();
  OpenOther([past = Map()] { return past; });
  stop_.At("fenced");
  Begin("0");
  ASSERT_TRUE(stop_.Await());
  // The topology says that it is fenced, which this writer has not heard of, and its database does not say so yet.
  std::promise<void> is_inside;
  std::promise<void> may_commit;
  std::thread writer([&] {
    Member member = contract::PlainMember(id);
    member.version = Version(2);
    EXPECT_TRUE(contract::RunAndWait(other_->shards(), 0, [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_TRY(rows.WriteMember(member, contract::ChangeOf(member)));
      is_inside.set_value();
      may_commit.get_future().wait();
      return {};
    }));
  });
  is_inside.get_future().wait();
  stop_.LetGo();
  EXPECT_TRUE(WaitUntil([this] {
    return harness_.server.ReadInteger(
               "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") > 0;
  }));
  EXPECT_EQ(shards().DatabaseOf(id), 0U);
  may_commit.set_value();
  writer.join();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(shards().DatabaseOf(id), 1U);
  EXPECT_EQ(harness_.store->archive().ReadMembers(std::vector{id})->front().version, Version(2));
  ExpectInTheStreamOnceAndInOrder({{id, 2}});
}

TEST_F(MariadbShardMover, StoppedBeforeTheSwitchItIsUndone) {
  harness_.MustOpen();
  const std::vector<MemberId> ids = Fill("0-14/2");
  stop_.At("fenced");
  Begin("0-14/2");
  ASSERT_TRUE(stop_.Await());
  EXPECT_GT(RowsIn(1, "0-14/2"), 0);
  Change([](TopologyDocument& document) { return StopShardMove(document); });
  stop_.LetGo();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(RowsIn(1, "0-14/2"), 0);
  for (const MemberId id : ids) {
    EXPECT_EQ(shards().DatabaseOf(id), 0U);
    EXPECT_TRUE(Write(shards(), 0, id, 2));
  }
  harness_.MustOpen();  // the databases say so, too
}

TEST_F(MariadbShardMover, WhatHasMovedMovesBack) {
  harness_.MustOpen();
  const std::vector<MemberId> ids = Fill("0-14/2");
  Begin("0-14/2");
  ASSERT_TRUE(AwaitEnd());
  for (const MemberId id : ids) ASSERT_TRUE(Write(shards(), 1, id, 2));
  harness_.MustOpen();  // in the middle
  Begin("0-14/2", "g1", "g0");
  ASSERT_TRUE(AwaitEnd());
  std::map<MemberId, std::int64_t> versions;
  for (const MemberId id : ids) {
    EXPECT_TRUE(Write(shards(), 0, id, 3));
    EXPECT_EQ(harness_.store->archive().ListHistory(id, Version(100), 10)->size(), 3U);
    versions[id] = 3;
  }
  EXPECT_EQ(RowsIn(1, "0-14/2"), 0);
  ExpectInTheStreamOnceAndInOrder(versions);
}

TEST_F(MariadbShardMover, AFenceThatTakesTooLongIsTakenBackAndTheMoveStoppedAtLast) {
  harness_.mover.fence_max = Duration(1);
  harness_.MustOpen();
  const MemberId id = Fill("0").front();
  Begin("0");
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(shards().DatabaseOf(id), 0U);
  EXPECT_EQ(RowsIn(1, "0"), 0);
  EXPECT_TRUE(Write(shards(), 0, id, 2));
  EXPECT_THAT(harness_.metrics->Expose(), HasSubstr("muster_store_move_fences_taken_back_total 5"));
}

TEST_F(MariadbShardMover, WhatSaysNothingOfAShardComesWithIt) {
  harness_.MustOpen();
  const MemberId id = Fill("0").front();
  const RequestHash key{{1, 2, 3}};
  ASSERT_TRUE(contract::RunAndWait(shards(), 0, [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_TRY(rows.records().WriteOperation(OperationId(7), OperationOutcome::kCommitted));
    MUSTER_TRY(rows.records().WriteMerge(id, MemberId(id.value() + 1), MergeRecord{}));
    return rows.records().WriteAnswer(key, {.fingerprint = {{9}}, .member = contract::PlainMember(id)});
  }));
  Begin("0");
  ASSERT_TRUE(AwaitEnd());
  ASSERT_TRUE(contract::RunAndWait(shards(), 1, [&](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(const auto outcome, rows.records().ReadOperation(OperationId(7)));
    EXPECT_EQ(outcome, OperationOutcome::kCommitted);
    MUSTER_ASSIGN(const auto merge, rows.records().ReadMerge(id, MemberId(id.value() + 1)));
    EXPECT_TRUE(merge.has_value());
    MUSTER_ASSIGN(const auto answer, rows.records().ReadAnswer(key));
    EXPECT_TRUE(answer.has_value());
    return {};
  }));
}

}  // namespace
}  // namespace muster::mariadb::shard_mover_test
