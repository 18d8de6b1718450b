#include "cache/center_invalidator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/testing/memory_center_cache.h"

namespace muster {
namespace {

using testing::MemoryCenter;
using testing::MemoryCenterCache;

class ManualLoop final : public EventLoop {
 public:
  void Post(Work work) override { work_.push_back(std::move(work)); }
  void Defer(Work work) override { Post(std::move(work)); }
  void RunAll() {
    while (!work_.empty()) {
      Work work = std::move(work_.front());
      work_.pop_front();
      work();
    }
  }

 private:
  std::deque<Work> work_;
};

// Two centers in memory and a topology that does what is asked of it, or does not.
class CenterInvalidatorTest : public ::testing::Test, public BypassSource {
 protected:
  struct Place {
    explicit Place(const Clock& clock) : center(clock), cache(center, [this] { return state; }) {
      center.BeginEpoch(Epoch(1));
    }
    CacheState state{.epoch = Epoch(1), .mode = CacheMode::kOn};
    MemoryCenter center;
    MemoryCenterCache cache;
    bool is_reachable = true;
  };

  CenterInvalidatorTest() {
    std::vector<CenterInvalidator::Center> centers;
    for (const std::string name : {"a", "b"}) {
      Place& place = places_.emplace(std::piecewise_construct, std::tuple(name), std::tie(clock_)).first->second;
      centers.push_back({.name = name,
                         .cache = &place.cache,
                         .state = [&place] { return place.state; },
                         .is_reachable = [&place] { return place.is_reachable; }});
    }
    invalidator_.emplace(std::move(centers),
                         CenterInvalidator::Dependencies{.loop = &loop_,
                                                         .clock = &clock_,
                                                         .timer = &timer_,
                                                         .bypass = this,
                                                         .logger = &NullLogger(),
                                                         .metrics = &metrics_},
                         CenterInvalidator::Options{});
  }

  void Bypass(const std::string& center, Epoch failed, Deadline, Reply reply) override {
    calls_.push_back("bypass " + center + " " + std::to_string(failed.value()));
    if (topology_ == Topology::kRefuses) return reply(Fail(Reason::kOverloaded, "no majority"));
    if (topology_ == Topology::kHolds) {
      held_.push_back(std::move(reply));
      return;
    }
    CacheState& state = places_.at(center).state;
    if (state.epoch <= failed) state = {.epoch = Epoch(failed.value() + 1), .mode = CacheMode::kBypass};
    if (then_) then_(center);
    reply({});
  }
  void AwaitReaders(const std::string& center, Epoch epoch, Deadline, Reply reply) override {
    calls_.push_back("await " + center + " " + std::to_string(epoch.value()));
    if (topology_ == Topology::kReadersAreSilent) return reply(Fail(Reason::kDeadlineExceeded, "a reader is silent"));
    reply({});
  }

  Result<void> Invalidate(std::int64_t id, std::int64_t version) {
    std::optional<Result<void>> answer;
    invalidator_->Announce({.members = {{MemberId(id), Version(version)}}},
                           [&](Result<void> result) { answer = std::move(result); });
    EXPECT_FALSE(answer) << "replies on the loop";
    loop_.RunAll();
    return answer.value();
  }
  Result<void> Prepare(Duration timeout = std::chrono::seconds(10)) {
    std::optional<Result<void>> answer;
    invalidator_->Prepare(Deadline::After(clock_, timeout), [&](Result<void> result) { answer = std::move(result); });
    loop_.RunAll();
    return answer.value();
  }
  Version FloorIn(const std::string& center, std::int64_t id) {
    Version floor;
    places_.at(center).cache.Get(MemberId(id), Deadline(), [&](const MemberLookup& found) { floor = found.floor; });
    return floor;
  }

  enum class Topology { kWorks, kRefuses, kReadersAreSilent, kHolds };

