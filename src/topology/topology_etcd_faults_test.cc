#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>

#include "topology/testing/etcd_voters.h"
#include "topology/testing/faulty_proxy.h"
#include "topology/topology_etcd.h"
#include "topology/topology_watcher.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using testing::EtcdVoters;
using testing::FaultyProxy;
using ::testing::HasSubstr;
using testing::OpenEtcd;
using testing::OptionsFor;
using testing::SharedVoter;
using testing::SharedVoters;
using testing::WaitUntil;

constexpr milliseconds kLease{400};

const SystemClock& TestClock() {
  static const SystemClock clock;
  return clock;
}
Instant Now() { return TestClock().Monotonic(); }

// Looks at the lease at every read of the watcher: it may not go beyond a lease's length after the last read that was
// answered was sent.
class ProvingTopology final : public TopologyStore {
 public:
  ProvingTopology(TopologyStore& store, const WriterLeaseKeeper& lease) : store_(store), lease_(lease) {}

  Result<std::shared_ptr<const TopologyDocument>> Read() override {
    Prove();
    const Instant sent = Now();
    auto read = store_.Read();
    Prove();  // the answer is there, and not yet taken into account
    if (read) {
      answered_sent_ = sent;
      if (Now() - sent > kLease) ++late_;
    }
    return read;
  }
  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    return store_.Update(change);
  }
  int late() const { return late_; }

 private:
  void Prove() const {
    if (answered_sent_ != Instant{}) EXPECT_LE(lease_.valid_until(), answered_sent_ + kLease);
  }

  TopologyStore& store_;
  const WriterLeaseKeeper& lease_;
  Instant answered_sent_{};
  std::atomic<int> late_{0};  // answers
};

// What a process of a center has. A topology of "east" names it the writer.
struct Process {
  explicit Process(EtcdOptions with, Duration reread = std::chrono::seconds(3), bool writes = true,
                   const std::string& center = "east")
      : options(std::move(with)), store(OpenEtcd(options)), lease(center, LeaseTerm::kTimed) {
    if (writes && center == "east") EXPECT_TRUE(MoveTo("east"));
    watcher = std::make_unique<TopologyWatcher>(TopologyWatcher::Dependencies{.store = &proving,
                                                                              .signal = store->MakeSignal(),
                                                                              .clock = &TestClock(),
                                                                              .logger = &NullLogger(),
                                                                              .lease = writes ? &lease : nullptr,
                                                                              .reread = reread});
    const auto started = watcher->Start();
    EXPECT_TRUE(started) << started.error().message;
  }
  ~Process() { watcher->Stop(); }

  Result<std::shared_ptr<const TopologyDocument>> MoveTo(const std::string& writer) {
    return store->Update([&](TopologyDocument& document) -> Result<void> {
      document.epoch = Epoch(document.epoch.value() + 1);
      document.centers = {"east", "west"};
      document.writer = writer;
      document.lease_ms = kLease.count();
      return {};
    });
  }
  bool MayWrite() const { return lease.IsValid(Now()); }
  bool HasSeen(std::int64_t revision) const {
    return WaitUntil([&] { return watcher->revision() >= revision; });
  }

  EtcdOptions options;
  std::unique_ptr<EtcdTopologyStore> store;
  WriterLeaseKeeper lease;
  ProvingTopology proving{*store, lease};
  std::unique_ptr<TopologyWatcher> watcher;
};

EtcdOptions Patient(EtcdOptions options) {
  options.attempt_timeout_ms = 200;
  options.timeout_ms = 10'000;
  return options;
}

// It would read again in an hour.
TEST(EtcdWatcher, HearsOfChangesFromEtcd) {
  Process process(OptionsFor(SharedVoter().endpoints()), std::chrono::hours(1), false);
  std::atomic<std::int64_t> told{0};
  const auto subscription = process.watcher->Subscribe([&](const auto& document) {
    EXPECT_GT(document->revision, told);
    told = document->revision;
  });
  const auto other = OpenEtcd(process.options);
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(other->Update([](TopologyDocument&) -> Result<void> { return {}; }));
    EXPECT_TRUE(WaitUntil([&] { return told == i; })) << i;
  }
}

// What was put while the watch was down is compacted away: a watch that asked for it would be refused.
TEST(EtcdWatcher, MissesNothingOverACompactionWhileTheWatchIsDown) {
  FaultyProxy proxy(SharedVoter().endpoint(0));
  EtcdOptions options = OptionsFor({proxy.endpoint()});
  Process process(options, std::chrono::hours(1), false);
  EtcdOptions direct = options;
  direct.endpoints = SharedVoter().endpoints();
  const auto other = OpenEtcd(direct);
  ASSERT_TRUE(other->Update([](TopologyDocument&) -> Result<void> { return {}; }));
  ASSERT_TRUE(process.HasSeen(1)) << "the watch is up";
  proxy.Set(FaultyProxy::Fault::kCutOff);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(other->Update([](TopologyDocument&) -> Result<void> { return {}; }));
  const std::string answer = SharedVoter().Call(0, "/v3/kv/range", R"({"key":"aXM="})");
  const std::size_t begin = answer.find("\"revision\":\"") + 12;
  const std::string revision = answer.substr(begin, answer.find('"', begin) - begin);
  EXPECT_THAT(SharedVoter().Call(0, "/v3/kv/compaction", R"({"revision":")" + revision + R"(","physical":true})"),
              HasSubstr("header"));
  EXPECT_EQ(process.watcher->revision(), 1);
  proxy.Set(FaultyProxy::Fault::kNone);
  EXPECT_TRUE(process.HasSeen(4));
}

