// What the topology says of caches, and what changes it: CacheStates, TopologyBypass and CacheKeeper on one topology.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <optional>

#include "cache/cache_keeper.h"
#include "cache/cache_states.h"
#include "cache/topology_bypass.h"
#include "topology/testing/two_center_topology.h"
#include "topology/topology_watcher.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A center's servers, as the keeper sees them.
struct FakeServers {
  bool is_reachable = true;
  Epoch epoch{0};
  InvalidationKind probed = InvalidationKind::kDone;
  int probes = 0;

  CacheKeeper::Center As(const std::string& name) {
    return {.name = name,
            .is_reachable = [this](Deadline) { return is_reachable; },
            .begin_epoch = [this](Epoch wanted, Deadline) -> Result<bool> {
              if (wanted < epoch) return Fail(Reason::kStateConflict, "a newer epoch is there");
              return std::exchange(epoch, wanted) != wanted;
            },
            .probe =
                [this](Deadline) {
                  ++probes;
                  return probed;
                }};
  }
};

class CenterUpkeepTest : public ::testing::Test {
 protected:
  CenterUpkeepTest() {
    char path[] = "/tmp/muster-upkeep-XXXXXX";
    directory_ = mkdtemp(path);
    store_ = OpenTopologyFile(directory_ + "/topology.json").value();
    TopologyDocument first = testing::TwoCenters();
    Change([&](TopologyDocument& document) {
      document.centers = first.centers;
      document.groups = first.groups;
      document.epoch = first.epoch;
      document.writer = first.writer;
    });
    lease_.emplace("east", LeaseTerm::kTimed);
    watcher_.emplace(TopologyWatcher::Dependencies{.store = store_.get(),
                                                   .signal = MakeSilentSignal(),
                                                   .clock = &clock_,
                                                   .logger = &NullLogger(),
                                                   .lease = &*lease_});
    EXPECT_TRUE(watcher_->Start());
    states_.emplace(*watcher_, clock_, std::vector<std::string>{"east", "west"});
    bypass_.emplace(TopologyBypass::Dependencies{.store = store_.get(),
                                                 .watcher = &*watcher_,
                                                 .states = &*states_,
                                                 .clock = &clock_,
                                                 .timer = &timer_,
                                                 .logger = &NullLogger()});
    bypass_->Start();
  }
  ~CenterUpkeepTest() override {
    bypass_.reset();
    states_.reset();
    watcher_->Stop();
    std::filesystem::remove_all(directory_);
  }

  // Stored, and known to this process.
  void Change(const std::function<void(TopologyDocument&)>& change) {
    const auto stored = store_->Update([&](TopologyDocument& document) -> Result<void> {
      change(document);
      return {};
    });
    ASSERT_TRUE(stored) << stored.error().message;
    if (watcher_) ASSERT_TRUE(watcher_->Await((*stored)->revision, Deadline()));
  }
  void SetCache(const std::string& center, std::int64_t epoch, CacheMode mode) {
    Change([&](TopologyDocument& document) {
      if (document.FindCache(center) == nullptr) document.caches.push_back({.center = center});
      *document.FindCache(center) = {.center = center, .epoch = Epoch(epoch), .mode = mode};
    });
  }
  CacheRecord CacheOf(const std::string& center) {
    const CacheRecord* const cache = watcher_->snapshot()->FindCache(center);
    return cache == nullptr ? CacheRecord() : *cache;
  }
  // Another thread may be about to.
  void ExpectBypassed(const std::string& center, Epoch epoch) {
    const std::int64_t revision = watcher_->revision();
    EXPECT_TRUE(watcher_->Await(CacheOf(center).mode == CacheMode::kBypass ? revision : revision + 1, Deadline()));
    EXPECT_EQ(CacheOf(center), (CacheRecord{.center = center, .epoch = epoch, .mode = CacheMode::kBypass}));
  }
  CacheKeeper MakeKeeper(std::map<std::string, FakeServers>& servers, const std::string& center = "east") {
    std::vector<CacheKeeper::Center> centers;
    for (auto& [name, one] : servers) centers.push_back(one.As(name));
    return {std::move(centers), CacheKeeper::Options{.center = center},
            CacheKeeper::Dependencies{.store = store_.get(),
                                      .watcher = &*watcher_,
                                      .bypass = &*bypass_,
                                      .clock = &clock_,
                                      .logger = &NullLogger()}};
  }

