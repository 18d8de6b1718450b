#include "app/output/topology_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kWholeTopology = R"({"centers":["A","B"],"writer":"A","health":"well","cause":"","attention":[],
  "groups":[{"name":"g1","durability":"both-centers","databases":[
    {"name":"a1","role":"primary","isUp":true,"state":"writing"},{"name":"b1","role":"replica","isUp":true,"state":"following"}]}],
  "caches":[{"center":"A","mode":"on"},{"center":"B","mode":"on"}]})";

constexpr const char* kHurtTopology = R"({"centers":["A","B"],"writer":"","health":"lost","cause":"a1 is silent",
  "attention":["rebuild b1"],"groups":[{"name":"g1","durability":"degraded","databases":[
    {"name":"a1","role":"primary","isUp":false,"state":"writing"},{"name":"b1","role":"replica","isUp":true,"state":"diverged"}]}],
  "caches":[{"center":"A","mode":"bypass"},{"center":"B","mode":"on"}]})";

std::string MissingFor(std::string_view goal, std::string_view json) {
  return MissingForGoal(ParseTopologyGoal(goal).value(), json).value();
}

TEST(TopologyGoal, WholeIsWhenNothingIsMissing) {
  EXPECT_THAT(MissingFor("whole", kWholeTopology), IsEmpty());
  EXPECT_EQ(
      MissingFor("whole", kHurtTopology),
      "a failover is under way; the writing center is lost: a1 is silent; group g1 is degraded; a1, the primary, is "
      "down; b1 is diverged; the cache of center A is bypass; rebuild b1");
}

TEST(TopologyGoal, IsNotWholeWhileAnAckerComesOrGoes) {
  constexpr const char* kJoining =
      R"({"writer":"A","health":"well","groups":[{"name":"g1","durability":"both-centers","databases":[
    {"name":"b1","role":"replica","acker":"in","isUp":true,"state":"following"},
    {"name":"b2","role":"replica","acker":"joining","isUp":true,"state":"following"}]}]})";
  EXPECT_EQ(MissingFor("whole", kJoining), "b2 is an acker that is joining");
}

TEST(TopologyGoal, ACenterWritesOrSomebodyIsNeeded) {
  EXPECT_THAT(MissingFor("writes:A", kWholeTopology), IsEmpty());
  EXPECT_EQ(MissingFor("writes:B", kWholeTopology), "center A writes");
  EXPECT_EQ(MissingFor("writes:B", kHurtTopology), "a failover is under way");
  EXPECT_EQ(MissingFor("attention", kWholeTopology), "nothing needs somebody");
  EXPECT_THAT(MissingFor("attention", kHurtTopology), IsEmpty());
}

TEST(TopologyGoal, WhatCannotComeIsRefused) {
  for (const char* text : {"", "all", "writes:"}) {
    const auto goal = ParseTopologyGoal(text);
    ASSERT_FALSE(goal) << text;
    EXPECT_THAT(goal.error().message, HasSubstr("writes:B"));
  }
  const auto missing = MissingForGoal(ParseTopologyGoal("writes:C").value(), kWholeTopology);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("no center C"));
  EXPECT_FALSE(MissingForGoal(ParseTopologyGoal("whole").value(), "nonsense"));
}

}  // namespace
}  // namespace muster