TEST(EtcdWatcher, ALeaseIsHeldWhileEtcdAnswersAndEndsAtOnceWithTheEpoch) {
  Process process(OptionsFor(SharedVoter().endpoints()));
  ASSERT_TRUE(process.MayWrite());
  const Instant first = process.lease.valid_until();
  EXPECT_TRUE(WaitUntil([&] { return process.lease.valid_until() > first + kLease; })) << "it is renewed";
  const Epoch epoch = process.lease.epoch();
  const auto other = OpenEtcd(process.options);
  const auto moved = other->Update([](TopologyDocument& document) -> Result<void> {
    document.epoch = Epoch(document.epoch.value() + 1);
    document.writer.clear();
    return {};
  });
  ASSERT_TRUE(moved);
  const Instant until = Now() + WaitAfterMove(**moved);
  ASSERT_TRUE(WaitUntil([&] { return !process.lease.current().Covers(epoch, Now()); }));
  EXPECT_LT(process.lease.valid_until(), until);
  ASSERT_TRUE(process.HasSeen((*moved)->revision));
  EXPECT_FALSE(process.MayWrite());
}

// The steps of a failover while the writer is cut off from etcd, and does not hear of it: take the right under a new
// epoch, wait out the leases, give it.
TEST(EtcdWatcher, LeasesOfTwoEpochsAreNeverHeldAtOnce) {
  const EtcdOptions direct = OptionsFor(SharedVoter().endpoints());
  const auto controller = OpenEtcd(direct);
  std::array<FaultyProxy, 2> proxies = {FaultyProxy(SharedVoter().endpoint(0)), FaultyProxy(SharedVoter().endpoint(0))};
  const auto through = [&](int proxy) {
    EtcdOptions options = direct;
    options.endpoints = {proxies[proxy].endpoint()};
    options.timeout_ms = 300;
    return options;
  };
  Process east(through(0));
  Process west(through(1), std::chrono::seconds(3), true, "west");
  std::jthread observer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const WriterLease of_east = east.lease.current();
      const WriterLease of_west = west.lease.current();
      if (of_east.epoch == of_west.epoch) continue;
      EXPECT_GE(Now(), std::min(of_east.valid_until, of_west.valid_until));
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 3; ++i) {
    const std::string next = i % 2 == 0 ? "west" : "east";
    const auto before = controller->Read();
    ASSERT_TRUE(before) << before.error().message;
    proxies[i % 2].Set(FaultyProxy::Fault::kCutOff);
    const auto taken = controller->Update([&](TopologyDocument& document) -> Result<void> {
      document.epoch = Epoch(document.epoch.value() + 1);
      document.writer.clear();
      return {};
    });
    ASSERT_TRUE(taken) << taken.error().message;
    const Instant over_at = Now() + WaitAfterMove(**before);
    EXPECT_TRUE(WaitUntil([&] { return Now() >= over_at; }));
    ASSERT_TRUE(controller->Update([&](TopologyDocument& document) -> Result<void> {
      document.writer = next;
      return {};
    }));
    EXPECT_TRUE(WaitUntil([&] { return (next == "west" ? west : east).MayWrite(); }));
    proxies[i % 2].Set(FaultyProxy::Fault::kNone);
    EXPECT_TRUE(WaitUntil([&] { return (next == "west" ? east : west).watcher->Health().has_value(); }));
  }
}

// The answer comes when the voter is thawed: too late for the lease that it confirms.
TEST(EtcdWatcher, ALateAnswerProlongsNoLease) {
  EtcdVoters& voter = SharedVoter();
  EtcdOptions options = Patient(OptionsFor(voter.endpoints()));
  options.attempt_timeout_ms = 10'000;
  Process process(options);
  voter.Freeze(0);
  EXPECT_TRUE(WaitUntil([&] { return !process.MayWrite(); }));
  EXPECT_EQ(process.lease.valid_until(), process.watcher->confirmed_at() + kLease);
  EXPECT_EQ(process.watcher->snapshot()->writer, "east") << "reads of the topology go on";
  const Instant frozen_at = Now();
  EXPECT_TRUE(WaitUntil([&] { return Now() > frozen_at + kLease; }));
  EXPECT_GT(process.watcher->AgeOfConfirmation(), 2 * kLease);
  voter.Thaw(0);
  EXPECT_TRUE(WaitUntil([&] { return process.MayWrite(); })) << "a new one is granted";
  EXPECT_GE(process.proving.late(), 1);
}

