#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "domain/ports/shard_store_testing.h"
#include "store/mariadb/shard_mover_options.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "topology/shard_map.h"
#include "topology/shard_move.h"
#include "topology/testing/two_center_topology.h"

namespace muster::testing {

// Where a mover stands still, until it is let go.
class MoverStop {
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

// Two groups of real databases, a topology that names them, and a mover in each of two processes.
class MariadbShardMover : public ::testing::Test {
 protected:
  MariadbShardMover() {
    topology_ = *OpenTopologyFile(directory_.path() + "/topology.json");
    Change([](TopologyDocument& document) -> Result<void> {
      const TopologyDocument two = TwoCenters(2);
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

  mariadb::ShardMoverOptions MoverNamed(const std::string& name, MoverStop& stop, std::atomic<bool>& leads) {
    return {
        .topology = topology_.get(),
        .sight = [this, &leads] { return mariadb::ShardMoverOptions::Sight{.document = Document(), .leads = leads}; },
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

  TemporaryDirectory directory_;
  std::unique_ptr<TopologyStore> topology_;
  MoverStop stop_;
  MoverStop other_stop_;
  std::atomic<bool> leads_{true};
  std::atomic<bool> other_leads_{false};
  MariadbHarness harness_{2};
  MetricRegistry other_metrics_;
  std::unique_ptr<MariadbStore> other_;
};

}  // namespace muster::testing
