#include "topology/failover/failover_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "topology/failover/memory_observer_board.h"
#include "topology/failover/testing/memory_databases.h"
#include "topology/testing/two_center_topology.h"

namespace muster::failover {
namespace {

using ::testing::HasSubstr;

bool WaitUntil(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

// Databases in memory for several threads, and what moves between them whenever one of them is looked at.
class SharedDatabases {
 public:
  explicit SharedDatabases(const TopologyDocument& document) {
    for (const GroupRecord& group : document.groups) {
      for (const DatabaseRecord& record : group.databases) databases_.Add(record.name);
      MUSTER_CHECK(databases_.Govern(group.primary, 1, {.is_writable = true, .waits = true}).has_value());
      for (const DatabaseRecord& record : group.databases) {
        if (record.name == group.primary) continue;
        const ReplicationSource source{.name = group.primary,
                                       .address = group.Find(group.primary)->AddressFrom(record.center)};
        const bool is_acker = group.FindAcker(record.name) != nullptr;
        const Acknowledging acknowledges = is_acker ? Acknowledging::kYes : Acknowledging::kNo;
        MUSTER_CHECK(databases_.Follow(record.name, 1, source, acknowledges).has_value());
      }
    }
  }

  void With(const std::function<void(MemoryDatabases&)>& what) {
    std::lock_guard lock(mutex_);
    what(databases_);
  }
  std::unique_ptr<ReplicaControl> MakeControl(const std::string& name) {
    return std::make_unique<Control>(*this, name);
  }

 private:
  class Control final : public ReplicaControl {
   public:
    Control(SharedDatabases& shared, std::string name) : shared_(shared), name_(std::move(name)) {}
    Result<DatabaseState> Look(Deadline /*deadline*/) override {
      std::lock_guard lock(shared_.mutex_);
      shared_.databases_.Receive(name_);
      shared_.databases_.Apply(name_);
      return shared_.databases_.Look(name_);
    }
    Result<void> StopReceiving(std::int64_t revision, Deadline /*deadline*/) override {
      std::lock_guard lock(shared_.mutex_);
      return shared_.databases_.StopReceiving(name_, revision);
    }
    Result<void> Follow(std::int64_t revision, const ReplicationSource& source, Acknowledging acknowledges,
                        Deadline /*deadline*/) override {
      std::lock_guard lock(shared_.mutex_);
      return shared_.databases_.Follow(name_, revision, source, acknowledges);
    }
    Result<void> Promote(std::int64_t revision, bool waits, Deadline /*deadline*/) override {
      std::lock_guard lock(shared_.mutex_);
      return shared_.databases_.Promote(name_, revision, waits);
    }
    Result<void> Govern(std::int64_t revision, const PrimaryOrder& order, Deadline /*deadline*/) override {
      std::lock_guard lock(shared_.mutex_);
      return shared_.databases_.Govern(name_, revision, order);
    }
    Result<std::string> Rebuild(std::int64_t revision, const ReplicationSource& source,
                                const std::function<bool()>& /*goes_on*/) override {
      std::lock_guard lock(shared_.mutex_);
      return shared_.databases_.Rebuild(name_, revision, source);
    }

   private:
    SharedDatabases& shared_;
    const std::string name_;
  };

  std::mutex mutex_;
  MemoryDatabases databases_;  // guarded by mutex_
};

class FailoverRunnerTest : public ::testing::Test {
 protected:
  FailoverRunnerTest() : directory_("/tmp/muster-runner-XXXXXX"), databases(::muster::testing::TwoDistantCenters()) {
    MUSTER_CHECK(::mkdtemp(directory_.data()) != nullptr);
    auto opened = OpenTopologyFile(directory_ + "/topology.json");
    MUSTER_CHECK(opened.has_value());
    store = *std::move(opened);
    MUSTER_CHECK(store
                     ->Update([](TopologyDocument& document) -> Result<void> {
                       document = ::muster::testing::TwoDistantCenters();
                       return {};
                     })
                     .has_value());
    for (const auto& [name, center] : {std::pair("sw", "west"), std::pair("so", "witness")}) {
      boards_.push_back(std::make_unique<MemoryObserverBoard>(shared_));
      runners.push_back(std::make_unique<FailoverRunner>(
          FailoverRunnerOptions{.name = name, .center = center, .order_patience = std::chrono::milliseconds(1000)},
          FailoverRunner::Dependencies{
              .store = store.get(),
              .board = boards_.back().get(),
              .make_control = [this](const GroupRecord&,
                                     const DatabaseRecord& record) { return databases.MakeControl(record.name); },
              .clock = &clock_,
              .random = &random_,
              .logger = &NullLogger()}));
      MUSTER_CHECK(runners.back()->Start().has_value());
    }
    EXPECT_TRUE(WaitUntil([&] { return runners[0]->Status().databases.size() == 4; }));
  }
  ~FailoverRunnerTest() override {
    for (const auto& runner : runners) runner->Stop();
    std::filesystem::remove_all(directory_);
  }

  TopologyDocument Topology() { return **store->Read(); }
  void Kill(std::initializer_list<const char*> names) {
    databases.With([&](MemoryDatabases& all) {
      for (const char* const name : names) all.Kill(name);
    });
  }

  std::string directory_;
  const SystemClock clock_;
  SystemRandom random_;
  std::shared_ptr<MemoryObserverBoard::Shared> shared_ = std::make_shared<MemoryObserverBoard::Shared>();
  std::vector<std::unique_ptr<MemoryObserverBoard>> boards_;
  SharedDatabases databases;
  std::unique_ptr<TopologyStore> store;
  std::vector<std::unique_ptr<FailoverRunner>> runners;
};

TEST_F(FailoverRunnerTest, ALostCenterIsFailedOver) {
  Kill({"e1", "e2"});
  EXPECT_TRUE(WaitUntil([&] { return Topology().writer == "west"; }));
  const TopologyDocument document = Topology();
  EXPECT_EQ(document.groups[0].durability, Durability::kDegraded);
  ASSERT_EQ(document.failovers.size(), 1U);
  EXPECT_THAT(document.failovers[0].cause, HasSubstr("primary e1 of center east has not answered"));
}

TEST_F(FailoverRunnerTest, AnOperatorSwitchesOver) {
  EXPECT_TRUE(WaitUntil([&] { return runners[1]->Plan({.kind = FailoverKind::kPlanned}).is_possible(); }));
  const auto begun = runners[1]->Act({.kind = FailoverKind::kPlanned, .by_operator = true, .cause = "test"});
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(begun->to, "west");
  EXPECT_TRUE(WaitUntil([&] { return Topology().writer == "west" && !Topology().failover; }));
  EXPECT_EQ(Topology().groups[0].durability, Durability::kBothCenters);
}

TEST_F(FailoverRunnerTest, ADatabaseThatHasDivergedIsRebuiltOnRequest) {
  databases.With([](MemoryDatabases& all) { all["e2"].log.push_back({.server = 99, .value = 1}); });
  const auto is_diverged = [&] { return runners[1]->Status().databases["e2"].state.fault != ReplicaFault::kNone; };
  EXPECT_TRUE(WaitUntil(is_diverged));
  EXPECT_EQ(runners[1]->Rebuild("e9", false).error().reason, Reason::kNotFound);
  // Where this process gets no processor for a while, the primary has not answered for too long to be asked.
  const auto rebuilds = [&](bool dry_run) {
    return WaitUntil([&] { return runners[1]->Rebuild("e2", dry_run).has_value(); });
  };
  EXPECT_TRUE(rebuilds(true));
  EXPECT_FALSE(Topology().groups[0].Find("e2")->rebuild) << "that was a dry run";
  EXPECT_TRUE(rebuilds(false));
  EXPECT_TRUE(Topology().groups[0].Find("e2")->rebuild);
  EXPECT_TRUE(WaitUntil([&] { return !Topology().groups[0].Find("e2")->rebuild; }));
  EXPECT_TRUE(WaitUntil([&] { return !is_diverged(); }));
  // There is no need for it any more, as soon as this runner has heard that it has ended.
  EXPECT_TRUE(WaitUntil([&] {
    const auto again = runners[1]->Rebuild("e2", true);
    return !again && again.error().reason == Reason::kStateConflict;
  }));
}

// Its last commits wait for an acknowledgement that nobody will give, so it cannot become a replica by itself.
TEST_F(FailoverRunnerTest, AnOldPrimaryThatObeysNoOrderNeedsSomebody) {
  databases.With([](MemoryDatabases& all) {
    EXPECT_GT(all.Write("e1", 7), 0U);
    all["e1"].is_frozen = all["e2"].is_frozen = true;
  });
  EXPECT_TRUE(WaitUntil([&] { return Topology().writer == "west"; }));
  databases.With([](MemoryDatabases& all) { all["e1"].is_frozen = all["e2"].is_frozen = false; });
  const auto count = [&](const char* text) {
    return std::ranges::count_if(runners, [&](const auto& runner) {
      return std::ranges::any_of(runner->Status().attention,
                                 [&](const std::string& one) { return one.find(text) != std::string::npos; });
    });
  };
  EXPECT_TRUE(WaitUntil([&] { return count("e1 has commits that wait") > 0; }));
  // The controller tells the others.
  EXPECT_TRUE(WaitUntil([&] { return count("e1 does not obey the order 'follow w") == std::ssize(runners); }));
  databases.With([](MemoryDatabases& all) {
    all.Kill("e1");
    all.Run("e1", MemoryDatabases::Start::kAsReplica);
  });
  EXPECT_TRUE(WaitUntil([&] { return count("does not obey") == 0; }));
}

TEST_F(FailoverRunnerTest, WhatWaitsSaysSoUntilTheLossIsAccepted) {
  EXPECT_EQ(runners[0]->AcceptLoss().error().reason, Reason::kStateConflict) << "nothing is under way";
  Kill({"w2"});
  Kill({"e1", "e2"});
  EXPECT_TRUE(
      WaitUntil([&] { return !runners[0]->Status().attention.empty() || !runners[1]->Status().attention.empty(); }));
  EXPECT_EQ(Topology().writer, "east");
  const auto refused = runners[0]->Act({.kind = FailoverKind::kLoss, .by_operator = true});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("acker-vanished"));
  const auto begun =
      runners[0]->Act({.kind = FailoverKind::kLoss, .by_operator = true, .accepts_loss = true, .cause = "test"});
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_FALSE(begun->losses.empty());
  EXPECT_TRUE(WaitUntil([&] { return Topology().writer == "west"; }));
}

}  // namespace
}  // namespace muster::failover
