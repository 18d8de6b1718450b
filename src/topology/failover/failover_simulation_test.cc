#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "topology/failover/testing/failover_world.h"

namespace muster::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A sanitizer makes each seed many times slower; what it looks for shows in few.
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

// How many seeds a test tries: MUSTER_FAILOVER_SEEDS, else `otherwise`. MUSTER_FAILOVER_SEED tries that one alone.
std::uint64_t SeedsOr(std::uint64_t otherwise) {
  const char* const text = std::getenv("MUSTER_FAILOVER_SEEDS");  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t FirstSeed() {
  const char* const text = std::getenv("MUSTER_FAILOVER_SEED");  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

void Explain(const WorldPlan& plan, const WorldResult& result) {
  std::string text;
  const std::size_t from = result.trace.size() > 120 ? result.trace.size() - 120 : 0;
  for (std::size_t i = from; i < result.trace.size(); ++i) text += result.trace[i] + "\n";
  ADD_FAILURE() << result.violation << "\n"
                << text << "replay: MUSTER_FAILOVER_SEED=" << plan.seed << " topology_failover_test --gtest_filter="
                << ::testing::UnitTest::GetInstance()->current_test_info()->name();
}

class RoughWeather : public ::testing::TestWithParam<int> {};

TEST_P(RoughWeather, LosesNothingAndComesBack) {
  std::int64_t acknowledged = 0;
  std::int64_t failovers = 0;
  const std::uint64_t first = FirstSeed();
  const std::uint64_t seeds = first != 0 ? 1 : SeedsOr(kIsSanitized ? 4 : 60);
  for (std::uint64_t i = 0; i < seeds; ++i) {
    WorldPlan plan{.seed = first != 0 ? first : 1'000'000ULL * static_cast<std::uint64_t>(GetParam()) + i + 1,
                   .groups = GetParam(),
                   .length = seconds(20)};
    plan.options.hold_back = milliseconds(0);
    const WorldResult result = FailoverWorld(plan).Run();
    acknowledged += result.acknowledged;
    failovers += result.failovers;
    if (!result.violation.empty()) return Explain(plan, result);
  }
  std::printf("%llu seeds: %lld writes acknowledged, %lld failovers and switchovers\n",
              static_cast<unsigned long long>(seeds), static_cast<long long>(acknowledged),
              static_cast<long long>(failovers));
  EXPECT_GT(failovers * 10, static_cast<std::int64_t>(seeds)) << "the weather was too good to see anything";
}

INSTANTIATE_TEST_SUITE_P(Groups, RoughWeather, ::testing::Values(1, 2));

// The longest pause of writes over many seeds of a plan with one event, and what else is expected of each.
Duration LongestPause(const char* name, const std::function<void(FailoverWorld&)>& script,
                      const std::function<void(FailoverWorld&, const WorldResult&)>& expect) {
  std::vector<Duration> pauses;
  for (std::uint64_t seed = 1; seed <= (kIsSanitized ? 3 : 20); ++seed) {
    const WorldPlan plan{.seed = seed, .is_rough = false, .length = seconds(16), .heal_at = seconds(9)};
    FailoverWorld world(plan);
    world.At(seconds(2), [&] { script(world); });
    const WorldResult result = world.Run();
    if (!result.violation.empty()) {
      Explain(plan, result);
      return Duration(0);
    }
    expect(world, result);
    pauses.push_back(result.longest_pause);
  }
  std::ranges::sort(pauses);
  std::printf("%s: writes away for %lld ms in the median, %lld ms at the worst of %zu\n", name,
              static_cast<long long>(pauses[pauses.size() / 2].count() / 1000),
              static_cast<long long>(pauses.back().count() / 1000), pauses.size());
  return pauses.back();
}

void ExpectWriter(FailoverWorld& world, const std::string& center, std::size_t failovers) {
  EXPECT_EQ(world.topology().writer, center);
  EXPECT_EQ(world.topology().failovers.size(), failovers);
}

TEST(FailoverTimes, ACenterIsKilled) {
  const Duration worst = LongestPause(
      "kill -9 of a center", [](FailoverWorld& world) { world.KillCenter("east"); },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "west", 1); });
  EXPECT_LE(worst, milliseconds(3000));
}

