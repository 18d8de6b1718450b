#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "store/mariadb/testing/mariadb_group.h"
#include "store/mariadb/testing/mariadb_runners.h"
#include "topology/failover/failover_runner.h"
#include "topology/topology_codec.h"
#include "topology/writer_lease.h"

namespace muster::mariadb {
namespace {

using failover::FailoverRunner;
using failover::ReplicaFault;
using muster::testing::MariadbGroup;
using muster::testing::WaitUntil;

// A server that writes numbers while its center may, as muster does: by the primary that the topology names, under a
// lease that it looks at before and after.
class WritingServer {
 public:
  WritingServer(TopologyStore& store, std::string center, std::atomic<std::int64_t>& next)
      : store_(store), keeper_(center, LeaseTerm::kTimed), center_(std::move(center)), next_(next) {
    lease_thread_ = std::thread([this] { KeepLease(); });
    write_thread_ = std::thread([this] { Write(); });
  }
  ~WritingServer() { Stop(); }

  void Stop() {
    stops_ = true;
    if (lease_thread_.joinable()) lease_thread_.join();
    if (write_thread_.joinable()) write_thread_.join();
  }
  std::set<std::int64_t> acknowledged() const {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::size_t count() const {
    std::lock_guard lock(mutex_);
    return acknowledged_.size();
  }
  // Between two acknowledged writes, since it was last asked.
  Duration TakeLongestPause() { return Duration(longest_pause_.exchange(0)); }

 private:
  void KeepLease() {
    while (!stops_) {
      const Instant sent = clock_.Monotonic();
      if (auto document = store_.Read()) {
        keeper_.Confirm(**document, sent);
        std::lock_guard lock(mutex_);
        document_ = *std::move(document);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  void Write() {
    std::unique_ptr<Connection> connection;
    std::string connected_to;
    Instant last = clock_.Monotonic();
    while (!stops_) {
      std::shared_ptr<const TopologyDocument> document;
      {
        std::lock_guard lock(mutex_);
        document = document_;
      }
      const WriterLease lease = keeper_.current();
      if (!document || document->writer != center_ || !lease.Covers(document->epoch, clock_.Monotonic())) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        continue;
      }
      const GroupRecord& group = document->groups[0];
      const std::string address = group.Find(group.primary)->address;
      if (!connection || connection->is_lost() || connected_to != address) {
        auto opened =
            Connection::Open(*Endpoint::Parse(address), {.user = "root", .password = {}}, "muster",
                             {.connect = std::chrono::seconds(1), .statement = std::chrono::seconds(1)}, Use::kWrite);
        if (!opened) continue;
        connection = *std::move(opened);
        connected_to = address;
      }
      const std::int64_t number = ++next_;
      if (!connection->Execute("INSERT INTO written VALUES (" + std::to_string(number) + ")")) continue;
      const Instant now = clock_.Monotonic();
      if (!keeper_.current().Covers(document->epoch, now)) continue;
      longest_pause_ = std::max(longest_pause_.load(), (now - last).count());
      last = now;
      std::lock_guard lock(mutex_);
      acknowledged_.insert(number);
    }
  }

  const SystemClock clock_;
  TopologyStore& store_;
  WriterLeaseKeeper keeper_;
  const std::string center_;
  std::atomic<std::int64_t>& next_;
  std::atomic<bool> stops_{false};
  std::atomic<std::int64_t> longest_pause_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const TopologyDocument> document_;
  std::set<std::int64_t> acknowledged_;
  std::thread lease_thread_, write_thread_;
};

// An installation with a writing server in each center.
class Installation {
 public:
  Installation() {
    StartServer("east");
    StartServer("west");
  }
  ~Installation() {
    for (const auto& [name, server] : servers_) server->Stop();
  }

  void StartServer(const std::string& center) {
    servers_[center] = std::make_unique<WritingServer>(runners_.store(), center, next_);
  }
  void StopServer(const std::string& center) {
    servers_[center]->Stop();
    for (const std::int64_t number : servers_[center]->acknowledged()) acknowledged_before_.insert(number);
  }

  TopologyDocument Topology() { return runners_.Topology(); }
  FailoverRunner& runner(const std::string& name) { return runners_[name]; }
  WritingServer& server(const std::string& center) { return *servers_.at(center); }
  bool IsWhole() { return runners_.IsWhole(); }
  void AwaitWrites(const std::string& center) {
    const std::size_t before = server(center).count();
    EXPECT_TRUE(WaitUntil([&] { return server(center).count() > before + 5; }))
        << RenderTopology(Topology()) << Attention();
  }
  std::string Attention() { return runners_.Attention(); }

  // All that was acknowledged is on the primary.
  void ExpectNothingLost() {
    std::set<std::int64_t> acknowledged = acknowledged_before_;
    for (const auto& [name, server] : servers_) acknowledged.merge(server->acknowledged());
    const auto connection = group[Topology().groups[0].primary].Connect("muster");
    const auto rows = connection->Query("SELECT number FROM written");
    ASSERT_TRUE(rows) << rows.error().message;
    std::set<std::int64_t> has;
    for (const auto& row : *rows) has.insert(NumberIn(row[0]));
    for (const std::int64_t number : acknowledged) EXPECT_TRUE(has.contains(number)) << "lost: " << number;
    std::printf("%zu writes acknowledged, none lost\n", acknowledged.size());
    std::fflush(stdout);
  }

  MariadbGroup group;

 private:
  muster::testing::MariadbRunners runners_{group};
  std::map<std::string, std::unique_ptr<WritingServer>> servers_;
  std::atomic<std::int64_t> next_{0};
  std::set<std::int64_t> acknowledged_before_;
};

void PrintPause(const char* what, Duration pause) {
  std::printf("%s: writes away for %lld ms\n", what, static_cast<long long>(pause.count() / 1000));
  std::fflush(stdout);  // or each server that is started later says it again
}

// The center is killed, comes back, and is switched back to.
TEST(Failover, ACenterIsKilledAndComesBack) {
  Installation installation;
  MariadbGroup& group = installation.group;
  installation.AwaitWrites("east");
  const Instant killed_at = group.clock.Monotonic();
  group["e1"].Kill();
  group["e2"].Kill();
  installation.StopServer("east");
  installation.runner("se").Stop();
  installation.AwaitWrites("west");
  PrintPause("kill -9 of a center", group.clock.Monotonic() - killed_at);
  EXPECT_EQ(installation.Topology().writer, "west");
  installation.ExpectNothingLost();

  for (const char* const name : {"e1", "e2"}) {
    group.StartAgain(name, failover::StartRoleOf(installation.Topology(), name));
  }
  EXPECT_TRUE(installation.runner("se").Start());
  // e2, which acknowledges nothing, may have got what nobody did; then it waits for somebody.
  EXPECT_TRUE(WaitUntil([&] { return installation.IsWhole() || group.Look("e2").fault == ReplicaFault::kDiverged; }))
      << RenderTopology(installation.Topology()) << installation.Attention();
  EXPECT_TRUE(WaitUntil([&] {
    const TopologyDocument document = installation.Topology();
    return document.groups[0].durability == Durability::kBothCenters;
  })) << RenderTopology(installation.Topology())
      << installation.Attention();
  installation.ExpectNothingLost();

  // Failback.
  installation.StartServer("east");
  installation.AwaitWrites("west");
  const Instant asked_at = group.clock.Monotonic();
  const auto plan = installation.runner("so").Act(
      {.kind = FailoverKind::kPlanned, .to = "east", .by_operator = true, .cause = "test"});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_TRUE(WaitUntil([&] { return installation.server("east").count() > 0; }))
      << RenderTopology(installation.Topology()) << installation.Attention();
  const Duration pause = group.clock.Monotonic() - asked_at;
  PrintPause("planned switchover", pause);
  EXPECT_EQ(installation.Topology().writer, "east");
  installation.AwaitWrites("east");
  installation.ExpectNothingLost();
}

TEST(Failover, APrimaryFreezesAndThaws) {
  Installation installation;
  MariadbGroup& group = installation.group;
  installation.AwaitWrites("east");
  const Instant frozen_at = group.clock.Monotonic();
  group["e1"].Stop();
  installation.AwaitWrites("west");
  PrintPause("freeze of a primary", group.clock.Monotonic() - frozen_at);
  group["e1"].Continue();
  installation.AwaitWrites("west");
  installation.ExpectNothingLost();
  // It stands with a commit that nobody acknowledges, or follows at once when it had none.
  group["e1"].Kill();
  group.StartAgain("e1", failover::StartRoleOf(installation.Topology(), "e1"));
  EXPECT_TRUE(WaitUntil([&] {
    const TopologyDocument document = installation.Topology();
    return document.groups[0].durability == Durability::kBothCenters && document.groups[0].FindAcker("e1") != nullptr;
  })) << RenderTopology(installation.Topology())
      << installation.Attention();
  installation.ExpectNothingLost();
}

TEST(Failover, AnAckerIsKilledAndComesBack) {
  Installation installation;
  MariadbGroup& group = installation.group;
  installation.AwaitWrites("east");
  group["w1"].Kill();
  EXPECT_TRUE(WaitUntil([&] { return installation.Topology().groups[0].FindAcker("w1") == nullptr; }))
      << RenderTopology(installation.Topology()) << installation.Attention();
  installation.AwaitWrites("east");
  EXPECT_EQ(installation.Topology().groups[0].durability, Durability::kBothCenters);
  group.StartAgain("w1", failover::StartRoleOf(installation.Topology(), "w1"));
  EXPECT_TRUE(WaitUntil([&] { return installation.IsWhole(); }))
      << RenderTopology(installation.Topology()) << installation.Attention();
  PrintPause("kill -9 of an acker", installation.server("east").TakeLongestPause());
  installation.ExpectNothingLost();
}

}  // namespace
}  // namespace muster::mariadb
