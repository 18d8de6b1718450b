// Shards move between two groups on real servers: under writes, with movers that stand still at each step and wake up
// later, with writers that believe in the past, taken back, and stopped.

#include "store/mariadb/shard_mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
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
#include "store/mariadb/group_reader.h"
#include "store/mariadb/testing/shard_mover_fixture.h"
#include "topology/shard_map.h"
#include "topology/shard_move.h"

namespace muster::mariadb::shard_mover_test {
namespace {

using muster::testing::MariadbHarness;
using muster::testing::MariadbShardMover;
using muster::testing::WaitUntil;
using ::testing::HasSubstr;

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
  ~Writers() { End(); }
  // What every member has at least.
  std::map<MemberId, std::int64_t> End() {
    stops_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
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
  // Some of the group's shards, in four batches.
  const std::string moved = "0-62/2";
  Begin(moved);
  ASSERT_TRUE(AwaitEnd());
  const int count = writers.count();
  ASSERT_TRUE(WaitUntil([&] { return writers.count() > count + 200; }));
  const auto acknowledged = writers.End();
  EXPECT_EQ(Map()->ShardsOf(0), *ParseShards("64-1022/2"));
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
  // (innodb_trx is not renewed while it is read all the time.)
  EXPECT_TRUE(WaitUntil([this] {
    return harness_.server.ReadInteger(
               "SELECT variable_value FROM information_schema.global_status "
               "WHERE variable_name = 'innodb_row_lock_current_waits'") > 0;
  }));
  EXPECT_EQ(shards().DatabaseOf(id), 0U);
  may_commit.set_value();
  writer.join();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(shards().DatabaseOf(id), 1U);
  EXPECT_EQ(harness_.store->archive().ReadMembers(std::vector{id})->front().version, Version(2));
  ExpectInTheStreamOnceAndInOrder({{id, 2}});
}

// Two batches are to move; the first one is under way.
class MariadbShardMoverStopped : public MariadbShardMover, public ::testing::WithParamInterface<const char*> {};

TEST_P(MariadbShardMoverStopped, WhatIsSwitchedGoesOnToItsEndAndTheOthersStay) {
  harness_.MustOpen();
  const std::vector<MemberId> ids = Fill("0-30/2");
  const std::string step = GetParam();
  stop_.At(step);
  Begin("0-30/2");
  ASSERT_TRUE(stop_.Await());
  if (step == "fenced") EXPECT_GT(RowsIn(1, "0-14/2"), 0) << "they have been copied";
  Change([](TopologyDocument& document) { return StopShardMove(document); });
  stop_.LetGo();
  ASSERT_TRUE(AwaitEnd());
  const bool has_gone = step == "switched" || step == "cleaning";
  EXPECT_EQ(Map()->ShardsOf(1), *ParseShards("1-1023/2") | *ParseShards(has_gone ? "0-14/2" : ""));
  EXPECT_EQ(RowsIn(has_gone ? 0 : 1, "0-14/2"), 0);
  EXPECT_EQ(RowsIn(1, "16-30/2"), 0);
  harness_.MustOpen();  // the databases say so, too
  std::map<MemberId, std::int64_t> versions;
  for (const MemberId id : ids) {
    EXPECT_TRUE(Write(shards(), shards().DatabaseOf(id), id, 2));
    EXPECT_EQ(harness_.store->archive().ListHistory(id, Version(100), 10)->size(), 2U);
    versions[id] = 2;
  }
  ExpectInTheStreamOnceAndInOrder(versions);
}

INSTANTIATE_TEST_SUITE_P(Steps, MariadbShardMoverStopped,
                         ::testing::Values("copying", "fenced", "switched", "cleaning"));

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
    MUSTER_ASSIGN(const auto answer, rows.records().ReadAnswer(key, AnswerUse::kLook));
    EXPECT_TRUE(answer.has_value());
    return {};
  }));
}