TEST(FailoverTimes, ACenterFreezes) {
  const Duration worst = LongestPause(
      "freeze of a center", [](FailoverWorld& world) { world.FreezeCenter("east", true); },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "west", 1); });
  EXPECT_LE(worst, milliseconds(3000));
}

TEST(FailoverTimes, ACenterIsCutOff) {
  const Duration worst = LongestPause(
      "a center cut off from all",
      [](FailoverWorld& world) {
        world.Cut("east", "west", true);
        world.Cut("east", "witness", true);
      },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "west", 1); });
  EXPECT_LE(worst, milliseconds(3000));
}

// Both reach the witness: the center that writes goes on, visibly degraded, and the other one stays where it is.
TEST(FailoverTimes, TheLinkBetweenTheCentersIsCut) {
  const Duration worst = LongestPause(
      "the link between the centers cut",
      [](FailoverWorld& world) {
        world.Cut("east", "west", true);
        world.At(seconds(6), [&world] { EXPECT_EQ(world.topology().groups[0].durability, Durability::kDegraded); });
      },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "east", 0); });
  EXPECT_LE(worst, milliseconds(3000));
}

TEST(FailoverTimes, TheOtherCenterIsKilled) {
  const Duration worst = LongestPause(
      "kill -9 of the other center", [](FailoverWorld& world) { world.KillCenter("west"); },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "east", 0); });
  EXPECT_LE(worst, milliseconds(3000));
}

TEST(FailoverTimes, OneAckerIsKilled) {
  const Duration worst = LongestPause(
      "kill -9 of an acker", [](FailoverWorld& world) { world.KillDatabase("w1"); },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "east", 0); });
  EXPECT_LE(worst, milliseconds(500));
}

TEST(FailoverTimes, APlannedSwitchover) {
  const Duration worst = LongestPause(
      "planned switchover", [](FailoverWorld& world) { world.PlanSwitchover("west"); },
      [](FailoverWorld& world, const WorldResult&) {
        ExpectWriter(world, "west", 1);
        EXPECT_EQ(world.topology().failovers[0].kind, FailoverKind::kPlanned);
      });
  EXPECT_LE(worst, milliseconds(500));
}

// Whenever that happens in it: what was chosen in the other center is given up with it, and when the last primary is
// lost before it has stopped, that is a loss like any other.
TEST(FailoverTimes, ACenterIsLostDuringASwitchover) {
  for (const char* const lost : {"east", "west"}) {
    for (const int kind : {0, 1, 2, 3}) {
      const bool freezes = kind % 2 == 1;
      Duration worst(0);
      for (milliseconds after(0); after < milliseconds(400); after += milliseconds(kIsSanitized ? 200 : 10)) {
        WorldPlan plan{
            .seed = 1 + static_cast<std::uint64_t>(after.count()), .groups = 1 + (kind / 2), .is_rough = false};
        plan.length = seconds(16);
        plan.heal_at = seconds(10);
        FailoverWorld world(plan);
        world.At(seconds(2), [&] { world.PlanSwitchover("west"); });
        world.At(seconds(2) + after, [&] { freezes ? world.FreezeCenter(lost, true) : world.KillCenter(lost); });
        const WorldResult result = world.Run();
        if (!result.violation.empty()) return Explain(plan, result);
        EXPECT_NE(world.topology().writer, lost) << after.count() << " ms after it began";
        worst = std::max(worst, result.longest_pause);
      }
      std::printf("%s %s during a switchover of %d groups to west: writes away for %lld ms at the worst\n", lost,
                  freezes ? "frozen" : "killed", 1 + (kind / 2), static_cast<long long>(worst.count() / 1000));
      EXPECT_LE(worst, milliseconds(3000));
    }
  }
}

