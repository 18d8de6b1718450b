#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster::groups_codec_test {
namespace {

using ::muster::testing::FailingOver;
using ::muster::testing::TwoCenters;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TopologyDocument Full() {
  TopologyDocument document = FailingOver(FailoverKind::kLoss, 2);
  document.failover->accepts_loss = document.failover->by_operator = document.failover->leases_ended = true;
  document.failover->groups[0] = {.group = "g0", .step = GroupStep::kChosen, .chosen = "w2", .position = "0-1-17"};
  document.groups[1].ackers[0].state = AckerState::kJoining;
  document.groups[1].ackers[1].state = AckerState::kLeaving;
  document.groups[1].promoted_at = "0-2-5,1-2-3";
  const Timestamp time(std::chrono::seconds(1'600'000'000));
  document.failovers.push_back({.kind = FailoverKind::kPlanned,
                                .by_operator = true,
                                .from = "west",
                                .to = "east",
                                .cause = "\"maintenance\"\n",
                                .begin_time = time,
                                .end_time = time + Duration(7)});
  document.failovers.push_back({.from = "east", .to = "west", .begin_time = time, .end_time = time, .undone = true});
  document.groups[1].databases[1].remote_address = "gate:4306";
  document.caches = {{.center = "east", .epoch = Epoch(7), .mode = CacheMode::kWarming},
                     {.center = "west", .epoch = Epoch(3), .mode = CacheMode::kOn}};
  return document;
}

std::string RefusalOf(std::string text) {
  const auto parsed = ParseTopology("t.json", text);
  return parsed ? "accepted" : parsed.error().message;
}

// `text` with the first `from` replaced.
std::string With(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(TopologyGroupsCodec, GivesBackWhatItWrote) {
  const TopologyDocument full = Full();
  const auto parsed = ParseTopology("t.json", RenderTopology(full));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, full);
  EXPECT_THAT(RenderTopology(full), StartsWith("{\"format\":3,"));
}

TEST(TopologyGroupsCodec, ADatabaseHasAnAddressForItsCenterAndOneForOthers) {
  DatabaseRecord database{.name = "e1", .center = "east", .address = "e1:3306", .remote_address = {}};
  EXPECT_EQ(database.AddressFrom("west"), "e1:3306");
  database.remote_address = "gate:4306";
  EXPECT_EQ(database.AddressFrom("west"), "gate:4306");
  EXPECT_EQ(database.AddressFrom("east"), "e1:3306");
}

TEST(TopologyGroupsCodec, ACacheIsOfACenterAndThereOnce) {
  TopologyDocument document = TwoCenters();
  document.caches = {{.center = "east", .epoch = Epoch(7), .mode = CacheMode::kOn}};
  const std::string text = RenderTopology(document);
  EXPECT_THAT(RefusalOf(With(text, R"("center":"east","epoch")", R"("center":"north","epoch")")), HasSubstr("centers"));
  EXPECT_THAT(RefusalOf(With(text, R"("mode":"on")", R"("mode":"off")")), HasSubstr("mode"));
  EXPECT_THAT(RefusalOf(With(text, R"("caches":[)", R"("caches":[{"center":"east","epoch":"1","mode":"on"},)")),
              HasSubstr("sorted"));
}

TEST(TopologyGroupsCodec, WritesAGroupALine) {
  TopologyDocument document = TwoCenters();
  EXPECT_THAT(
      RenderTopology(document),
      HasSubstr("\n{\"name\":\"g0\",\"primary\":\"e1\",\"durability\":\"both-centers\",\"ackers\":[{\"name\":\"w1\","
                "\"state\":\"in\"},{\"name\":\"w2\",\"state\":\"in\"}],\"ackersRevision\":\"1\",\"databases\":[{"
                "\"name\":\"e1\",\"center\":\"east\",\"address\":\"e1:3306\"},"));
}

TEST(TopologyGroupsCodec, RefusesEveryTruncation) {
  const std::string text = RenderTopology(Full());
  for (std::size_t size = 0; size < text.size() - 1; ++size) {
    ASSERT_NE(RefusalOf(text.substr(0, size)), "accepted") << size;
  }
}

TEST(TopologyGroupsCodec, RefusesWhatDoesNotFitWithItsPlace) {
  const std::string steady = RenderTopology(TwoCenters());
  const std::string moving = RenderTopology(Full());
  EXPECT_THAT(RefusalOf(With(steady, "\"primary\":\"e1\"", "\"primary\":\"e9\"")),
              StartsWith("t.json:2:1: \"primary\" must be one of the group's databases"));
  const std::tuple<std::string, const char*, const char*, const char*> mistakes[] = {
      {steady, "\"primary\":\"e1\"", "\"primary\":\"w1\"", "would be lost with it"},
      {steady, "\"writer\":\"east\"", "\"writer\":\"west\"", "is not in the center that writes, \"west\""},
      {steady, "\"name\":\"w1\",\"state\"", "\"name\":\"v1\",\"state\"", "none of the group's databases"},
      {steady, "\"state\":\"in\"", "\"state\":\"out\"", "one of joining, in, leaving"},
      {steady, "both-centers", "one-center", "one of both-centers, degraded"},
      {steady, "\"center\":\"east\"", "\"center\":\"north\"", "in none of the \"centers\""},
      {steady, "{\"name\":\"e1\",\"center\"", "{\"name\":\"z1\",\"center\"", "out of place"},
      {steady, "\"name\":\"g0\"", "\"name\":\"\"", "\"name\" must be a name"},
      {steady, "\"name\":\"g0\"", "\"nmae\":\"g0\"", "unknown field"},
      {steady, "\"address\":\"e1:3306\"", "\"address\":\"\"", "\"address\" must be a name"},
      {steady, "\"address\":\"e2:3306\"", "\"address\":\"e2:3306\",\"rebuild\":{}", "lacks \"revision\""},
      {steady, "\"address\":\"e2:3306\"", "\"address\":\"e2:3306\",\"rebuild\":{\"revision\":\"9\",\"failure\":\"\"}",
       "\"failure\" must be a name"},
      {steady, "\"ackersRevision\":\"1\"", "\"ackersRevision\":\"0\"", "a positive whole number"},
      {moving, "\"from\":\"east\"", "\"from\":\"north\"", "none of the \"centers\""},
      {moving, "\"from\":\"east\"", "\"from\":\"west\"", "from one center to another"},
      {moving, "\"step\":\"chosen\"", "\"step\":\"fenced\"", "from that step on, and not before"},
      {moving, "\"step\":\"fenced\"", "\"step\":\"promoted\"", "from that step on, and not before"},
      {moving, "\"chosen\":\"w2\"", "\"chosen\":\"w3\"", "one of the group's databases"},
      {moving, "{\"group\":\"g0\"", "{\"group\":\"g1\"", "out of place"},
      {moving, "\"kind\":\"failover\"", "\"kind\":\"move\"", "one of failover, switchover"},
      {moving, "\"beginRevision\":\"11\"", "\"beginRevision\":11", "a string"},
      {moving, "\"leasesEnded\":true", "\"leasesEnded\":1", "true or false"},
      {moving, "\"centers\":[\"east\",\"west\"],", "\"centers\":[\"east\",\"west\"],\"writer\":\"west\",",
       "no \"writer\""},
      {moving, ",\"undone\":true", ",\"undone\":\"yes\"", "true or false"},
  };
  for (const auto& [text, from, to, complaint] : mistakes) {
    EXPECT_THAT(RefusalOf(With(text, from, to)), HasSubstr(complaint)) << to;
    EXPECT_THAT(RefusalOf(With(text, from, to)), StartsWith("t.json:")) << to;
  }
  TopologyDocument two = TwoCenters(2);
  two.groups[1].databases[0].name = two.groups[1].primary = "e1";
  EXPECT_THAT(RefusalOf(RenderTopology(two)), HasSubstr("of another group, too"));
  TopologyDocument lacking = FailingOver(FailoverKind::kLoss, 2);
  lacking.failover->groups.pop_back();
  EXPECT_THAT(RefusalOf(RenderTopology(lacking)), HasSubstr("lacks a group"));
  TopologyDocument bare = TwoCenters();
  bare.groups[0].ackers.clear();
  EXPECT_THAT(RefusalOf(RenderTopology(bare)), HasSubstr("without ackers"));
}

}  // namespace
}  // namespace muster::groups_codec_test
