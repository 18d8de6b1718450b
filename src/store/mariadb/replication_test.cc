#include "store/mariadb/replication.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "store/mariadb/testing/mariadb_group.h"

namespace muster::mariadb {
namespace {

using failover::Acknowledging;
using failover::ReplicaFault;
using failover::StartRole;
using muster::testing::MariadbGroup;
using muster::testing::WaitUntil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void Expect(const Result<void>& done) { EXPECT_TRUE(done) << done.error().message; }

std::string InsertOf(int number) { return "INSERT INTO muster.written VALUES (" + std::to_string(number) + ")"; }

bool Has(MariadbGroup& group, const std::string& name, int number) {
  return group[name].ReadInteger("SELECT COUNT(*) FROM muster.written WHERE number = " + std::to_string(number)) == 1;
}

// A write that may wait for ever, on a thread of its own.
class PendingWrite {
 public:
  PendingWrite(MariadbGroup& group, const std::string& name, int number)
      : connection_(group[name].Connect()),
        id_(connection_->ReadInteger("SELECT CONNECTION_ID()").value_or(0)),
        thread_([this, number] {
          const bool done = connection_->Execute(InsertOf(number)).has_value();
          outcome_ = done ? 1 : 2;
        }) {}
  ~PendingWrite() { thread_.join(); }
  bool is_done() const { return outcome_ == 1; }
  bool is_over() const { return outcome_ != 0; }
  std::int64_t id() const { return id_; }

 private:
  std::unique_ptr<Connection> connection_;
  const std::int64_t id_;
  std::atomic<int> outcome_{0};
  std::thread thread_;
};

bool WaitsForAck(MariadbGroup& group, const PendingWrite& write) {
  return WaitUntil([&] {
    return group["e1"].ReadInteger("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = " +
                                   std::to_string(write.id()) + " AND STATE LIKE '%semi-sync%'") == 1;
  });
}

TEST(Replication, OneGroupThroughItsOrders) {
  MariadbGroup group;
  // What a look says.
  const auto primary = group.Look("e1");
  EXPECT_TRUE(primary.is_writable && primary.waits && !primary.acknowledges && !primary.receives);
  EXPECT_THAT(primary.following, IsEmpty());
  EXPECT_EQ(primary.obeyed, 1);
  const auto acker = group.Look("w1");
  EXPECT_TRUE(!acker.is_writable && acker.receives && acker.is_connected && acker.applies && acker.acknowledges);
  EXPECT_EQ(acker.following, group["e1"].tcp_address());
  EXPECT_FALSE(group.Look("e2").acknowledges);

  // An order of an older topology comes too late.
  const auto w1 = group.MakeControl("w1");
  const auto w2 = group.MakeControl("w2");
  const auto e1 = group.MakeControl("e1");
  Expect(w1->StopReceiving(20, Deadline()));
  const auto late = w1->Follow(19, group.SourceOf("e1"), Acknowledging::kYes, Deadline());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, Reason::kStateConflict);
  EXPECT_FALSE(group.Look("w1").receives);
  EXPECT_TRUE(group.Look("w1").acknowledges) << "it may still have what it acknowledged";

  // One acker suffices; without any, commits wait and the primary does not become read-only.
  group["e1"].Execute(InsertOf(1));
  Expect(w2->StopReceiving(20, Deadline()));
  {
    PendingWrite write(group, "e1", 2);
    EXPECT_TRUE(WaitsForAck(group, write));
    EXPECT_FALSE(Has(group, "e1", 2)) << "nobody sees it before";
    const auto refused =
        e1->Govern(20, {.is_writable = false, .waits = true}, Deadline::After(group.clock, std::chrono::seconds(2)));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("commits that wait"));
    EXPECT_FALSE(write.is_over());
    // What it received before is not lost by receiving again.
    Expect(w1->Follow(21, group.SourceOf("e1"), Acknowledging::kYes, Deadline()));
    EXPECT_TRUE(WaitUntil([&] { return write.is_done(); }));
  }
  Expect(w2->Follow(21, group.SourceOf("e1"), Acknowledging::kYes, Deadline()));

