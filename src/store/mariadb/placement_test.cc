// A store in each of two centers, on a group that the failover moves between them: what is acknowledged stays, what is
// not says so, and reads in the other center go on.

#include "store/mariadb/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "domain/ports/shard_store_testing.h"
#include "store/mariadb/mariadb_store.h"
#include "store/mariadb/testing/mariadb_group.h"
#include "store/mariadb/testing/mariadb_runners.h"
#include "store/mariadb/topology_placement.h"
#include "topology/topology_codec.h"
#include "topology/writer_lease.h"

namespace muster::mariadb {
namespace {

using muster::testing::MariadbGroup;
using muster::testing::MariadbRunners;
using muster::testing::MariadbServer;
using muster::testing::PostedLoop;
using muster::testing::WaitUntil;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A process of one center: its lease, its placement, its store.
class CenterProcess {
 public:
  CenterProcess(MariadbRunners& runners, const std::string& center, Duration replica_lag_max = seconds(5))
      : topology_(runners.store()),
        keeper_(center, LeaseTerm::kTimed),
        placement_([&runner = runners[center == "east" ? "se" : "sw"]] { return runner.Status(); }, center, clock_) {
    lease_thread_ = std::thread([this] { KeepLease(); });
    static std::atomic<int> count{0};
    owner_ = std::to_string(++count);
    owner_.insert(0, 32 - owner_.size(), '0');
    options_.database = "members";
    options_.user = "app";
    options_.connections = 4;
    options_.readers = 2;
    options_.connect_timeout_ms = options_.lock_wait_ms = 1'000;
    options_.replica_lag_max_ms = std::chrono::duration_cast<milliseconds>(replica_lag_max).count();
    options_.allow_unsafe_settings = true;
  }
  ~CenterProcess() {
    if (store_) store_->Close();
    stops_ = true;
    lease_thread_.join();
  }

  Result<void> Open() {
    auto opened = MariadbStore::Open(options_, {.keyring = &keyring_,
                                                .clock = &clock_,
                                                .random = &random_,
                                                .logger = &NullLogger(),
                                                .metrics = &metrics_,
                                                .floor = &floor_,
                                                .catalog = &catalog_,
                                                .lease = [this] { return keeper_.current(); },
                                                .placement = placement_source_,
                                                .node_owner = owner_});
    if (!opened) return Fail(std::move(opened).error());
    store_ = *std::move(opened);
    reader_ = *store_->MakeReader(loop_);
    return {};
  }
  void MustOpen() {
    const Result<void> opened = Open();
    if (!opened) MUSTER_UNREACHABLE(opened.error().message);
  }

  Result<void> Write(std::int64_t id, std::int64_t version = 1) {
    Member member = contract::PlainMember(MemberId(id));
    member.version = Version(version);
    return contract::RunAndWait(store_->shards(), 0, [&](ShardTransaction& rows) {
      return rows.WriteMember(member, contract::ChangeOf(member, ChangeType::kUpdated));
    });
  }
  // On one thread at a time.
  Result<MemberAnswer> Read(std::int64_t id, const ReadOptions& options = {}) {
    std::optional<Result<MemberAnswer>> answer;
    reader_->Get(MemberId(id), options, [&](Result<MemberAnswer> result) { answer.emplace(std::move(result)); });
    EXPECT_TRUE(loop_.RunUntil([&] { return answer.has_value(); }));
    return *answer;
  }
  std::shared_ptr<const std::vector<GroupPlacement>> Placement() { return placement_.Now(); }
  void SetOpenTimeout(Duration timeout) {
    options_.open_timeout_ms = std::chrono::duration_cast<milliseconds>(timeout).count();
  }
  // Instead of what the failover says.
  void PlaceBy(PlacementSource source) { placement_source_ = std::move(source); }
  MariadbStore& store() { return *store_; }
  const Clock& clock() const { return clock_; }

 private:
  void KeepLease() {
    while (!stops_) {
      const Instant sent = clock_.Monotonic();
      if (auto document = topology_.Read()) keeper_.Confirm(**document, sent);
      std::this_thread::sleep_for(milliseconds(50));
    }
  }