// Its ackers are just joining, some by orders that are half done: those that have not begun to acknowledge are not
// waited for.
TEST(FailoverTimes, ACenterIsLostRightAfterASwitchover) {
  for (const int kind : {0, 1, 2, 3}) {
    const bool freezes = kind % 2 == 1;
    const bool is_back = kind >= 2;
    const std::string lost = is_back ? "east" : "west";
    for (milliseconds after(0); after < milliseconds(400); after += milliseconds(kIsSanitized ? 200 : 8)) {
      WorldPlan plan{.seed = 1 + static_cast<std::uint64_t>(after.count()), .is_rough = false, .length = seconds(16)};
      plan.heal_at = seconds(10);
      FailoverWorld world(plan);
      const std::size_t moves = is_back ? 2 : 1;
      const std::function<void(Duration)> lose_once_moved = [&](Duration at) {
        world.At(at, [&, at] {
          if (world.topology().failovers.size() < moves) return lose_once_moved(at + milliseconds(1));
          world.At(at + after, [&] { freezes ? world.FreezeCenter(lost, true) : world.KillCenter(lost); });
        });
      };
      world.At(seconds(2), [&] { world.PlanSwitchover("west"); });
      if (is_back) world.At(seconds(4), [&] { world.PlanSwitchover("east"); });
      lose_once_moved(seconds(2));
      const WorldResult result = world.Run();
      if (!result.violation.empty()) return Explain(plan, result);
      ExpectWriter(world, is_back ? "west" : "east", moves + 1);
      EXPECT_LE(result.longest_pause, milliseconds(3000)) << lost << " lost " << after.count() << " ms after it";
    }
  }
}

TEST(FailoverTimes, ThereAndBack) {
  LongestPause(
      "there and back",
      [](FailoverWorld& world) {
        world.KillCenter("east");
        world.At(seconds(6), [&world] { world.Heal(); });
        world.At(seconds(12), [&world] { world.PlanSwitchover("east"); });
      },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "east", 2); });
}

// Refusals: nothing is done, and writes come back with what was missing.
TEST(FailoverRefuses, WhenAnAckerVanishedWithThePrimary) {
  LongestPause(
      "an acker vanished with the center",
      [](FailoverWorld& world) {
        world.KillDatabase("w2");
        world.KillCenter("east");
        world.At(seconds(8), [&world] {
          EXPECT_EQ(world.topology().writer, "east");
          EXPECT_FALSE(world.topology().failover);
        });
      },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "east", 0); });
}

TEST(FailoverRefuses, WhenAGroupIsDegraded) {
  LongestPause(
      "degraded",
      [](FailoverWorld& world) {
        world.KillCenter("west");
        world.At(seconds(5), [&world] {
          world.KillDatabase("e1");
          world.StartDatabase("w1");
        });
        world.At(seconds(8), [&world] { EXPECT_FALSE(world.topology().failover); });
      },
      [](FailoverWorld& world, const WorldResult&) { ExpectWriter(world, "east", 0); });
}

struct PlantedCase {
  PlantedFault fault;
  const char* name;
  const char* finds;  // a part of the violation
  std::function<void(FailoverWorld&)> script;
  bool is_late = false;
  std::uint64_t first_seed = 1;  // shortly before one that is known to find it
};

void PrintTo(const PlantedCase& planted, std::ostream* out) { *out << planted.name; }

void LoseAckerThenCenter(FailoverWorld& world) {
  world.SlowDatabase("w1", true);
  world.At(milliseconds(1500), [&world] { world.HideDatabase("w2", true); });
  world.At(milliseconds(4200), [&world] { world.KillCenter("east"); });
  world.At(milliseconds(4300), [&world] { world.HideDatabase("w2", false); });
}