TEST(EtcdWatcher, TheTopologyFreezesWhileEtcdIsGone) {
  EtcdVoters& voter = SharedVoter();
  EtcdOptions options = OptionsFor(voter.endpoints());
  options.timeout_ms = 300;
  Process process(options);
  voter.Kill(0);
  EXPECT_TRUE(WaitUntil([&] { return !process.watcher->Health(); }));
  EXPECT_THAT(process.watcher->Health().error().message, HasSubstr("is etcd running"));
  EXPECT_TRUE(WaitUntil([&] { return !process.MayWrite(); }));
  EXPECT_LE(process.lease.valid_until(), process.watcher->confirmed_at() + kLease);
  const Instant began = Now();
  const auto updated = process.MoveTo("east");
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(updated.error().message, HasSubstr("Nothing was changed"));
  EXPECT_LT(Now() - began, milliseconds(options.timeout_ms) + std::chrono::seconds(2));
  EXPECT_EQ(process.watcher->snapshot()->revision, 1);
  voter.Start(0);
  EXPECT_TRUE(WaitUntil([&] { return process.watcher->Health().has_value() && process.MayWrite(); }));
  EXPECT_GE(process.watcher->failures(), 1U);
}

// Whichever of three voters is lost, the others elect a leader and go on.
TEST(EtcdWatcher, AMinorityMayBeLost) {
  EtcdVoters& voters = SharedVoters();
  Process process(Patient(OptionsFor(voters.endpoints())));
  for (int lost = 0; lost < 3; ++lost) {
    voters.Kill(lost);
    const auto updated = process.MoveTo("east");
    ASSERT_TRUE(updated) << updated.error().message;
    EXPECT_TRUE(process.HasSeen((*updated)->revision));
    EXPECT_TRUE(WaitUntil([&] { return process.MayWrite(); }));
    voters.Start(lost);
    ASSERT_TRUE(voters.WaitUntilServing());
  }
}

TEST(EtcdWatcher, AMinorityMayHang) {
  EtcdVoters& voters = SharedVoters();
  Process process(Patient(OptionsFor(voters.endpoints())));
  voters.Freeze(0);
  const auto updated = process.MoveTo("east");
  EXPECT_TRUE(updated) << updated.error().message;
  EXPECT_TRUE(process.HasSeen(2));
  EXPECT_TRUE(WaitUntil([&] { return process.MayWrite(); }));
  voters.Thaw(0);
  ASSERT_TRUE(voters.WaitUntilServing());
}

// On it a watch stays open and says nothing, for ever.
TEST(EtcdWatcher, AWatchLeavesAVoterThatHangs) {
  EtcdVoters& voters = SharedVoters();
  const auto store = OpenEtcd(Patient(OptionsFor(voters.endpoints())));
  const auto signal = store->MakeSignal();
  EXPECT_TRUE(signal->Wait(std::chrono::seconds(10))) << "it is open";
  voters.Freeze(0);
  EXPECT_TRUE(store->Read());
  EXPECT_TRUE(signal->Wait(std::chrono::seconds(10))) << "it is open elsewhere";
  EXPECT_TRUE(store->Update([](TopologyDocument&) -> Result<void> { return {}; }));
  EXPECT_TRUE(signal->Wait(std::chrono::seconds(10)));
  signal->Wake();
  EXPECT_FALSE(signal->Wait(std::chrono::seconds(10)));
  voters.Thaw(0);
  ASSERT_TRUE(voters.WaitUntilServing());
}

TEST(EtcdWatcher, WithoutAMajorityTheTopologyFreezes) {
  EtcdVoters& voters = SharedVoters();
  EtcdOptions options = OptionsFor(voters.endpoints());
  options.timeout_ms = 800;
  Process process(options);
  voters.Kill(1);
  voters.Freeze(2);
  EXPECT_TRUE(WaitUntil([&] { return !process.MayWrite(); }));
  const Instant began = Now();
  const auto updated = process.MoveTo("east");
  ASSERT_FALSE(updated);
  EXPECT_LT(Now() - began, milliseconds(options.timeout_ms) + std::chrono::seconds(2));
  EXPECT_EQ(updated.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(updated.error().message, HasSubstr("etcd has no quorum or is too slow"));
  EXPECT_TRUE(WaitUntil([&] { return !process.watcher->Health(); }));
  EXPECT_EQ(process.watcher->snapshot()->writer, "east");
  EXPECT_FALSE(process.MayWrite()) << "and no old answer makes it so";
  voters.Thaw(2);
  voters.Start(1);
  ASSERT_TRUE(voters.WaitUntilServing());
  EXPECT_TRUE(WaitUntil([&] { return process.MayWrite(); }));
  EXPECT_TRUE(process.MoveTo("east"));
}

}  // namespace
}  // namespace muster
