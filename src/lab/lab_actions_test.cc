#include "lab/lab_actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/testing/temporary_place.h"

namespace muster::lab {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// Of a lab in which nothing was started.
class LabActionsTest : public ::testing::Test {
 protected:
  Result<void> Do(const std::string& verb, std::vector<std::string> arguments) {
    const auto done = actions_.Do({.verb = verb, .arguments = std::move(arguments)});
    if (!done) return Fail(done.error());
    return {};
  }
  LinkCondition Link(Center from, Center to) const {
    return links_.Read()[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
  }

  const testing::TemporaryPlace place_;
  const Layout layout_{place_.path(), 1, 20'000};
  const SystemClock clock_;
  SystemRandom random_;
  ProcessKeeper keeper_{NullLogger()};
  const LabTopology topology_{layout_, clock_, random_};
  Fleet fleet_{layout_, {}, keeper_, topology_};
  Links links_;
  LabActions actions_{layout_, fleet_, links_};
};

TEST_F(LabActionsTest, LossIsOfOneDirectionAndAPartitionOfBoth) {
  ASSERT_TRUE(Do("loss", {"A", "B"}));
  EXPECT_TRUE(Link(Center::kA, Center::kB).is_cut);
  EXPECT_FALSE(Link(Center::kB, Center::kA).is_cut);
  ASSERT_TRUE(Do("partition", {"b", "w"}));
  EXPECT_TRUE(Link(Center::kB, Center::kWitness).is_cut);
  EXPECT_TRUE(Link(Center::kWitness, Center::kB).is_cut);
  EXPECT_FALSE(Link(Center::kA, Center::kWitness).is_cut);
}

TEST_F(LabActionsTest, DelayAndRateAreOfBothDirections) {
  ASSERT_TRUE(Do("delay", {"A", "B", "2ms"}));
  ASSERT_TRUE(Do("throttle", {"A", "B", "64KiB"}));
  for (const auto& [from, to] : {std::pair(Center::kA, Center::kB), std::pair(Center::kB, Center::kA)}) {
    EXPECT_EQ(Link(from, to), (LinkCondition{.delay = milliseconds(2), .is_cut = false, .bytes_per_second = 65'536}));
  }
  ASSERT_TRUE(Do("delay", {"A", "B", "0ms"}));
  ASSERT_TRUE(Do("throttle", {"A", "B", "0"}));
  EXPECT_EQ(Link(Center::kA, Center::kB), LinkCondition());
}

TEST_F(LabActionsTest, HealIsOfAPairOrOfAll) {
  ASSERT_TRUE(Do("partition", {"A", "B"}));
  ASSERT_TRUE(Do("delay", {"A", "W", "2ms"}));
  ASSERT_TRUE(Do("heal", {"A", "B"}));
  EXPECT_EQ(Link(Center::kA, Center::kB), LinkCondition());
  EXPECT_EQ(Link(Center::kA, Center::kWitness).delay, milliseconds(2));
  ASSERT_TRUE(Do("heal", {}));
  EXPECT_EQ(Link(Center::kA, Center::kWitness), LinkCondition());
}

TEST_F(LabActionsTest, WhatIsWrongIsRefusedAndNothingChanges) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> wrong = {{"partition", {"A"}},
                                                                               {"partition", {"A", "A"}},
                                                                               {"partition", {"A", "C"}},
                                                                               {"partition", {"A", "B", "C"}},
                                                                               {"delay", {"A", "B"}},
                                                                               {"delay", {"A", "B", "2"}},
                                                                               {"delay", {"A", "B", "11s"}},
                                                                               {"delay", {"A", "B", "-1ms"}},
                                                                               {"throttle", {"A", "B", "1"}},
                                                                               {"throttle", {"A", "B", "x"}},
                                                                               {"heal", {"A"}},
                                                                               {"kill", {}},
                                                                               {"kill", {"a", "b"}},
                                                                               {"clock", {"mariadb-a1"}},
                                                                               {"explode", {"A", "B"}},
                                                                               {"fill", {"center:A"}}};
  for (const auto& [verb, arguments] : wrong) {
    const Result<void> done = Do(verb, arguments);
    ASSERT_FALSE(done) << verb;
    EXPECT_EQ(done.error().reason, Reason::kInvalidArgument) << verb << ": " << done.error().message;
  }
  EXPECT_EQ(links_.Read(), Links::All{});
}

TEST_F(LabActionsTest, WhatThisLabDoesNotHaveIsRefused) {
  EXPECT_EQ(Do("kill", {"mariadb-c1"}).error().reason, Reason::kNotFound);
  EXPECT_EQ(Do("start", {"muster-a1"}).error().reason, Reason::kStateConflict);
  EXPECT_THAT(Do("clock", {"muster-a1", "1s"}).error().message, HasSubstr("engines only"));
}

TEST(ParseClockOffset, TakesASign) {
  EXPECT_EQ(*ParseClockOffset("+5s"), milliseconds(5'000));
  EXPECT_EQ(*ParseClockOffset("-200ms"), milliseconds(-200));
  EXPECT_EQ(*ParseClockOffset("0s"), milliseconds(0));
  EXPECT_EQ(*ParseClockOffset("2m"), milliseconds(120'000));
  for (const char* const text : {"", "+", "5", "+-5s", "soon", "999999h"}) EXPECT_FALSE(ParseClockOffset(text)) << text;
}

}  // namespace
}  // namespace muster::lab
