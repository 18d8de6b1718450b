#include "lab/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace muster::lab {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> LabNames(const std::vector<const Component*>& components) {
  std::vector<std::string> names;
  for (const Component* const component : components) names.push_back(component->name);
  return names;
}

TEST(Layout, NamesTheComponentsOfBothCenters) {
  const Layout layout("/lab", 1, 20'000);
  std::vector<std::string> names;
  for (const Component& component : layout.components()) names.push_back(component.name);
  EXPECT_EQ(names, (std::vector<std::string>{"etcd-a", "etcd-b", "etcd-w", "mariadb-a1", "mariadb-a2", "mariadb-b1",
                                             "mariadb-b2", "redis-a", "redis-b", "muster-a1", "muster-a2", "muster-b1",
                                             "muster-b2"}));
}

TEST(Layout, LaterGroupsHaveTheirNumber) {
  const Layout layout("/lab", 2, 20'000);
  ASSERT_NE(layout.Find("mariadb-2-b1"), nullptr);
  EXPECT_EQ(layout.Find("mariadb-2-b1")->group, 2);
  EXPECT_EQ(layout.Find("mariadb-a1")->group, 1);
  std::set<int> server_ids;
  for (const Component* const database : layout.All(Kind::kMariadb)) server_ids.insert(database->number);
  EXPECT_EQ(server_ids.size(), 8u);
}

TEST(Layout, EveryPortIsItsOwnAndWithinTheRange) {
  for (const int groups : {1, kLabGroupsMax}) {
    const Layout layout("/lab", groups, 20'000);
    std::set<std::uint16_t> ports;
    for (const Component& component : layout.components()) {
      for (const std::uint16_t port : {component.port, component.remote_port, component.peer_port,
                                       component.remote_peer_port, component.grpc_port, component.admin_port}) {
        if (port == 0) continue;
        EXPECT_TRUE(ports.insert(port).second) << component.name << " shares port " << port;
        EXPECT_GE(port, 20'000);
        EXPECT_LT(port, 20'000 + Layout::PortsOf(groups));
      }
    }
    EXPECT_EQ(ports.size(), Layout::PortsOf(groups));
  }
}

TEST(Layout, WhoIsElsewhereGoesThroughTheProxy) {
  const Layout layout("/lab", 1, 20'000);
  const Component& database = *layout.Find("mariadb-a1");
  EXPECT_EQ(Layout::AddressFrom(Center::kA, database), Layout::Address(database.port));
  EXPECT_EQ(Layout::AddressFrom(Center::kB, database), Layout::Address(database.remote_port));
  EXPECT_EQ(Layout::AddressFrom(Center::kWitness, database), Layout::Address(database.remote_port));
}

TEST(Layout, ATargetIsAComponentOrAPlace) {
  const Layout layout("/lab", 1, 20'000);
  EXPECT_EQ(LabNames(*layout.Resolve("redis-a")), std::vector<std::string>{"redis-a"});
  EXPECT_EQ(LabNames(*layout.Resolve("center:W")), std::vector<std::string>{"etcd-w"});
  EXPECT_EQ(LabNames(*layout.Resolve("center:b")),
            (std::vector<std::string>{"etcd-b", "mariadb-b1", "mariadb-b2", "redis-b", "muster-b1", "muster-b2"}));
}

TEST(Layout, AWrongTargetSaysWhatWouldBeRight) {
  const Layout layout("/lab", 1, 20'000);
  const auto mistyped = layout.Resolve("mariadb-a");
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().reason, Reason::kNotFound);
  EXPECT_THAT(mistyped.error().message, HasSubstr("did you mean 'mariadb-a1'"));
  EXPECT_THAT(layout.Resolve("").error().message, HasSubstr("lab status"));
  EXPECT_EQ(layout.Resolve("center:C").error().reason, Reason::kInvalidArgument);
  EXPECT_EQ(layout.Resolve("center:").error().reason, Reason::kInvalidArgument);
}

}  // namespace
}  // namespace muster::lab