  ManualClock clock_;
  ManualTimer timer_{clock_};
  ManualLoop loop_;
  MetricRegistry metrics_;
  std::map<std::string, Place> places_;
  Topology topology_ = Topology::kWorks;
  std::function<void(const std::string&)> then_;
  std::vector<Reply> held_;
  std::vector<std::string> calls_;
  std::optional<CenterInvalidator> invalidator_;
};

TEST_F(CenterInvalidatorTest, TellsEveryCenter) {
  EXPECT_TRUE(Invalidate(1, 5));
  EXPECT_EQ(FloorIn("a", 1), Version(5));
  EXPECT_EQ(FloorIn("b", 1), Version(5));
  EXPECT_TRUE(calls_.empty());
}

TEST_F(CenterInvalidatorTest, TellsACenterThatWarmsAsWell) {
  places_.at("b").state.mode = CacheMode::kWarming;
  EXPECT_TRUE(Invalidate(1, 5));
  places_.at("b").state.mode = CacheMode::kOn;
  EXPECT_EQ(FloorIn("b", 1), Version(5));
}

TEST_F(CenterInvalidatorTest, WhatIsOutOfReachIsTriedAgainThenBypassedAndItsReadersAwaited) {
  places_.at("b").center.SetReachable(false);
  const Instant begun = clock_.Monotonic();
  EXPECT_TRUE(Invalidate(1, 5));
  EXPECT_GE(clock_.Monotonic() - begun, CenterInvalidator::Options{}.reach_timeout);
  EXPECT_EQ(calls_, (std::vector<std::string>{"bypass b 1", "await b 2"}));
  EXPECT_EQ(FloorIn("a", 1), Version(5));
  // Only the first write pays.
  EXPECT_TRUE(Invalidate(1, 6));
  EXPECT_EQ(calls_.size(), 2U);
}

TEST_F(CenterInvalidatorTest, WhatComesBackInTimeIsNotBypassed) {
  places_.at("b").center.SetReachable(false);
  std::optional<Result<void>> answer;
  bool has_come_back = false;
  // The state is asked at each attempt.
  invalidator_.reset();
  CenterInvalidator again({{.name = "b",
                            .cache = &places_.at("b").cache,
                            .state = [this] { return places_.at("b").state; },
                            .is_reachable = [] { return true; }}},
                          {.loop = &loop_,
                           .clock = &clock_,
                           .timer = &timer_,
                           .bypass = this,
                           .logger = &NullLogger(),
                           .metrics = &metrics_},
                          {});
  again.Announce({.members = {{MemberId(1), Version(5)}}}, [&](Result<void> result) { answer = std::move(result); });
  loop_.Post([&] {
    places_.at("b").center.SetReachable(true);
    has_come_back = true;
  });
  loop_.RunAll();
  EXPECT_TRUE(has_come_back && answer.value());
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(FloorIn("b", 1), Version(5));
}

TEST_F(CenterInvalidatorTest, WhatHasLostItsDataIsBypassedAtOnce) {
  places_.at("a").center.Forget();
  const Instant begun = clock_.Monotonic();
  EXPECT_TRUE(Invalidate(1, 5));
  EXPECT_EQ(clock_.Monotonic(), begun);
  EXPECT_EQ(calls_, (std::vector<std::string>{"bypass a 1", "await a 2"}));
}

TEST_F(CenterInvalidatorTest, ACenterThatIsBypassedByOthersStillHasReadersToAwait) {
  places_.at("a").state = {.epoch = Epoch(4), .mode = CacheMode::kBypass};
  EXPECT_TRUE(Invalidate(1, 5));
  EXPECT_EQ(calls_, std::vector<std::string>{"await a 4"});
  EXPECT_TRUE(Invalidate(1, 6));
  EXPECT_EQ(calls_.size(), 1U) << "they have confirmed it";
}

TEST_F(CenterInvalidatorTest, WithoutABypassTheOutcomeIsUnknown) {
  for (const Topology topology : {Topology::kRefuses, Topology::kReadersAreSilent}) {
    topology_ = topology;
    places_.at("b").center.Forget();
    const Result<void> told = Invalidate(1, 5);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().reason, Reason::kOutcomeUnknown);
    EXPECT_TRUE(told.error().message.contains("center b"));
  }
  EXPECT_EQ(FloorIn("a", 1), Version(5)) << "the other one is told all the same";
}

TEST_F(CenterInvalidatorTest, ACenterThatWarmsAgainMeanwhileIsToldUnderItsNewEpoch) {
  places_.at("b").center.Forget();
  then_ = [this](const std::string& center) {
    Place& place = places_.at(center);
    place.state = {.epoch = Epoch(3), .mode = CacheMode::kWarming};
    place.center.BeginEpoch(Epoch(3));
  };
  EXPECT_TRUE(Invalidate(1, 5));
  EXPECT_EQ(calls_, std::vector<std::string>{"bypass b 1"});
  places_.at("b").state.mode = CacheMode::kOn;
  EXPECT_EQ(FloorIn("b", 1), Version(5));
}

TEST_F(CenterInvalidatorTest, AnEpochThatIsLostAgainAndAgainEndsInUnknown) {
  places_.at("b").center.Forget();
  then_ = [this](const std::string& center) {
    places_.at(center).state = {.epoch = Epoch(places_.at(center).state.epoch.value() + 1), .mode = CacheMode::kOn};
  };
  const Result<void> told = Invalidate(1, 5);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().reason, Reason::kOutcomeUnknown);
  EXPECT_EQ(calls_.size(), static_cast<std::size_t>(CenterInvalidator::kEpochsMax));
}

TEST_F(CenterInvalidatorTest, ManyWritesShareOneBypass) {
  topology_ = Topology::kHolds;
  places_.at("b").center.Forget();
  int told = 0;
  for (int i = 0; i < 50; ++i) {
    invalidator_->Announce({.members = {{MemberId(i + 1), Version(2)}}}, [&](const Result<void>& result) {
      EXPECT_TRUE(result);
      ++told;
    });
  }
  loop_.RunAll();
  EXPECT_EQ(told, 0);
  EXPECT_EQ(calls_, std::vector<std::string>{"bypass b 1"});
  topology_ = Topology::kWorks;
  places_.at("b").state = {.epoch = Epoch(2), .mode = CacheMode::kBypass};
  for (Reply& reply : held_) reply({});
  loop_.RunAll();
  EXPECT_EQ(told, 50);
  EXPECT_EQ(calls_, (std::vector<std::string>{"bypass b 1", "await b 2"}));
}

TEST_F(CenterInvalidatorTest, NoWriteBeginsWhileACenterIsOutOfReachAndNotBypassed) {
  EXPECT_TRUE(Prepare());
  EXPECT_TRUE(calls_.empty());
  places_.at("b").is_reachable = false;
  topology_ = Topology::kRefuses;
  const Result<void> refused = Prepare();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  topology_ = Topology::kWorks;
  EXPECT_TRUE(Prepare());
  EXPECT_EQ(calls_, (std::vector<std::string>{"bypass b 1", "bypass b 1"}));
  EXPECT_TRUE(Prepare());
  EXPECT_EQ(calls_.size(), 2U) << "it is bypassed";
}

TEST_F(CenterInvalidatorTest, AWriteWhoseDeadlinePassesMeanwhileDoesNotBegin) {
  places_.at("b").is_reachable = false;
  const Result<void> refused = Prepare(std::chrono::milliseconds(20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_TRUE(calls_.empty());
}

}  // namespace
}  // namespace muster