  std::string directory_;
  ManualClock clock_;
  ManualTimer timer_{clock_};
  std::unique_ptr<TopologyStore> store_;
  std::optional<WriterLeaseKeeper> lease_;
  std::optional<TopologyWatcher> watcher_;
  std::optional<CacheStates> states_;
  std::optional<TopologyBypass> bypass_;
};

TEST_F(CenterUpkeepTest, AStateIsBelievedForALease) {
  const CacheStateSource east = states_->Of("east");
  EXPECT_EQ(east().mode, CacheMode::kBypass) << "the topology does not name it";
  EXPECT_EQ(east().epoch, Epoch(0));
  SetCache("east", 1, CacheMode::kWarming);
  EXPECT_EQ(east().mode, CacheMode::kWarming);
  SetCache("east", 1, CacheMode::kOn);
  EXPECT_EQ(east().mode, CacheMode::kOn);
  EXPECT_EQ(east().epoch, Epoch(1));
  EXPECT_EQ(east().valid_until, watcher_->confirmed_at() + seconds(1));
  EXPECT_EQ(states_->Of("west")().mode, CacheMode::kBypass);
}

TEST_F(CenterUpkeepTest, ABypassIsKnownHereOnceItIsReplied) {
  SetCache("west", 4, CacheMode::kWarming);
  SetCache("west", 4, CacheMode::kOn);
  std::promise<Result<void>> replied;
  bypass_->Bypass("west", Epoch(4), Deadline(), [&](Result<void> result) { replied.set_value(std::move(result)); });
  ASSERT_TRUE(replied.get_future().get());
  EXPECT_EQ(states_->Of("west")().mode, CacheMode::kBypass);
  EXPECT_EQ(states_->Of("west")().epoch, Epoch(5));
  // Of an epoch that is over: it is bypassed already.
  const std::int64_t revision = watcher_->revision();
  std::promise<Result<void>> again;
  bypass_->Bypass("west", Epoch(4), Deadline(), [&](Result<void> result) { again.set_value(std::move(result)); });
  ASSERT_TRUE(again.get_future().get());
  EXPECT_EQ(watcher_->revision(), revision);
}

TEST_F(CenterUpkeepTest, ReadersOfABypassedCacheAreWaitedForByTheirLease) {
  SetCache("west", 4, CacheMode::kWarming);
  const Instant seen = clock_.Monotonic();
  SetCache("west", 5, CacheMode::kBypass);
  std::optional<Result<void>> answer;
  bypass_->AwaitReaders("west", Epoch(5), Deadline::After(clock_, milliseconds(500)),
                        [&](Result<void> result) { answer = std::move(result); });
  ASSERT_TRUE(answer);
  EXPECT_FALSE(*answer) << "a reader may believe for a second what it knew";
  answer.reset();
  bypass_->AwaitReaders("west", Epoch(5), Deadline::After(clock_, seconds(5)),
                        [&](Result<void> result) { answer = std::move(result); });
  ASSERT_TRUE(answer);
  EXPECT_TRUE(*answer);
  EXPECT_GE(clock_.Monotonic(), seen + seconds(1));
  // An epoch that nobody has seen cannot be waited for.
  bypass_->AwaitReaders("west", Epoch(9), Deadline::After(clock_, seconds(5)),
                        [&](Result<void> result) { answer = std::move(result); });
  EXPECT_FALSE(*answer);
}

TEST_F(CenterUpkeepTest, NewCachesAreWarmedAndThenUsed) {
  std::map<std::string, FakeServers> servers;
  servers["east"];
  servers["west"].is_reachable = false;
  CacheKeeper keeper = MakeKeeper(servers);
  keeper.Step();
  EXPECT_EQ(CacheOf("east"), (CacheRecord{.center = "east", .epoch = Epoch(1), .mode = CacheMode::kWarming}));
  EXPECT_EQ(servers["east"].epoch, Epoch(1)) << "a writer that hears of it finds it";
  EXPECT_EQ(watcher_->snapshot()->FindCache("west"), nullptr);
  keeper.Step();
  clock_.Advance(seconds(5));
  keeper.Step();
  EXPECT_EQ(CacheOf("east").mode, CacheMode::kWarming) << "a writer may not know it yet, or a replica lack something";
  clock_.Advance(milliseconds(1100));
  keeper.Step();
  EXPECT_EQ(CacheOf("east"), (CacheRecord{.center = "east", .epoch = Epoch(1), .mode = CacheMode::kOn}));
}