  // Who is shut out acknowledges nothing, and is let in again.
  Expect(e1->Govern(22, {.is_writable = true, .waits = true, .shut_out = {"w1", "w2"}}, Deadline()));
  EXPECT_THAT(group.Look("e1").shut_out, ElementsAre("w1", "w2"));
  EXPECT_TRUE(WaitUntil([&] { return !group.Look("w1").is_connected; }));
  {
    PendingWrite write(group, "e1", 3);
    EXPECT_TRUE(WaitsForAck(group, write));
    Expect(e1->Govern(23, {.is_writable = true, .waits = true, .shut_out = {"w2"}}, Deadline()));
    EXPECT_TRUE(WaitUntil([&] { return write.is_done(); }));
  }
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "w1", 3); }));
  EXPECT_FALSE(Has(group, "w2", 3));

  // Degraded: what waits goes on, and whatever comes waits for nobody.
  Expect(w1->StopReceiving(24, Deadline()));
  {
    PendingWrite write(group, "e1", 4);
    EXPECT_TRUE(WaitsForAck(group, write));
    Expect(e1->Govern(24, {.is_writable = true, .waits = false, .shut_out = {}}, Deadline()));
    EXPECT_TRUE(WaitUntil([&] { return write.is_done(); }));
  }
  EXPECT_FALSE(group.Look("e1").waits);
  Expect(w1->Follow(25, group.SourceOf("e1"), Acknowledging::kYes, Deadline()));
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "w1", 4) && Has(group, "w2", 4); }));

  // A switchover by hand: the new primary has all, the old one follows it with nothing to truncate.
  Expect(e1->Govern(26, {.is_writable = false, .waits = true}, Deadline()));
  const auto end = group.Look("e1").applied;
  EXPECT_TRUE(WaitUntil([&] { return group.Look("w1").HasApplied(end); }));
  Expect(w1->Promote(26, true, Deadline()));
  Expect(w1->Promote(26, true, Deadline()));  // again
  Expect(e1->Follow(26, group.SourceOf("w1"), Acknowledging::kYes, Deadline()));
  group["w1"].Execute(InsertOf(5));
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "e1", 5); })) << group["e1"].log();
  EXPECT_EQ(group.Look("e1").fault, ReplicaFault::kNone);

  // A replica that was started again says that it may have lost what it had received. Told to stop, it applies all the
  // same what it has.
  group["e1"].Kill();
  EXPECT_FALSE(e1->Look(Deadline()));
  group.StartAgain("e1", StartRole::kAsPrimary);
  const auto restarted = group.Look("e1");
  EXPECT_FALSE(restarted.acknowledges || restarted.receives || restarted.applies || restarted.is_writable);
  EXPECT_EQ(restarted.obeyed, 26) << "it remembers whom it obeyed";
  Expect(e1->StopReceiving(27, Deadline()));
  const auto applying = group.Look("e1");
  EXPECT_TRUE(applying.applies && !applying.receives && !applying.acknowledges);
  EXPECT_TRUE(applying.applied.Covers(applying.received)) << applying.received.Text();
  EXPECT_TRUE(Has(group, "e1", 5));
}

// A rebuild that is broken off before it is a whole copy leaves what cannot be made to follow. Answers the file with
// what only e1 has.
std::string BreakOffRebuild(MariadbGroup& group) {
  const auto e1 = group.MakeControl("e1");
  int asked = 0;
  const auto broken_off = e1->Rebuild(21, group.SourceOf("w1"), [&] { return ++asked == 1; });
  EXPECT_EQ(broken_off.error().reason, Reason::kWritesUnavailable);
  Expect(e1->Follow(21, group.SourceOf("w1"), Acknowledging::kNo, Deadline()));
  EXPECT_TRUE(WaitUntil([&] { return group.Look("e1").fault == ReplicaFault::kDiverged; })) << group["e1"].log();
  EXPECT_EQ(group.Look("e1").applied.Total(), 1u) << "nobody takes it for one that has more";
  const std::string& text = broken_off.error().message;
  const std::size_t end = text.find(" has 1 transactions that w1 does not have");
  EXPECT_NE(end, std::string::npos) << text;
  return text.substr(text.rfind("; ", end) + 2, end - text.rfind("; ", end) - 2);
}