// The fence of a mover that is lost does not outlive it: whoever follows compares all anew, and may have to wait for a
// group that is out of reach.
TEST_F(MariadbShardMover, WhoeverFollowsTakesTheFenceBackFirst) {
  harness_.MustOpen();
  const MemberId id = Fill("0").front();
  OpenOther();
  stop_.At("fenced");
  Begin("0");
  ASSERT_TRUE(stop_.Await());
  EXPECT_FALSE(Write(shards(), 0, id, 2));
  leads_ = false;
  other_stop_.At("copying");
  other_leads_ = true;
  ASSERT_TRUE(other_stop_.Await());
  EXPECT_EQ(Document()->shard_move->step, ShardMoveStep::kCopying);
  EXPECT_TRUE(Write(shards(), 0, id, 2));
  other_stop_.LetGo();
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(Write(shards(), 1, id, 3));
  ExpectInTheStreamOnceAndInOrder({{id, 3}});
}

// A registration has no member whose shard says where its answer is: its key says.
TEST_F(MariadbShardMover, ARegistrationIsNotDoneTwiceOnBothSidesOfASwitch) {
  harness_.MustOpen();
  IdAllocator ids(harness_.system_clock, 0, 1);
  ThreadTimer timer;
  const auto writer = MakeBindingWriter({.shards = &shards(),
                                         .catalog = &harness_.catalog,
                                         .ids = &ids,
                                         .clock = &harness_.system_clock,
                                         .timer = &timer});
  std::vector<RequestHash> keys;
  for (std::uint16_t number = 0; keys.size() < 2; ++number) {
    const RequestHash key{{0, 0, 0, 1, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
    if (ShardOf(key) == ShardId(0)) keys.push_back(key);
  }
  bool replayed = false;
  const auto enroll = [&](std::size_t number) {
    Member member;
    member.identities.push_back(muster::testing::MakeIdentity(number + 1));
    std::promise<Result<Member>> promise;
    WriteContext context;
    context.idempotency = {.key = keys[number], .fingerprint = {{7}}, .replayed = &replayed};
    Spawn(writer->Register(std::move(member), false, context),
          [&](Result<Member> made) { promise.set_value(std::move(made)); });
    return promise.get_future().get();
  };
  const Result<Member> first = enroll(0);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(shards().DatabaseOf(first->id), 0U);
  stop_.At("fenced");
  Begin("0");
  ASSERT_TRUE(stop_.Await());
  // The member could be made in another shard of the group; its repetition would look for it in the other group.
  const Result<Member> refused = enroll(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  stop_.LetGo();
  ASSERT_TRUE(AwaitEnd());
  const Result<Member> second = enroll(1);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(shards().DatabaseOf(second->id), 1U);
  EXPECT_FALSE(replayed);
  const Result<Member> again = enroll(0);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->id, first->id);
  EXPECT_TRUE(replayed);
}

// A server that has not heard of the topology for long believes that the rows are where they were.
TEST_F(MariadbShardMover, WhoeverFindsNoRowKnowsWhetherRowsWereDeleted) {
  harness_.MustOpen();
  Fill("0");
  const auto groups = std::make_shared<const std::vector<GroupPlacement>>(
      1, GroupPlacement{.name = "g0", .primary = *Endpoint::Parse(harness_.server.address()), .copies = {}});
  ServerWatch watch(1);
  GroupReader reader({.place = GroupPlace([&] { return groups; }, 0),
                      .account = {.user = "root", .password = {}},
                      .database = harness_.Database(0),
                      .timeouts = {}},
                     {}, harness_.system_clock, watch);
  const auto is_sure = [&](std::int64_t map_revision) {
    reader.BeginRound(ReadFrom::kPrimary);
    const Result<void> asked = reader.Run([](GroupReader::Server&) -> Result<void> { return {}; });
    EXPECT_TRUE(asked) << asked.error().message;
    reader.ConfirmRows(map_revision);
    return !reader.serving().is_doubtful;
  };
  EXPECT_TRUE(is_sure(0)) << "none have been deleted";
  Begin("0");
  ASSERT_TRUE(AwaitEnd());
  const std::int64_t cleaned = harness_.server.ReadInteger("SELECT cleaned_revision FROM fence", harness_.Database(0));
  EXPECT_GT(cleaned, 0);
  EXPECT_FALSE(is_sure(0));
  EXPECT_FALSE(is_sure(cleaned - 1));
  EXPECT_TRUE(is_sure(cleaned)) << "by a map as new as that, the shard lives elsewhere";
}

}  // namespace
}  // namespace muster::mariadb::shard_mover_test
