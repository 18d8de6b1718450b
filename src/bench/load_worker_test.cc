#include "bench/load_worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bench/testing/simulated_transport.h"
#include "bench/verdict.h"

namespace muster {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr BenchTime kBegin = std::chrono::hours(1);

Population Somebody() {
  Population population;
  population.members.emplace_back(1);
  return population;
}

// Runs a whole load on the simulation's clock.
struct Ran {
  Measurement measurement;
  BenchTime measured{};
  std::vector<LoadWindow> windows;
  std::vector<Silence> silences;
  std::uint64_t sent = 0;
};

Ran RunLoad(const LoadSchedule& schedule, SimulatedTransport transport, ThreadUsage usage_a_second = {}) {
  const Population population = Somebody();
  CallMaker calls({.mix = ParseLoadMix("get=1").value()}, population);
  Ran ran;
  LoadWorker worker(
      schedule, calls, transport,
      [&] {
        const double elapsed = std::chrono::duration<double>(transport.Now() - kBegin).count();
        return ThreadUsage{.running = BenchTime(std::llround(elapsed * double(usage_a_second.running.count()))),
                           .waiting = BenchTime(std::llround(elapsed * double(usage_a_second.waiting.count())))};
      },
      [&](LoadWindow&& window) { ran.windows.push_back(std::move(window)); });
  const std::atomic<bool> stop = false;
  worker.Run(kBegin, stop);
  ran.measurement = worker.measurement();
  ran.measured = worker.measured();
  ran.silences = worker.silences();
  ran.sent = transport.sent();
  return ran;
}

SimulatedTransport::Options Always(BenchTime delay, std::uint32_t connections) {
  return {.connections = connections,
          .fate = [delay](std::uint64_t, BenchTime sent) { return SimulatedTransport::Fate{.at = sent + delay}; }};
}

// Within the histogram's error: never below, at most 1/256 above.
void ExpectTime(BenchTime measured, BenchTime truth) {
  EXPECT_GE(measured, truth);
  EXPECT_LE(measured, truth + truth / 256);
}

TEST(LoadWorkerTest, AConstantDelayIsThatAtEveryPercentile) {
  const Ran ran = RunLoad({.rate = 1000, .duration = seconds(10), .patience = seconds(1)},
                          SimulatedTransport(Always(milliseconds(3), 16)));
  EXPECT_EQ(ran.sent, 10'000U);
  EXPECT_EQ(ran.measurement.sent, 10'000U);
  EXPECT_EQ(ran.measurement.succeeded(), 10'000U);
  EXPECT_EQ(ran.measurement.failed(), 0U);
  const LatencyHistogram latency = ran.measurement.Latency();
  for (const double percent : {0.0, 50.0, 99.0, 99.9, 100.0}) ExpectTime(latency.Percentile(percent), milliseconds(3));
  EXPECT_EQ(latency.min(), milliseconds(3));
  EXPECT_EQ(ran.measurement.own_lag.max(), BenchTime{0});
  EXPECT_EQ(ran.measured, seconds(10));
}

TEST(LoadWorkerTest, TwoKindsOfAnswersShowWhereTheyAre) {
  // Every twentieth takes 50 ms.
  const Ran ran = RunLoad({.rate = 2000, .duration = seconds(5), .patience = seconds(1)},
                          SimulatedTransport({.connections = 400, .fate = [](std::uint64_t n, BenchTime sent) {
                                                return SimulatedTransport::Fate{
                                                    .at = sent + (n % 20 == 7 ? milliseconds(50) : milliseconds(2))};
                                              }}));
  const LatencyHistogram latency = ran.measurement.Latency();
  ExpectTime(latency.Percentile(50), milliseconds(2));
  ExpectTime(latency.Percentile(94.9), milliseconds(2));
  ExpectTime(latency.Percentile(95.1), milliseconds(50));
  ExpectTime(latency.Percentile(99.9), milliseconds(50));
}

// From the fourth second on nothing is answered for one second.
SimulatedTransport::Options Stalling(std::uint32_t connections) {
  return {.connections = connections, .fate = [](std::uint64_t, BenchTime sent) {
            const BenchTime stall_begin = kBegin + seconds(4);
            const BenchTime stall_end = stall_begin + seconds(1);
            const BenchTime normal = sent + milliseconds(1);
            const bool is_stalled = normal > stall_begin && normal <= stall_end;
            return SimulatedTransport::Fate{.at = is_stalled ? stall_end : normal};
          }};
}

TEST(LoadWorkerTest, AStallIsSeenByEveryRequestThatWasDueInIt) {
  constexpr int kRate = 1000;
  const Ran ran =
      RunLoad({.rate = kRate, .duration = seconds(10), .patience = seconds(2)}, SimulatedTransport(Stalling(10)));
  // Ten connections take the ten requests that hang. When they are answered, the backlog is worked off 10 a
  // millisecond, of which one is new: request n of the stall waits for its rest and for those before it.
  const LatencyHistogram latency = ran.measurement.Latency();
  EXPECT_EQ(latency.count(), 10'000U);
  ExpectTime(latency.max(), milliseconds(1000));
  // Those due in the first half of the stall waited for at least half a second; none of the others did.
  EXPECT_NEAR(static_cast<double>(latency.CountFrom(milliseconds(500))), 550, 10);
  EXPECT_NEAR(std::chrono::duration<double>(latency.Percentile(95)).count(), 0.55, 0.01);
  EXPECT_NEAR(std::chrono::duration<double>(latency.Percentile(99)).count(), 0.91, 0.01);
  ExpectTime(latency.Percentile(85), milliseconds(1));

  // What a generator measures that waits for the server before it counts: ten requests saw something, a thousandth, and
  // at 99 % all is well.
  const LatencyHistogram service = ran.measurement.Service();
  EXPECT_EQ(service.CountFrom(milliseconds(500)), 10U);
  ExpectTime(service.Percentile(99), milliseconds(1));

  // The generator was late because nobody took its requests, not by its own doing.
  EXPECT_GT(ran.measurement.delay.Percentile(99), milliseconds(800));
  EXPECT_EQ(ran.measurement.own_lag.max(), BenchTime{0});
}

TEST(LoadWorkerTest, AStallIsASilence) {
  struct Load {
    std::uint64_t rate;  // 0: as much as the connections take
    std::uint32_t connections;
  };
  for (const Load& load : {Load{1000, 10}, Load{1000, 5000}, Load{0, 10}}) {
    const Ran ran = RunLoad({.rate = load.rate, .duration = seconds(10), .patience = seconds(2)},
                            SimulatedTransport(Stalling(load.connections)));
    ASSERT_EQ(ran.silences.size(), 1U) << load.rate << " over " << load.connections;
    // The last answer came as it began, the next one as it ended.
    EXPECT_NEAR(std::chrono::duration<double>(ran.silences[0].from).count(), 4, 0.0011);
    EXPECT_NEAR(std::chrono::duration<double>(ran.silences[0].length).count(), 1, 0.0011);
  }
}

TEST(LoadWorkerTest, WhereNothingIsAskedNothingIsMissed) {
  // A request each half second, answered at once.
  const Ran ran = RunLoad({.rate = 2, .duration = seconds(10), .patience = seconds(1)},
                          SimulatedTransport(Always(milliseconds(1), 4)));
  EXPECT_TRUE(ran.silences.empty());
}

TEST(LoadWorkerTest, AServerThatIsAwayOrAnswersNobodyIsSilent) {
  auto options = Always(milliseconds(1), 4);
  options.is_down = [](BenchTime now) { return now >= kBegin + seconds(1) && now < kBegin + seconds(2); };
  const Ran away = RunLoad({.rate = 100, .duration = seconds(3), .patience = seconds(1)}, SimulatedTransport(options));
  ASSERT_EQ(away.silences.size(), 1U);
  EXPECT_NEAR(std::chrono::duration<double>(away.silences[0].length).count(), 1, 0.011);

  // All that is sent in a second is given up after 300 ms: that is no answer.
  const Ran given_up =
      RunLoad({.rate = 100, .duration = seconds(3), .patience = seconds(1)},
              SimulatedTransport({.connections = 100, .fate = [](std::uint64_t, BenchTime sent) {
                                    const bool is_lost = sent >= kBegin + seconds(1) && sent < kBegin + seconds(2);
                                    if (!is_lost) return SimulatedTransport::Fate{.at = sent + milliseconds(1)};
                                    return SimulatedTransport::Fate{.at = sent + milliseconds(300),
                                                                    .kind = LoadAnswer::Kind::kTimedOut,
                                                                    .is_success = false,
                                                                    .code = "timeout"};
                                  }}));
  ASSERT_EQ(given_up.silences.size(), 1U);
  EXPECT_EQ(given_up.silences[0], (Silence{.from = seconds(1), .length = milliseconds(1001)}));
}

TEST(LoadWorkerTest, AThreadThatDidNotRunBlamesNobodyElse) {
  auto options = Always(milliseconds(1), 100);
  options.runs_again = [](BenchTime now) {
    const BenchTime end = kBegin + seconds(3);
    return now >= kBegin + seconds(2) && now < end ? end : now;
  };
  const Ran ran = RunLoad({.rate = 1000, .duration = seconds(5), .patience = seconds(1)}, SimulatedTransport(options));
  EXPECT_TRUE(ran.silences.empty());
  EXPECT_GT(ran.measurement.own_lag.max(), milliseconds(900)) << "that was its own doing";
}

TEST(LoadWorkerTest, AClosedLoopDoesNotSeeTheStall) {
  const Ran ran =
      RunLoad({.rate = 0, .duration = seconds(10), .patience = seconds(2)}, SimulatedTransport(Stalling(10)));
  const LatencyHistogram latency = ran.measurement.Latency();
  EXPECT_NEAR(static_cast<double>(latency.count()), 90'000, 20);
  EXPECT_EQ(latency.CountFrom(milliseconds(500)), 10U);
  ExpectTime(latency.Percentile(99.9), milliseconds(1));
}

TEST(LoadWorkerTest, AStallShowsInItsSecond) {
  const Ran ran =
      RunLoad({.rate = 1000, .warm_up = milliseconds(1500), .duration = milliseconds(8500), .patience = seconds(2)},
              SimulatedTransport(Stalling(10)));
  ASSERT_EQ(ran.windows.size(), 11U);  // two of the warm-up, nine measured, the last of half a second
  EXPECT_EQ(ran.windows.front().index, -2);
  EXPECT_EQ(ran.windows.front().length, milliseconds(500));
  EXPECT_EQ(ran.windows.back().index, 8);
  EXPECT_EQ(ran.windows.back().length, milliseconds(500));
  std::uint64_t answered = 0;
  for (const LoadWindow& window : ran.windows) answered += window.succeeded;
  EXPECT_EQ(answered, 10'000U);
  const auto stall = std::ranges::find(ran.windows, 2, &LoadWindow::index);  // its first half is that of the stall
  EXPECT_EQ(ran.measurement.Latency().count(), 8'500U);
  EXPECT_LT(stall->succeeded, 600U);
  EXPECT_EQ(stall[1].latency.max(), milliseconds(1000));
}

TEST(LoadWorkerTest, TheWarmUpIsNotMeasured) {
  // Slow at first, as a server with cold caches.
  const Ran ran = RunLoad({.rate = 500, .warm_up = seconds(2), .duration = seconds(4), .patience = seconds(1)},
                          SimulatedTransport({.connections = 100, .fate = [](std::uint64_t n, BenchTime sent) {
                                                return SimulatedTransport::Fate{
                                                    .at = sent + (n < 1000 ? milliseconds(100) : milliseconds(1))};
                                              }}));
  EXPECT_EQ(ran.sent, 3'000U);
  EXPECT_EQ(ran.measurement.sent, 2'000U);
  ExpectTime(ran.measurement.Latency().max(), milliseconds(1));
}

TEST(LoadWorkerTest, AServerThatIsTooSlowLeavesRequestsUnsentThatCount) {
  // One connection, 10 ms each: 100 of 1000 a second.
  const Ran ran = RunLoad({.rate = 1000, .duration = seconds(10), .patience = seconds(1)},
                          SimulatedTransport(Always(milliseconds(10), 1)));
  EXPECT_EQ(ran.measurement.succeeded(), 1'000U);
  EXPECT_EQ(ran.measurement.unsent, 9'000U);
  EXPECT_EQ(ran.measurement.failures.names().at("unsent"), 9'000U);
  EXPECT_EQ(ran.measurement.Latency().count(), 10'000U);
  // The request at the middle of all waited for four and a half seconds at least.
  EXPECT_GT(ran.measurement.Latency().Percentile(50), milliseconds(4400));
  ExpectTime(ran.measurement.Service().max(), milliseconds(10));
  EXPECT_EQ(ran.measurement.own_lag.max(), BenchTime{0});
}

TEST(LoadWorkerTest, AGeneratorThatIsTooSlowBlamesItself) {
  // It needs 2 ms to send what is due every millisecond.
  auto options = Always(milliseconds(1), 100);
  options.send_cost = milliseconds(2);
  const Ran ran = RunLoad({.rate = 1000, .duration = seconds(4), .patience = seconds(1)}, SimulatedTransport(options));
  EXPECT_GT(ran.measurement.own_lag.Percentile(99), seconds(1));
  EXPECT_GT(ran.measurement.Latency().Percentile(99), seconds(1));
}

TEST(LoadWorkerTest, WhatPilesUpInAStallIsNotTheGeneratorsLag) {
  // Each time that all connections are free at once, the last of them waits for 2 ms of sending, or 30: there is that
  // much to send because the server stood still.
  for (const std::uint32_t connections : {64, 1000}) {
    auto options = Stalling(connections);
    options.send_cost = microseconds(30);
    const Ran ran =
        RunLoad({.rate = 5000, .duration = seconds(10), .patience = seconds(2)}, SimulatedTransport(options));
    EXPECT_EQ(ran.measurement.succeeded(), 50'000U);
    const LatencyHistogram latency = ran.measurement.Latency();
    // 5,000 were due in the stall, and what piled up is worked off in less than a fifth of its time.
    EXPECT_NEAR(static_cast<double>(latency.CountFrom(milliseconds(500))), 2'800, 300) << connections;
    EXPECT_GT(ran.measurement.delay.Percentile(95), milliseconds(300)) << connections;
    EXPECT_LT(ran.measurement.own_lag.Percentile(99), kOwnLagMax) << connections;
    EXPECT_EQ(Judge(ran.measurement, true).limit, LoadLimit::kServer) << connections;
    for (const LoadWindow& window : ran.windows) EXPECT_FALSE(IsGeneratorLimited(window, true)) << window.index;
  }
}

TEST(LoadWorkerTest, AStallDoesNotExcuseAGeneratorThatIsTooSlow) {
  // It sends 833 of 1000 a second: after the stall, too, requests wait for it and not for a connection.
  for (const std::uint32_t connections : {10, 5000}) {
    auto options = Stalling(connections);
    options.send_cost = microseconds(1200);
    const Ran ran =
        RunLoad({.rate = 1000, .duration = seconds(10), .patience = seconds(2)}, SimulatedTransport(options));
    EXPECT_EQ(Judge(ran.measurement, true).limit, LoadLimit::kGenerator) << connections;
    EXPECT_TRUE(IsGeneratorLimited(ran.windows[8], true)) << connections;
  }
}

TEST(LoadWorkerTest, AThreadThatDidNotRunAfterTheStallIsToBlame) {
  auto options = Stalling(200);
  // What had piled up is sent long since.
  options.runs_again = [](BenchTime now) {
    const BenchTime end = kBegin + milliseconds(5600);
    return now >= kBegin + milliseconds(5100) && now < end ? end : now;
  };
  const Ran ran = RunLoad({.rate = 1000, .duration = seconds(10), .patience = seconds(2)}, SimulatedTransport(options));
  EXPECT_EQ(Judge(ran.measurement, true).limit, LoadLimit::kGenerator);
  EXPECT_FALSE(IsGeneratorLimited(ran.windows[4], true));
  EXPECT_TRUE(IsGeneratorLimited(ran.windows[5], true));
}

TEST(LoadWorkerTest, WhatIsNotAnsweredInTimeCountsWithWhatItWaited) {
  const Ran ran = RunLoad({.rate = 10, .duration = seconds(1), .patience = milliseconds(500)},
                          SimulatedTransport(Always(std::chrono::hours(1), 100)));
  EXPECT_EQ(ran.measurement.unanswered, 10U);
  EXPECT_EQ(ran.measurement.failures.names().at("unanswered"), 10U);
  ExpectTime(ran.measurement.Latency().max(), milliseconds(1500));
  EXPECT_EQ(ran.measurement.Latency().min(), milliseconds(600));
}

TEST(LoadWorkerTest, FailuresAreCountedByNameAndRefusalsNotTimed) {
  const Ran ran =
      RunLoad({.rate = 100, .duration = seconds(3), .patience = seconds(20)},
              SimulatedTransport({.connections = 1000, .fate = [](std::uint64_t n, BenchTime sent) {
                                    using Kind = LoadAnswer::Kind;
                                    if (n % 3 == 0) return SimulatedTransport::Fate{.at = sent + milliseconds(1)};
                                    if (n % 3 == 1) {
                                      return SimulatedTransport::Fate{
                                          .at = sent + microseconds(10), .is_success = false, .code = "503 OVERLOADED"};
                                    }
                                    return n % 2 == 0 ? SimulatedTransport::Fate{.at = sent + seconds(10),
                                                                                 .kind = Kind::kTimedOut,
                                                                                 .is_success = false,
                                                                                 .code = "timeout"}
                                                      : SimulatedTransport::Fate{.at = sent,
                                                                                 .kind = Kind::kBroken,
                                                                                 .is_success = false,
                                                                                 .code = "connection"};
                                  }}));
  EXPECT_EQ(ran.measurement.succeeded(), 100U);
  EXPECT_EQ(ran.measurement.failed(), 200U);
  const auto& names = ran.measurement.failures.names();
  EXPECT_EQ(names.at("503 OVERLOADED"), 100U);
  EXPECT_EQ(names.at("timeout"), 50U);
  EXPECT_EQ(names.at("connection"), 50U);
  EXPECT_EQ(ran.measurement.Latency().count(), 150U);
  EXPECT_EQ(ran.measurement.Latency().min(), milliseconds(1));
  ExpectTime(ran.measurement.Latency().max(), seconds(10));
}

TEST(LoadWorkerTest, AServerThatIsAwayFailsWhatIsDueAndNothingElse) {
  auto options = Always(milliseconds(1), 4);
  options.is_down = [](BenchTime now) { return now >= kBegin + seconds(1) && now < kBegin + seconds(2); };
  const Ran ran = RunLoad({.rate = 100, .duration = seconds(3), .patience = seconds(1)}, SimulatedTransport(options));
  EXPECT_EQ(ran.measurement.succeeded(), 200U);
  EXPECT_EQ(ran.measurement.failures.names().at("unreachable"), 100U);
  ExpectTime(ran.measurement.Latency().max(), milliseconds(1));
}

TEST(LoadWorkerTest, WaitingForAConnectionToOpenIsNotTheGeneratorsLag) {
  auto options = Always(milliseconds(1), 200);
  options.is_opening = [](BenchTime now) { return now >= kBegin + seconds(1) && now < kBegin + milliseconds(1500); };
  const Ran ran = RunLoad({.rate = 100, .duration = seconds(3), .patience = seconds(1)}, SimulatedTransport(options));
  EXPECT_EQ(ran.measurement.succeeded(), 300U);
  ExpectTime(ran.measurement.Latency().max(), milliseconds(501));
  EXPECT_EQ(ran.measurement.own_lag.max(), BenchTime{0});
  EXPECT_EQ(ran.measurement.delay.max(), milliseconds(500));
}

TEST(LoadWorkerTest, AClosedLoopWaitsForAServerThatIsAway) {
  auto options = Always(milliseconds(1), 4);
  options.is_down = [](BenchTime now) { return now >= kBegin + seconds(1) && now < kBegin + seconds(2); };
  const Ran ran = RunLoad({.rate = 0, .duration = seconds(3), .patience = seconds(1)}, SimulatedTransport(options));
  EXPECT_NEAR(static_cast<double>(ran.measurement.succeeded()), 8'000, 300);
  EXPECT_EQ(ran.measurement.failed(), 0U);
}

TEST(LoadWorkerTest, ThreadsShareOneSchedule) {
  std::uint64_t sent = 0;
  for (const std::uint64_t index : {0, 1, 2}) {
    const Ran ran =
        RunLoad({.rate = 1000, .index = index, .threads = 3, .duration = seconds(1), .patience = seconds(1)},
                SimulatedTransport(Always(milliseconds(1), 10)));
    sent += ran.sent;
    EXPECT_NEAR(static_cast<double>(ran.sent), 333.5, 0.6);
  }
  EXPECT_EQ(sent, 1'000U);
}

TEST(LoadWorkerTest, UsageIsThatOfTheRun) {
  const Ran ran = RunLoad({.rate = 100, .duration = seconds(4), .patience = seconds(1)},
                          SimulatedTransport(Always(milliseconds(1), 10)),
                          {.running = milliseconds(500), .waiting = milliseconds(250)});
  EXPECT_EQ(ran.measurement.usage.running, seconds(2));
  EXPECT_EQ(ran.measurement.usage.waiting, seconds(1));
  EXPECT_NEAR(ran.measurement.busiest, 0.75, 0.001);
  EXPECT_NEAR(ran.windows.front().busiest, 0.75, 0.01);
}

TEST(LoadWorkerTest, AStopEndsItWithWhatIsThere) {
  const Population population = Somebody();
  CallMaker calls({.mix = ParseLoadMix("get=1").value()}, population);
  std::atomic<bool> stop = false;
  SimulatedTransport transport({.connections = 10, .fate = [&](std::uint64_t n, BenchTime sent) {
                                  if (n == 1499) stop = true;
                                  return SimulatedTransport::Fate{.at = sent + milliseconds(1)};
                                }});
  std::vector<LoadWindow> windows;
  LoadWorker worker(
      {.rate = 1000, .duration = seconds(60), .patience = seconds(1)}, calls, transport, [] { return ThreadUsage{}; },
      [&](LoadWindow&& window) { windows.push_back(std::move(window)); });
  worker.Run(kBegin, stop);
  EXPECT_EQ(worker.measurement().succeeded(), 1'500U);
  EXPECT_NEAR(std::chrono::duration<double>(worker.measured()).count(), 1.5, 0.01);
  EXPECT_EQ(windows.size(), 2U);
}

}  // namespace
}  // namespace muster