  const SystemClock clock_;
  SystemRandom random_;
  const Keyring keyring_ = muster::testing::TestKeyring();
  const IdentityCatalog catalog_ = IdentityCatalog::Default();
  MetricRegistry metrics_;
  CommitFloor floor_;
  TopologyStore& topology_;
  WriterLeaseKeeper keeper_;
  TopologyPlacement placement_;
  PlacementSource placement_source_ = [this] { return placement_.Now(); };
  std::string owner_;
  MariadbOptions options_;
  std::atomic<bool> stops_{false};
  std::thread lease_thread_;
  std::unique_ptr<MariadbStore> store_;
  PostedLoop loop_;
  std::unique_ptr<MemberReader> reader_;
};

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
  EXPECT_EQ(writers.count(&west), 0U) << "its center may not write";
  Reads reads(west, writers);
  for (const auto& [to, process] : {std::pair("west", &west), std::pair("east", &east)}) {
    ASSERT_TRUE(WaitUntil([&] { return runners.IsWhole(); })) << runners.Attention();
    const auto plan =
        runners["so"].Act({.kind = FailoverKind::kPlanned, .to = to, .by_operator = true, .cause = "test"});
    ASSERT_TRUE(plan) << plan.error().message;
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

// A copy that stands still costs its time-out, and then nothing for a while.
void ExpectThatAFrozenCopyIsLeftAlone(MariadbGroup& group, CenterProcess& west) {
  const auto nearest = west.Placement()->front().copies.front().endpoint;
  const std::string name = nearest.Name() == group["w1"].tcp_address() ? "w1" : "w2";
  group[name].Stop();
  Duration longest(0);
  std::size_t slow = 0;
  const Instant begun = west.clock().Monotonic();
  while (west.clock().Monotonic() - begun < milliseconds(1'500)) {
    const Instant asked = west.clock().Monotonic();
    const auto answer = west.Read(1);
    const Duration took = west.clock().Monotonic() - asked;
    ASSERT_TRUE(answer) << answer.error().message;
    longest = std::max(longest, took);
    if (took > milliseconds(150)) ++slow;
  }
  std::printf("a frozen copy: the slowest read took %lld ms\n", static_cast<long long>(longest.count() / 1000));
  std::fflush(stdout);
  EXPECT_LT(longest, milliseconds(2'000));
  // Each of the two threads finds out for itself, and once in a second somebody looks.
  EXPECT_LE(slow, 5U);
  group[name].Continue();
}

TEST(MariadbPlacement, CopiesAnswerAsLongAsTheyAreNotBehindAndWhateverTheirLagWhenNobodyElseCan) {
  MariadbGroup group;
  MariadbRunners runners(group, false);
  CenterProcess east(runners, "east");
  CenterProcess west(runners, "west", milliseconds(1'500));
  east.MustOpen();
  west.MustOpen();
  ASSERT_TRUE(east.Write(1, 1));
  const auto is_from = [&](Source source, std::int64_t version) {
    return WaitUntil([&] {
      const auto answer = west.Read(1);
      return answer && answer->member && answer->source == source && answer->member->version() == Version(version);
    });
  };
  ASSERT_TRUE(is_from(Source::kReplica, 1));
  EXPECT_TRUE(west.Read(1)->may_be_kept);
  EXPECT_EQ(east.Read(1)->source, Source::kPrimary) << "it is in this center";
  EXPECT_EQ(west.Read(1, {.no_cache = true})->source, Source::kPrimary);
  EXPECT_EQ(west.Read(1, {.prefer_primary = true})->source, Source::kPrimary);

  // One stands still: the other one answers, and at once for whoever knows what was written.
  group["w1"].Execute("STOP SLAVE SQL_THREAD");
  ASSERT_TRUE(east.Write(1, 2));
  const auto newest = west.Read(1, {.min_version = Version(2)});
  ASSERT_TRUE(newest) << newest.error().message;
  EXPECT_EQ(newest->member->version(), Version(2));
  ASSERT_TRUE(is_from(Source::kReplica, 2));
  // Both do: a while they answer what they have, with their age; then the primary does.
  group["w2"].Execute("STOP SLAVE SQL_THREAD");
  ASSERT_TRUE(east.Write(1, 3));
  const auto above = west.Read(1, {.floor = Version(3)});
  ASSERT_TRUE(above) << above.error().message;
  EXPECT_EQ(above->source, Source::kPrimary) << "no copy has it";
  const Instant stopped = west.clock().Monotonic();
  ASSERT_TRUE(WaitUntil([&] {
    const auto answer = west.Read(1);
    EXPECT_TRUE(answer);
    if (answer->source == Source::kPrimary) return answer->member->version() == Version(3);
    EXPECT_LE(answer->age, milliseconds(2'000));
    return false;
  }));
  EXPECT_GE(west.clock().Monotonic() - stopped, milliseconds(1'000)) << "not at once";
  group["w2"].Execute("START SLAVE SQL_THREAD");
  ASSERT_TRUE(is_from(Source::kReplica, 3)) << "it is a copy again";
  ASSERT_TRUE(east.Write(1, 4));
  ASSERT_TRUE(is_from(Source::kReplica, 4));
  ExpectThatAFrozenCopyIsLeftAlone(group, west);
  group["w2"].Execute("STOP SLAVE SQL_THREAD");
  ASSERT_TRUE(east.Write(1, 5));

  // The primary is gone, and nobody fails over: plain reads are answered, with their age, and the caller's own no-cache
  // is not.
  group["e1"].Kill();
  ASSERT_TRUE(WaitUntil([&] {
    const auto answer = west.Read(1);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer && answer->source == Source::kReplica && answer->age > milliseconds(1'500) &&
           answer->member->version() == Version(4);
  }));
  const auto preferred = west.Read(1, {.prefer_primary = true});
  ASSERT_TRUE(preferred) << preferred.error().message;
  EXPECT_EQ(preferred->source, Source::kReplica);
  const auto refused = west.Read(1, {.no_cache = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kOverloaded);
  const auto below = west.Read(1, {.prefer_primary = true, .floor = Version(5)});
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().reason, Reason::kStale);
  // It has it in its relay log.
  group["w2"].Execute("START SLAVE SQL_THREAD");
  EXPECT_TRUE(WaitUntil([&] { return west.Read(1, {.prefer_primary = true, .floor = Version(5)}).has_value(); }));
}

// Writes are refused at once, and opening waits for a bounded time.
void ExpectThatNothingIsDoneWithoutAPrimary(MariadbGroup& group, MariadbRunners& runners) {
  std::mutex mutex;
  std::vector<GroupPlacement> groups(1);
  groups[0].name = "g0";
  const auto source = [&] {
    std::lock_guard lock(mutex);
    return std::make_shared<const std::vector<GroupPlacement>>(groups);
  };
  CenterProcess hasty(runners, "east");
  hasty.PlaceBy(source);
  hasty.SetOpenTimeout(milliseconds(300));
  const Result<void> opened = hasty.Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(opened.error().message, ::testing::HasSubstr("g0"));

  CenterProcess east(runners, "east");
  east.PlaceBy(source);
  std::thread mover([&] {
    EXPECT_TRUE(WaitUntil([&] { return east.clock().Monotonic() > Instant::min(); }));
    std::lock_guard lock(mutex);
    groups[0].primary = *Endpoint::Parse(group["e1"].tcp_address());
  });
  const Result<void> waited = east.Open();
  mover.join();
  ASSERT_TRUE(waited) << waited.error().message;
  ASSERT_TRUE(WaitUntil([&] { return east.Write(1).has_value(); }));
  {
    std::lock_guard lock(mutex);
    groups[0].primary.reset();
  }
  const Instant asked = east.clock().Monotonic();
  const Result<void> refused = east.Write(2);
  EXPECT_LT(east.clock().Monotonic() - asked, milliseconds(500));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_FALSE(east.store().Health());
  const auto read = east.Read(1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().reason, Reason::kOverloaded);
  // A replica is named as the primary: it takes no writes yet.
  {
    std::lock_guard lock(mutex);
    groups[0].primary = *Endpoint::Parse(group["w1"].tcp_address());
  }
  const Result<void> read_only = east.Write(3);
  ASSERT_FALSE(read_only);
  EXPECT_EQ(read_only.error().reason, Reason::kWritesUnavailable) << read_only.error().message;
  EXPECT_FALSE(east.Read(1, {.no_cache = true})) << "it is not the primary, whatever is said of it";
}

// A server with rows of something else is not taken for the group's.
TEST(MariadbPlacement, WhatIsPlacedIsWhatIsAsked) {
  MariadbGroup group;
  MariadbRunners runners(group, false);
  MariadbServer stranger;
  stranger.Execute("CREATE DATABASE members");
  stranger.Execute("CREATE USER app@'%' IDENTIFIED BY ''");
  stranger.Execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON members.* TO app@'%'");
  const auto place_at = [](MariadbServer& server) {
    std::vector<GroupPlacement> groups(1);
    groups[0].name = "g0";
    groups[0].primary = *Endpoint::Parse(server.tcp_address());
    groups[0].copies = {{.endpoint = *groups[0].primary, .has_all_before = Instant::max()}};
    return std::make_shared<const std::vector<GroupPlacement>>(std::move(groups));
  };
  std::mutex mutex;
  std::shared_ptr<const std::vector<GroupPlacement>> now = place_at(stranger);
  CenterProcess east(runners, "east");
  east.PlaceBy([&] {
    std::lock_guard lock(mutex);
    return now;
  });
  {
    CenterProcess theirs(runners, "east");
    theirs.PlaceBy([&] { return place_at(stranger); });
    theirs.MustOpen();
    ASSERT_TRUE(theirs.Write(1));
  }
  now = place_at(group["e1"]);
  east.MustOpen();
  ASSERT_TRUE(east.Write(2));
  {
    std::lock_guard lock(mutex);
    now = place_at(stranger);
  }
  const Result<void> refused = east.Write(3);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("does not hold the rows of this group"));
  EXPECT_FALSE(east.Read(1)) << "that is somebody else's member 1";
  EXPECT_EQ(stranger.ReadInteger("SELECT COUNT(*) FROM member", "members"), 1);
  {
    std::lock_guard lock(mutex);
    now = place_at(group["e1"]);
  }
  EXPECT_TRUE(east.Write(3));
  ExpectThatNothingIsDoneWithoutAPrimary(group, runners);
}

}  // namespace
}  // namespace muster::mariadb
