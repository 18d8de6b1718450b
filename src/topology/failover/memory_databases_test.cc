#include "topology/failover/testing/memory_databases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::failover {
namespace {

// A primary "a" and its replicas "b" and "c", of which b acknowledges.
class MemoryDatabasesTest : public ::testing::Test {
 protected:
  MemoryDatabasesTest() {
    for (const char* const name : {"a", "b", "c"}) databases.Add(name);
    EXPECT_TRUE(databases.Govern("a", 1, {.is_writable = true, .waits = true}));
    EXPECT_TRUE(databases.Follow("b", 1, A(), Acknowledging::kYes));
    EXPECT_TRUE(databases.Follow("c", 1, A(), Acknowledging::kNo));
  }
  static ReplicationSource A() { return {.name = "a", .address = "a:3306"}; }
  bool IsCommitted(std::size_t index) { return databases["a"].committed >= index; }
  void Deliver(const std::string& name) {
    const std::size_t count = databases.Receive(name);
    if (count > 0) databases.Acknowledge("a", name, databases[name].connection, count);
  }

  MemoryDatabases databases;
};

TEST_F(MemoryDatabasesTest, ACommitWaitsForAnyAcker) {
  const std::size_t index = databases.Write("a", 7);
  Deliver("c");
  EXPECT_FALSE(IsCommitted(index));
  Deliver("b");
  EXPECT_TRUE(IsCommitted(index));
}

TEST_F(MemoryDatabasesTest, AnOlderTopologysOrderIsRefused) {
  EXPECT_TRUE(databases.StopReceiving("b", 5));
  const auto refused = databases.Follow("b", 4, A(), Acknowledging::kYes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kStateConflict);
  EXPECT_FALSE(databases["b"].receives);
  EXPECT_TRUE(databases.Follow("b", 5, A(), Acknowledging::kYes));
}

TEST_F(MemoryDatabasesTest, WhoIsShutOutAcknowledgesNothingMore) {
  const std::size_t index = databases.Write("a", 7);
  const std::size_t count = databases.Receive("b");
  const std::uint64_t connection = databases["b"].connection;
  EXPECT_TRUE(databases.Govern("a", 2, {.is_writable = true, .waits = true, .shut_out = {"b"}}));
  databases.Acknowledge("a", "b", connection, count);  // it was on its way
  EXPECT_FALSE(IsCommitted(index));
  EXPECT_EQ(databases.Receive("b"), 0U);
}

TEST_F(MemoryDatabasesTest, AReplicaThatEndsLosesWhatItHasNotApplied) {
  databases.Write("a", 7);
  Deliver("b");
  databases.Kill("b");
  databases.Run("b", MemoryDatabases::Start::kAsPrimary);
  EXPECT_TRUE(databases["b"].log.empty());
  EXPECT_FALSE(databases.Look("b")->acknowledges) << "which is how that can be seen";
}

TEST_F(MemoryDatabasesTest, AnOldPrimaryIsTruncatedOnlyWhenItStartsAsAReplica) {
  databases.Write("a", 7);
  databases.Kill("a");
  databases.Run("a", MemoryDatabases::Start::kAsReplica);
  EXPECT_TRUE(databases["a"].log.empty());
  EXPECT_TRUE(databases.Promote("b", 2, false));
  databases.Write("b", 8);
  EXPECT_TRUE(databases.Follow("a", 2, {.name = "b", .address = "b:3306"}, Acknowledging::kNo));
  databases.Receive("a");
  EXPECT_EQ(databases.Look("a")->fault, ReplicaFault::kNone);
  EXPECT_EQ(databases["a"].log, databases["b"].log);
}

TEST_F(MemoryDatabasesTest, AnOldPrimaryWithMoreHasDiverged) {
  databases.Write("a", 7);
  databases.Kill("a");
  databases.Run("a", MemoryDatabases::Start::kAsPrimary);
  EXPECT_TRUE(databases.Promote("b", 2, false));
  EXPECT_TRUE(databases.Follow("a", 2, {.name = "b", .address = "b:3306"}, Acknowledging::kNo));
  databases.Receive("a");
  EXPECT_EQ(databases.Look("a")->fault, ReplicaFault::kDiverged);
  EXPECT_TRUE(databases.Rebuild("a", 2, {.name = "b", .address = "b:3306"}));
  EXPECT_EQ(databases.Look("a")->fault, ReplicaFault::kNone);
}

TEST_F(MemoryDatabasesTest, ARebuildThatIsBrokenOffLeavesWhatCannotFollow) {
  databases.Write("a", 7);
  Deliver("b");
  EXPECT_TRUE(databases.Rebuild("b", 2, {.name = "a", .address = "a:3306"})) << "it follows already";
  databases["b"].fault = ReplicaFault::kBroken;
  databases.breaks_off_rebuild = true;
  EXPECT_FALSE(databases.Rebuild("b", 2, {.name = "a", .address = "a:3306"}));
  EXPECT_TRUE(databases.Follow("b", 2, {.name = "a", .address = "a:3306"}, Acknowledging::kNo));
  databases.Receive("b");
  EXPECT_EQ(databases.Look("b")->fault, ReplicaFault::kDiverged);
  EXPECT_TRUE(databases.Rebuild("b", 2, {.name = "a", .address = "a:3306"}));
  EXPECT_EQ(databases.Look("b")->fault, ReplicaFault::kNone);
}

TEST_F(MemoryDatabasesTest, WhatWasPromotedFollowsNobodyUnderTheSameTopology) {
  EXPECT_TRUE(databases.Promote("b", 2, false));
  EXPECT_EQ(databases.Follow("b", 2, {.name = "a", .address = "a:3306"}, Acknowledging::kNo).error().reason,
            Reason::kStateConflict);
  EXPECT_TRUE(databases.Look("b")->is_writable);
  EXPECT_TRUE(databases.Follow("b", 3, {.name = "a", .address = "a:3306"}, Acknowledging::kNo));
}

TEST_F(MemoryDatabasesTest, APrimaryWithWaitingCommitsDoesNotStop) {
  databases.Write("a", 7);
  EXPECT_FALSE(databases.Govern("a", 2, {.is_writable = false, .waits = true}));
  Deliver("b");
  EXPECT_TRUE(databases.Govern("a", 2, {.is_writable = false, .waits = true}));
  EXPECT_EQ(databases.Write("a", 8), 0U);
}

TEST_F(MemoryDatabasesTest, NothingIsPromotedBeforeAllIsApplied) {
  databases.Write("a", 7);
  Deliver("b");
  EXPECT_FALSE(databases.Promote("b", 2, false));
  databases.Apply("b");
  EXPECT_TRUE(databases.Promote("b", 2, false));
}

}  // namespace
}  // namespace muster::failover
