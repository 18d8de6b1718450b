#include "topology/restored_topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster {
namespace {

using ::testing::IsEmpty;

TEST(RestoredTopology, IsNewerThanAllThatWasSaidSince) {
  TopologyDocument before = testing::TwoCenters(2);
  before.caches = {{.center = "east", .epoch = Epoch(7), .mode = CacheMode::kOn},
                   {.center = "west", .epoch = Epoch(3), .mode = CacheMode::kWarming}};
  const auto after = ChangeTopology(before, "t.json", RaiseRestored);
  ASSERT_TRUE(after) << after.error().message;
  constexpr std::int64_t kLater = 500'000;
  EXPECT_GT(after->revision, before.revision + kLater);
  EXPECT_GT(after->epoch.value(), before.epoch.value() + kLater);
  EXPECT_EQ(after->writer, before.writer);
  for (std::size_t i = 0; i < before.groups.size(); ++i) {
    EXPECT_EQ(after->groups[i].primary, before.groups[i].primary);
    EXPECT_EQ(after->groups[i].durability, Durability::kDegraded) << "copies may have been left out since";
    EXPECT_THAT(after->groups[i].ackers, IsEmpty());
  }
  for (std::size_t i = 0; i < before.caches.size(); ++i) {
    EXPECT_EQ(after->caches[i].mode, CacheMode::kBypass);
    EXPECT_GT(after->caches[i].epoch.value(), before.caches[i].epoch.value() + kLater);
  }
}

TEST(RestoredTopology, IsNotOfTheMiddleOfAFailoverNorOfOnePlace) {
  for (const TopologyDocument& document : {testing::FailingOver(), TopologyDocument()}) {
    const auto refused = ChangeTopology(document, "t.json", RaiseRestored);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, Reason::kStateConflict);
  }
}

}  // namespace
}  // namespace muster
