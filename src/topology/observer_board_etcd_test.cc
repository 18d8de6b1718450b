#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "topology/testing/etcd_voters.h"
#include "topology/topology_etcd.h"

namespace muster::board_test {
namespace {

using failover::ObserverReport;
using muster::testing::OpenEtcd;
using muster::testing::OptionsFor;
using muster::testing::SharedVoter;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

TEST(ObserverBoardEtcd, EachReadsTheNewestReportOfAll) {
  const EtcdOptions options = OptionsFor(SharedVoter().endpoints());
  const auto store = OpenEtcd(options);
  const auto other_store = OpenEtcd(options);
  const auto board = store->MakeBoard();
  const auto other = other_store->MakeBoard();
  ObserverReport east{.observer = "se", .center = "east", .sequence = 1, .controls = true, .reaches = {"e1", "w1"}};
  ObserverReport west{.observer = "sw", .center = "west", .sequence = 7};
  auto read = board->Exchange(east);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(*read, ElementsAre(east)) << "its own, as it is now";
  read = other->Exchange(west);
  ASSERT_TRUE(read);
  EXPECT_THAT(*read, UnorderedElementsAre(east, west));
  east.sequence = 2;
  east.reaches.clear();
  read = board->Exchange(east);
  ASSERT_TRUE(read);
  EXPECT_THAT(*read, UnorderedElementsAre(east, west));
  // Another installation's, and what is not understood, are not seen.
  EXPECT_THAT(*OpenEtcd(OptionsFor(SharedVoter().endpoints()))->MakeBoard()->Exchange(west), ElementsAre(west));
  SharedVoter().Put(0, options.prefix + "observers/newer", R"({"observer":"newer","mood":"good"})");
  EXPECT_THAT(*board->Exchange(east), UnorderedElementsAre(east, west));
  EXPECT_EQ((*store->Read())->revision, 0) << "the topology is not touched";
}

TEST(ObserverBoardEtcd, WithoutAMajorityItIsStale) {
  muster::testing::EtcdVoters voters(1);
  EtcdOptions options = OptionsFor(voters.endpoints());
  options.timeout_ms = 300;
  options.attempt_timeout_ms = 100;
  const auto store = OpenEtcd(options);
  const auto board = store->MakeBoard();
  ASSERT_TRUE(board->Exchange({.observer = "se", .sequence = 1}));
  voters.Freeze(0);
  const auto refused = board->Exchange({.observer = "se", .sequence = 2});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kStale);
  voters.Thaw(0);
  EXPECT_TRUE(
      muster::testing::WaitUntil([&] { return board->Exchange({.observer = "se", .sequence = 3}).has_value(); }));
}

}  // namespace
}  // namespace muster::board_test