// What only e1 has is in a file, and then it is a copy of w1.
void ExpectRebuilt(MariadbGroup& group) {
  const std::string path = BreakOffRebuild(group);
  const auto rebuilt = group.MakeControl("e1")->Rebuild(22, group.SourceOf("w1"), [] { return true; });
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0) << path;
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_GT(status.st_size, 300);
  // A binlog: of mariadb-binlog's words for it, those of the row are there.
  const std::string decoded = path + ".txt";
  ASSERT_EQ(std::system(("mariadb-binlog --base64-output=decode-rows -v " + path + " > " + decoded + " 2>&1").c_str()),
            0);
  std::ifstream text(decoded);
  const std::string words{std::istreambuf_iterator<char>(text), {}};
  EXPECT_THAT(words, HasSubstr("INSERT INTO `muster`.`written`"));
  EXPECT_THAT(words, HasSubstr("@1=7"));
  EXPECT_FALSE(Has(group, "e1", 7));
  EXPECT_TRUE(Has(group, "e1", 8));
  group["w1"].Execute(InsertOf(9));
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "e1", 9); })) << group["e1"].log();
  EXPECT_EQ(group.Look("e1").fault, ReplicaFault::kNone);
  const auto again = group.MakeControl("e1")->Rebuild(22, group.SourceOf("w1"), [] { return true; });
  ASSERT_TRUE(again) << "by another controller that has not heard of it";
  EXPECT_THAT(*again, HasSubstr("follows already"));
  EXPECT_TRUE(Has(group, "e1", 9));
}

// What it wrote itself, and another one has, comes back to it: a replica passes over events of its own server_id.
TEST(Replication, AnOldPrimaryGetsBackWhatItWroteItself) {
  MariadbGroup group;
  const auto w1 = group.MakeControl("w1");
  Expect(group.MakeControl("e1")->Govern(20, {}, Deadline()));
  Expect(w1->Follow(20, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
  Expect(group.MakeControl("w2")->StopReceiving(20, Deadline()));
  {
    PendingWrite write(group, "e1", 7);
    EXPECT_TRUE(WaitsForAck(group, write));
    EXPECT_TRUE(WaitUntil([&] { return Has(group, "w1", 7); }));
    group["e1"].Kill();
  }
  Expect(w1->Promote(21, false, Deadline()));
  group.StartAgain("e1", StartRole::kAsReplica);
  EXPECT_FALSE(Has(group, "e1", 7)) << "nobody had acknowledged it";
  Expect(group.MakeControl("e1")->Follow(21, group.SourceOf("w1"), Acknowledging::kNo, Deadline()));
  group["w1"].Execute(InsertOf(8));
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "e1", 8); })) << group["e1"].log();
  EXPECT_TRUE(Has(group, "e1", 7));
}

// One that was rebuilt, was the primary since and has diverged: its log does not go back to what both have. All of it
// is saved.
TEST(Replication, OneWhoseLogDoesNotGoBackToWhereItLeftTheOtherIsRebuilt) {
  MariadbGroup group;
  Expect(group.MakeControl("e2")->StopReceiving(20, Deadline()));
  group["e1"].Execute(InsertOf(9));
  group["e2"].Execute("RESET MASTER");
  group["e2"].Execute("SET GLOBAL read_only = 0");
  const auto session = group["e2"].Connect("muster");
  for (const std::string& statement : {std::string("SET SESSION server_id = 1"), InsertOf(7), InsertOf(8)}) {
    Expect(session->Execute(statement));
  }
  group["e2"].Execute("SET GLOBAL read_only = 1");
  const auto rebuilt = group.MakeControl("e2")->Rebuild(21, group.SourceOf("e1"), [] { return true; });
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  EXPECT_THAT(*rebuilt, HasSubstr(".binlog has all its 2 transactions"));
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "e2", 9) && !Has(group, "e2", 7); }));
}