// w2 comes back, acknowledges what w1 does not have yet, and is lost with the center before anybody has seen that.
void LoseAckerThatJoins(FailoverWorld& world, Duration at = seconds(1)) {
  world.At(at, [&world, at] {
    const AckerRecord* const acker = world.topology().groups[0].FindAcker("w2");
    if (acker == nullptr) world.StartDatabase("w2");
    const bool joins = acker != nullptr && acker->state == AckerState::kJoining;
    if (at == seconds(1)) world.KillDatabase("w2");
    if (!joins || !world.databases()["w2"].acknowledges) return LoseAckerThatJoins(world, at + milliseconds(1));
    world.HideDatabase("w2", true);
    world.HoldDatabase("w2", true);
    world.SlowDatabase("w1", true);
    world.At(at + milliseconds(800), [&world] {
      world.KillDatabase("w2");
      world.KillCenter("east");
      world.StartDatabase("w2");
      world.HideDatabase("w2", false);
      world.HoldDatabase("w2", false);
      world.SlowDatabase("w1", false);
    });
  });
}

// Answers of commits come late, and then nobody in east hears of the new epoch.
void CutOffWithLateAnswers(FailoverWorld& world) {
  world.At(milliseconds(1500), [&world] {
    world.Cut("east", "west", true);
    world.Cut("east", "witness", true);
  });
}

// Each broken variant of the model has to be found, within so many seeds.
class FailoverPlanted : public ::testing::TestWithParam<PlantedCase> {};

TEST_P(FailoverPlanted, IsFound) {
  if (kIsSanitized) GTEST_SKIP() << "tests the simulation, not what it simulates";
  constexpr std::uint64_t kSeedsMax = 600;
  for (std::uint64_t seed = GetParam().first_seed; seed < GetParam().first_seed + kSeedsMax; ++seed) {
    WorldPlan plan{.seed = seed, .is_rough = !GetParam().script, .planted = GetParam().fault};
    plan.options.hold_back = milliseconds(0);
    if (GetParam().is_late) plan.late_center = "east";
    FailoverWorld world(plan);
    if (GetParam().script) GetParam().script(world);
    const WorldResult result = world.Run();
    if (result.violation.empty() || result.violation.starts_with("AWAY")) continue;
    std::printf("%s: seed %llu: %s\n", GetParam().name, static_cast<unsigned long long>(seed),
                result.violation.c_str());
    EXPECT_THAT(result.violation, HasSubstr(GetParam().finds));
    return;
  }
  ADD_FAILURE() << "not found in " << kSeedsMax << " seeds";
}

INSTANTIATE_TEST_SUITE_P(
    Variants, FailoverPlanted,
    ::testing::Values(PlantedCase{PlantedFault::kNoAck, "NO_ACK", "LOST", {}},
                      PlantedCase{PlantedFault::kAnyAcker, "ANY_ACKER", "", {}},
                      PlantedCase{PlantedFault::kOneReached, "ONE_REACHED", "", {}, false, 140},
                      PlantedCase{PlantedFault::kNoStop, "NO_STOP", "", {}, false, 185},
                      PlantedCase{PlantedFault::kOutFirst, "OUT_FIRST", "LOST", LoseAckerThenCenter},
                      PlantedCase{PlantedFault::kOutBehind, "OUT_BEHIND", "LOST", LoseAckerThenCenter},
                      PlantedCase{PlantedFault::kInLast, "IN_LAST", "", {}},
                      PlantedCase{PlantedFault::kInForgotten, "IN_FORGOTTEN", "LOST",
                                  [](FailoverWorld& world) { LoseAckerThatJoins(world); }},
                      PlantedCase{PlantedFault::kNoWait, "NO_WAIT", "TWO", CutOffWithLateAnswers, true, 80},
                      PlantedCase{PlantedFault::kFromReply, "FROM_REPLY", "TWO", CutOffWithLateAnswers, true},
                      PlantedCase{PlantedFault::kNoCheckAfter, "NO_CHECK_AFTER", "TWO", CutOffWithLateAnswers, true},
                      PlantedCase{PlantedFault::kNoJournal, "NO_JOURNAL", "TWO", {}},
                      PlantedCase{PlantedFault::kNoTruncate, "NO_TRUNCATE", "DIVERGED", {}, false, 60}),
    [](const auto& parameter) {
      std::string name = parameter.param.name;
      std::erase(name, '_');
      return name;
    });

}  // namespace
}  // namespace muster::failover