TEST_F(CenterUpkeepTest, WhatIsLostWhileItWarmsBeginsAgain) {
  std::map<std::string, FakeServers> servers;
  servers["east"];
  CacheKeeper keeper = MakeKeeper(servers);
  keeper.Step();
  keeper.Step();
  clock_.Advance(seconds(7));
  servers["east"].epoch = Epoch(0);
  keeper.Step();
  EXPECT_EQ(CacheOf("east"), (CacheRecord{.center = "east", .epoch = Epoch(2), .mode = CacheMode::kWarming}));
  keeper.Step();
  EXPECT_EQ(CacheOf("east").mode, CacheMode::kWarming) << "its time begins anew";
}

TEST_F(CenterUpkeepTest, ABypassedCacheComesBackOnceItWasInReachForAWhile) {
  SetCache("west", 4, CacheMode::kBypass);
  std::map<std::string, FakeServers> servers;
  servers["west"].epoch = Epoch(3);
  CacheKeeper keeper = MakeKeeper(servers);
  keeper.Step();
  clock_.Advance(seconds(4));
  servers["west"].is_reachable = false;
  keeper.Step();
  servers["west"].is_reachable = true;
  keeper.Step();
  clock_.Advance(seconds(4));
  keeper.Step();
  EXPECT_EQ(CacheOf("west").mode, CacheMode::kBypass);
  clock_.Advance(seconds(1));
  keeper.Step();
  EXPECT_EQ(CacheOf("west"), (CacheRecord{.center = "west", .epoch = Epoch(5), .mode = CacheMode::kWarming}));
}

TEST_F(CenterUpkeepTest, ServersOfAnOlderLifeGetAnEpochAboveTheirs) {
  std::map<std::string, FakeServers> servers;
  servers["east"].epoch = Epoch(1000);
  CacheKeeper keeper = MakeKeeper(servers);
  keeper.Step();
  EXPECT_EQ(CacheOf("east").epoch, Epoch(1'700'000'000));
}

TEST_F(CenterUpkeepTest, ACacheThatLostWhatItHadIsBypassedThoughNobodyWrites) {
  SetCache("west", 4, CacheMode::kWarming);
  SetCache("west", 4, CacheMode::kOn);
  std::map<std::string, FakeServers> servers;
  servers["west"].epoch = Epoch(4);
  CacheKeeper keeper = MakeKeeper(servers);
  keeper.Step();
  EXPECT_EQ(servers["west"].probes, 1);
  keeper.Step();
  EXPECT_EQ(servers["west"].probes, 1) << "once in a while";
  EXPECT_EQ(CacheOf("west").mode, CacheMode::kOn);
  servers["west"].probed = InvalidationKind::kLost;
  clock_.Advance(seconds(1));
  keeper.Step();
  ExpectBypassed("west", Epoch(5));
}

TEST_F(CenterUpkeepTest, ACacheThatDoesNotAnswerAnyMoreIsBypassedBeforeAWriteFindsOut) {
  SetCache("west", 4, CacheMode::kWarming);
  SetCache("west", 4, CacheMode::kOn);
  std::map<std::string, FakeServers> servers;
  servers["west"].epoch = Epoch(4);
  CacheKeeper keeper = MakeKeeper(servers);
  // This process has not been connected to it yet.
  servers["west"].is_reachable = false;
  keeper.Step();
  clock_.Advance(seconds(5));
  keeper.Step();
  EXPECT_EQ(CacheOf("west").mode, CacheMode::kOn);
  servers["west"].is_reachable = true;
  keeper.Step();
  // One that answers again in time stays.
  servers["west"].probed = InvalidationKind::kUnreachable;
  clock_.Advance(milliseconds(250));
  keeper.Step();
  clock_.Advance(milliseconds(499));
  servers["west"].probed = InvalidationKind::kDone;
  keeper.Step();
  servers["west"].is_reachable = false;
  keeper.Step();
  clock_.Advance(milliseconds(499));
  keeper.Step();
  EXPECT_EQ(CacheOf("west").mode, CacheMode::kOn);
  clock_.Advance(milliseconds(1));
  keeper.Step();
  ExpectBypassed("west", Epoch(5));
  clock_.Advance(seconds(1));
  keeper.Step();
  EXPECT_EQ(CacheOf("west").epoch, Epoch(5)) << "that it goes on not to answer changes nothing";
}

TEST_F(CenterUpkeepTest, OnlyTheCenterThatWritesDoesThat) {
  std::map<std::string, FakeServers> servers;
  servers["west"];
  CacheKeeper keeper = MakeKeeper(servers, "west");
  keeper.Step();
  EXPECT_TRUE(watcher_->snapshot()->caches.empty());
}

}  // namespace
}  // namespace muster