// A server that is killed while it begins to follow leaves a file without a line, and refuses every CHANGE MASTER.
TEST(Replication, FollowsAlsoWhenItWasKilledAsItBeganTo) {
  MariadbGroup group;
  int number = 10;
  for (const std::string file : {"master.info", "relay-log.info", "relay.index"}) {
    Expect(group.MakeControl("w1")->Follow(number, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
    EXPECT_TRUE(WaitUntil([&] { return group.Look("w1").is_connected; }));
    group["w1"].Kill();
    const std::string path = group["w1"].data_directory() + "/" + file;
    ASSERT_TRUE(std::ifstream(path)) << path;
    std::ofstream(path, std::ios::trunc).flush();
    group.StartAgain("w1", StartRole::kAsReplica);
    group["e1"].Execute(InsertOf(++number));
    Expect(group.MakeControl("w1")->Follow(number, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
    EXPECT_TRUE(WaitUntil([&] { return Has(group, "w1", number); })) << file << "\n" << group["w1"].log();
  }
}

// Whether it was told to acknowledge outlasts a start; an order that got no further than its beginning has told it
// nothing.
TEST(Replication, RemembersThatItWasToldToAcknowledge) {
  MariadbGroup group;
  const auto w1 = group.MakeControl("w1");
  Expect(w1->Follow(20, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
  EXPECT_FALSE(group.Look("w1").may_have_acknowledged);
  const auto half_done = group["w1"].Connect();
  ASSERT_EQ(half_done->ReadInteger("SELECT GET_LOCK('muster.command', 1)").value_or(0), 1);
  Expect(half_done->Execute("UPDATE muster_control.command SET revision = 21 WHERE id = 1"));
  EXPECT_FALSE(group.Look("w1").may_have_acknowledged);

  Expect(w1->Follow(22, group.SourceOf("e1"), Acknowledging::kYes, Deadline()));
  EXPECT_TRUE(group.Look("w1").acknowledges);
  EXPECT_TRUE(group.Look("w1").may_have_acknowledged);
  group["w1"].Kill();
  group.StartAgain("w1", StartRole::kAsReplica);
  EXPECT_FALSE(group.Look("w1").acknowledges);
  EXPECT_TRUE(group.Look("w1").may_have_acknowledged);
  EXPECT_EQ(group.Look("w1").obeyed, 22);
  Expect(w1->Follow(22, group.SourceOf("e1"), Acknowledging::kNotNow, Deadline()));
  EXPECT_FALSE(group.Look("w1").acknowledges);
  EXPECT_TRUE(group.Look("w1").may_have_acknowledged) << "which is how it can be seen that it may have lost something";
  Expect(w1->Follow(23, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
  EXPECT_FALSE(group.Look("w1").may_have_acknowledged);
  Expect(w1->Follow(24, group.SourceOf("e1"), Acknowledging::kYes, Deadline()));
  EXPECT_TRUE(WaitUntil([&] { return group.Look("w1").is_connected; }));
  EXPECT_TRUE(group.Look("w1").may_have_acknowledged);
  Expect(group.MakeControl("e1")->Govern(25, {.is_writable = false, .waits = true}, Deadline()));
  Expect(w1->Promote(25, false, Deadline()));
  EXPECT_FALSE(group.Look("w1").may_have_acknowledged);
}

// Whose order is half done, and who stands still, keeps nobody away who goes by the same topology; whoever is at work
// does, and so does a rebuild, which waits for what it copies.
TEST(Replication, AnOrderThatStandsStillIsEnded) {
  MariadbGroup group;
  const auto w1 = group.MakeControl("w1");
  Expect(w1->Follow(20, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
  const auto follow = [&] { return w1->Follow(20, group.SourceOf("e1"), Acknowledging::kYes, Deadline()); };
  const auto other = group["w1"].Connect();
  ASSERT_EQ(other->ReadInteger("SELECT GET_LOCK('muster.command', 1)").value_or(0), 1);
  {
    std::jthread at_work([&] { EXPECT_EQ(other->ReadInteger("SELECT SLEEP(1.5)").value_or(1), 0); });
    ASSERT_TRUE(WaitUntil([&] {
      return group["w1"].ReadInteger(
                 "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'") == 1;
    }));
    const auto refused = follow();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("another order is under way"));
  }
  ASSERT_EQ(other->ReadInteger("SELECT GET_LOCK('muster.rebuild', 1)").value_or(0), 1);
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(follow());  // each waits for it longer than one that stands still is waited for
  ASSERT_EQ(other->ReadInteger("SELECT RELEASE_LOCK('muster.rebuild')").value_or(0), 1);
  EXPECT_TRUE(WaitUntil([&] { return follow().has_value(); }));
  EXPECT_FALSE(other->ReadInteger("SELECT 1")) << "it has been ended";
}

// Of two controllers that go by one topology the slower one still has it fetch what it lacks.
TEST(Replication, WhatWasPromotedFollowsNobodyUnderTheSameTopology) {
  MariadbGroup group;
  const auto w1 = group.MakeControl("w1");
  Expect(group.MakeControl("e1")->Govern(20, {.is_writable = false, .waits = true}, Deadline()));
  Expect(w1->Promote(21, false, Deadline()));
  EXPECT_EQ(w1->Follow(21, group.SourceOf("e1"), Acknowledging::kNo, Deadline()).error().reason,
            Reason::kStateConflict);
  EXPECT_TRUE(group.Look("w1").is_writable);
  EXPECT_EQ(group.Look("w1").obeyed, 21);
  Expect(w1->Follow(22, group.SourceOf("e1"), Acknowledging::kNo, Deadline()));
  EXPECT_FALSE(group.Look("w1").is_writable);
}

// An old primary that was cut off while it wrote, and is reached again: its commits wait for ever, so it follows nobody
// before it is ended, or rebuilt. Nobody is told that they are written.
TEST(Replication, AnOldPrimaryWhoseCommitsWaitForEverIsRebuilt) {
  MariadbGroup group;
  const auto e1 = group.MakeControl("e1");
  const auto w1 = group.MakeControl("w1");
  Expect(w1->StopReceiving(20, Deadline()));
  Expect(group.MakeControl("w2")->StopReceiving(20, Deadline()));
  PendingWrite first(group, "e1", 7);
  EXPECT_TRUE(WaitsForAck(group, first));
  PendingWrite second(group, "e1", 8);  // behind it
  Expect(w1->Promote(21, false, Deadline()));
  const auto refused =
      e1->Follow(21, group.SourceOf("w1"), Acknowledging::kNo, Deadline::After(group.clock, std::chrono::seconds(2)));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("`muster topology rebuild e1`"));
  EXPECT_FALSE(first.is_over() || second.is_over());

  const auto rebuilt = e1->Rebuild(22, group.SourceOf("w1"), [] { return true; });
  ASSERT_TRUE(rebuilt) << rebuilt.error().message;
  EXPECT_THAT(*rebuilt, HasSubstr(" has 2 transactions that w1 does not have"));
  EXPECT_TRUE(first.is_over() && second.is_over());
  EXPECT_FALSE(first.is_done() || second.is_done());
  group["w1"].Execute(InsertOf(9));
  EXPECT_TRUE(WaitUntil([&] { return Has(group, "e1", 9); })) << group["e1"].log();
  EXPECT_FALSE(Has(group, "e1", 7) || Has(group, "e1", 8));
  EXPECT_EQ(w1->Rebuild(21, group.SourceOf("e1"), [] { return true; }).error().reason, Reason::kStateConflict)
      << "it was promoted under that topology";
}

// An old primary with a write that nobody acknowledged: truncated when it is started as a replica, found to have
// diverged when it was not.
TEST(Replication, AnOldPrimaryComesBack) {
  for (const bool is_truncated : {true, false}) {
    MariadbGroup group;
    const auto w1 = group.MakeControl("w1");
    Expect(group.MakeControl("w1")->StopReceiving(20, Deadline()));
    Expect(group.MakeControl("w2")->StopReceiving(20, Deadline()));
    {
      PendingWrite write(group, "e1", 7);
      EXPECT_TRUE(WaitsForAck(group, write));
      group["e1"].Kill();
    }
    Expect(w1->Promote(21, false, Deadline()));
    group.StartAgain("e1", is_truncated ? StartRole::kAsReplica : StartRole::kAsPrimary);
    EXPECT_EQ(Has(group, "e1", 7), !is_truncated);
    EXPECT_FALSE(group.Look("e1").acknowledges) << "also when it was started to be truncated";
    Expect(group.MakeControl("e1")->Follow(21, group.SourceOf("w1"), Acknowledging::kNo, Deadline()));
    group["w1"].Execute(InsertOf(8));
    if (is_truncated) {
      EXPECT_TRUE(WaitUntil([&] { return Has(group, "e1", 8); })) << group["e1"].log();
      EXPECT_EQ(group.Look("e1").fault, ReplicaFault::kNone);
    } else {
      EXPECT_TRUE(WaitUntil([&] { return group.Look("e1").fault == ReplicaFault::kDiverged; }));
      EXPECT_FALSE(Has(group, "e1", 8));
      ExpectRebuilt(group);
    }
  }
}

}  // namespace
}  // namespace muster::mariadb
