// A store in each of two centers, on a group that the failover moves between them: what is acknowledged stays, what is
// not says so, and reads in the other center go on.

#include "store/mariadb/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/mariadb/testing/center_process.h"
#include "store/mariadb/testing/mariadb_group.h"
#include "store/mariadb/testing/mariadb_runners.h"
#include "topology/topology_codec.h"

namespace muster::mariadb {
namespace {

using muster::testing::CenterProcess;
using muster::testing::MariadbGroup;
using muster::testing::MariadbRunners;
using muster::testing::MariadbServer;
using muster::testing::WaitUntil;
using std::chrono::milliseconds;

// Writes one member after the other wherever a center may, and remembers what became of each.
class Writers {
 public:
  explicit Writers(std::vector<CenterProcess*> processes) {
    for (CenterProcess* process : processes) {
      threads_.emplace_back([this, process] {
        while (!stops_) {
          const std::int64_t id = ++next_;
          const Result<void> result = process->Write(id);
          const Instant now = process->clock().Monotonic();
          {
            std::lock_guard lock(mutex_);
            if (result) {
              acknowledged_[id] = now;
              by_[process].push_back(id);
            } else {
              refused_.emplace(id, result.error());
            }
          }
          // As whoever is refused does.
          if (!result) std::this_thread::sleep_for(milliseconds(5));
        }
      });
    }
  }
  ~Writers() { Stop(); }
  void Stop() {
    stops_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::size_t count(CenterProcess* process) const {
    std::lock_guard lock(mutex_);
    const auto found = by_.find(process);
    return found == by_.end() ? 0 : found->second.size();
  }
  bool AwaitMore(CenterProcess* process) const {
    const std::size_t before = count(process);
    return WaitUntil([&] { return count(process) > before + 5; });
  }
  // The newest write that was acknowledged, and when.
  std::optional<std::pair<std::int64_t, Instant>> Newest() const {
    std::lock_guard lock(mutex_);
    if (acknowledged_.empty()) return std::nullopt;
    return *acknowledged_.rbegin();
  }

  // All that was acknowledged is on the primary, and nothing of what was refused.
  void ExpectTrue(MariadbServer& primary) {
    const auto rows = primary.Connect("members")->Query("SELECT id FROM member");
    ASSERT_TRUE(rows) << rows.error().message;
    std::map<std::int64_t, bool> there;
    for (const auto& row : *rows) there[NumberIn(row[0])] = true;
    std::lock_guard lock(mutex_);
    std::size_t unknown = 0;
    for (const auto& [id, at] : acknowledged_) EXPECT_TRUE(there[id]) << "lost: " << id;
    for (const auto& [id, error] : refused_) {
      if (error.reason == Reason::kOutcomeUnknown) {
        ++unknown;
        continue;
      }
      EXPECT_TRUE(error.reason == Reason::kWritesUnavailable || error.reason == Reason::kOverloaded)
          << error.code() << ": " << error.message;
      EXPECT_FALSE(there[id]) << error.code() << ", and yet it was written";
    }
    std::printf("%zu writes acknowledged, none lost; %zu unknown, %zu refused\n", acknowledged_.size(), unknown,
                refused_.size() - unknown);
    std::fflush(stdout);
  }

 private:
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> stops_{false};
  mutable std::mutex mutex_;
  std::map<std::int64_t, Instant> acknowledged_;
  std::map<CenterProcess*, std::vector<std::int64_t>> by_;
  std::map<std::int64_t, Error> refused_;
  std::vector<std::thread> threads_;
};

// Reads what was acknowledged last, all the time: none may fail, none may be older than it says.
class Reads {
 public:
  Reads(CenterProcess& process, const Writers& writers) {
    thread_ = std::thread([this, &process, &writers] {
      while (!stops_) {
        const auto newest = writers.Newest();
        if (!newest) continue;
        const Instant asked = process.clock().Monotonic();
        const auto answer = process.Read(newest->first);
        const Instant answered = process.clock().Monotonic();
        ++count_;
        longest_ = std::max(longest_.load(), (answered - asked).count());
        EXPECT_TRUE(answer) << answer.error().code() << ": " << answer.error().message;
        if (!answer) continue;
        oldest_ = std::max(oldest_.load(), answer->age.count());
        if (!answer->member) {
          EXPECT_LE(answered - answer->age, newest->second)
              << "member " << newest->first << " was acknowledged before, by " << SourceName(answer->source);
        }
      }
    });
  }
  ~Reads() { Stop(); }
  void Stop() {
    stops_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void Print(const char* what) const {
    std::printf("%s: %lld reads, the slowest took %lld ms, the oldest was %lld ms old\n", what,
                static_cast<long long>(count_), static_cast<long long>(longest_ / 1000),
                static_cast<long long>(oldest_ / 1000));
    std::fflush(stdout);
  }

 private:
  std::atomic<bool> stops_{false};
  std::atomic<std::int64_t> count_{0};
  std::atomic<std::int64_t> longest_{0};
  std::atomic<std::int64_t> oldest_{0};
  std::thread thread_;
};

TEST(MariadbPlacement, APlannedSwitchoverAndBackLoseNothingAndReadsGoOn) {
  MariadbGroup group;
  MariadbRunners runners(group);
  CenterProcess east(runners, "east");
  CenterProcess west(runners, "west");
  east.MustOpen();
  west.MustOpen();
  Writers writers({&east, &west});
  ASSERT_TRUE(writers.AwaitMore(&east));
  ASSERT_TRUE(writers.AwaitMore(&west)) << "over the link";
  Reads reads(west, writers);
  for (const auto& [to, process] : {std::pair("west", &west), std::pair("east", &east)}) {
    ASSERT_TRUE(WaitUntil([&] { return runners.IsWhole(); })) << runners.Attention();
    const auto plan =
        runners["so"].Act({.kind = FailoverKind::kPlanned, .to = to, .by_operator = true, .cause = "test"});
    ASSERT_TRUE(plan) << plan.error().message;
    ASSERT_TRUE(WaitUntil([&] { return !runners.Topology().failover && runners.Topology().writer == to; }));
    ASSERT_TRUE(writers.AwaitMore(process)) << RenderTopology(runners.Topology());
    const TopologyDocument document = runners.Topology();
    EXPECT_EQ(group[document.groups[0].primary].ReadInteger("SELECT epoch FROM fence", "members"),
              document.epoch.value())
        << "raised before the first write";
  }
  // A process that starts while it moves waits for the primary.
  ASSERT_TRUE(WaitUntil([&] { return runners.IsWhole(); })) << runners.Attention();
  ASSERT_TRUE(runners["so"].Act({.kind = FailoverKind::kPlanned, .to = "west", .by_operator = true, .cause = "test"}));
  CenterProcess late(runners, "west");
  const Result<void> opened = late.Open();
  EXPECT_TRUE(opened) << opened.error().message;
  ASSERT_TRUE(writers.AwaitMore(&west));
  writers.Stop();
  reads.Stop();
  reads.Print("switchovers, in west");
  writers.ExpectTrue(group[runners.Topology().groups[0].primary]);
}

TEST(MariadbPlacement, ACenterIsKilledAndReadsInTheOtherGoOn) {
  MariadbGroup group;
  MariadbRunners runners(group);
  CenterProcess east(runners, "east");
  CenterProcess west(runners, "west");
  east.MustOpen();
  west.MustOpen();
  Writers writers({&east, &west});
  ASSERT_TRUE(writers.AwaitMore(&east));
  Reads reads(west, writers);
  group["e1"].Kill();
  group["e2"].Kill();
  runners["se"].Stop();
  ASSERT_TRUE(writers.AwaitMore(&west)) << RenderTopology(runners.Topology()) << runners.Attention();
  const TopologyDocument document = runners.Topology();
  EXPECT_EQ(group[document.groups[0].primary].ReadInteger("SELECT epoch FROM fence", "members"),
            document.epoch.value());
  writers.Stop();
  reads.Stop();
  reads.Print("kill -9 of a center, in the other");
  writers.ExpectTrue(group[document.groups[0].primary]);
}

TEST(MariadbPlacement, APrimaryFreezesAndWhoeverWaitedForItGoesOnWithTheNext) {
  MariadbGroup group;
  MariadbRunners runners(group);
  CenterProcess east(runners, "east");
  CenterProcess west(runners, "west");
  east.MustOpen();
  west.MustOpen();
  Writers writers({&east, &west});
  ASSERT_TRUE(writers.AwaitMore(&east));
  Reads reads(west, writers);
  // In its own center, too: first the frozen one costs its time-out, then it is left alone.
  Reads beside(east, writers);
  group["e1"].Stop();
  ASSERT_TRUE(writers.AwaitMore(&west)) << RenderTopology(runners.Topology()) << runners.Attention();
  group["e1"].Continue();
  ASSERT_TRUE(writers.AwaitMore(&west));
  beside.Stop();
  writers.Stop();
  reads.Stop();
  reads.Print("freeze of a primary, in the other center");
  beside.Print("freeze of a primary, in its own");
  writers.ExpectTrue(group[runners.Topology().groups[0].primary]);
}

}  // namespace
}  // namespace muster::mariadb
