#include "topology/failover/gtid_position.h"

#include <gtest/gtest.h>

namespace muster::failover {
namespace {

GtidPosition At(std::string_view text) {
  const auto position = GtidPosition::Parse(text);
  EXPECT_TRUE(position) << text;
  return position.value_or(GtidPosition());
}

TEST(GtidPosition, IsWhatMariadbWrites) {
  for (const char* const text : {"", "0-1-17", "0-1-17,3-2-1", "4294967295-4294967295-18446744073709551615"}) {
    EXPECT_EQ(At(text).Text(), text);
  }
  EXPECT_EQ(At("3-2-1, 0-1-17").Text(), "0-1-17,3-2-1");
  EXPECT_EQ(GtidPosition::Of(0, 1, 17), At("0-1-17"));
}

TEST(GtidPosition, RefusesWhatIsNone) {
  for (const char* const text : {"x", "0", "0-1", "0-1-", "0-1-2-3", "0-1-17x", "-1-1-1", "0-1-1,0-2-2", "0-1-1,,1-1-1",
                                 "4294967296-1-1", "0-1-18446744073709551616"}) {
    EXPECT_FALSE(GtidPosition::Parse(text)) << text;
  }
}

TEST(GtidPosition, CoversWhatIsNotBeyond) {
  EXPECT_TRUE(At("0-1-17").Covers(At("")));
  EXPECT_TRUE(At("0-1-17").Covers(At("0-1-17")));
  EXPECT_TRUE(At("0-2-18").Covers(At("0-1-17"))) << "another server went on";
  EXPECT_FALSE(At("0-1-16").Covers(At("0-1-17")));
  EXPECT_FALSE(At("").Covers(At("0-1-1")));
  EXPECT_FALSE(At("0-1-17").Covers(At("0-1-1,1-1-1"))) << "each domain counts";
}

TEST(GtidPosition, ContradictsAnotherServersSameNumber) {
  EXPECT_TRUE(At("0-2-17").Contradicts(At("0-1-17")));
  EXPECT_FALSE(At("0-2-18").Contradicts(At("0-1-17")));
  EXPECT_FALSE(At("0-1-17").Contradicts(At("0-1-17")));
}

TEST(GtidPosition, RaisesToTheLaterOfEachDomain) {
  GtidPosition position = At("0-1-17,1-1-3");
  position.Raise(At("0-2-16,1-2-4,2-1-1"));
  EXPECT_EQ(position.Text(), "0-1-17,1-2-4,2-1-1");
  EXPECT_EQ(position.Total(), 22U);
}

}  // namespace
}  // namespace muster::failover
