#include "cache/freshness_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <thread>

namespace muster::freshness_sampler_test {
namespace {

using std::chrono::milliseconds;

// Tells the caches at once, or fails to.
class FakeListener final : public CommitListener {
 public:
  bool IsReady() const override { return true; }
  void Prepare(Deadline /*deadline*/, Reply reply) override { reply({}); }
  void Announce(TouchedEntries /*touched*/, Reply reply) override {
    if (fails) return reply(Fail(Reason::kOutcomeUnknown, "not told"));
    reply({});
  }
  bool fails = false;
};

// A tier that has what it is given.
struct FakeTier {
  std::atomic<std::int64_t> version{-1};  // -1: nothing
  std::atomic<bool> answers{true};
  std::atomic<int> asked{0};

  FreshnessTier Named(const std::string& name, Duration bound = {}) {
    return {.name = name,
            .center = "A",
            .bound = bound,
            .ask = [this](MemberId, Deadline) -> Result<std::optional<Version>> {
              asked.fetch_add(1);
              if (!answers) return Fail(Reason::kOverloaded, "gone");
              const std::int64_t held = version;
              return held < 0 ? std::nullopt : std::optional(Version(held));
            }};
  }
};

class FreshnessSamplerTest : public ::testing::Test {
 protected:
  void Start(std::vector<FreshnessTier> tiers, Duration period = {}) {
    sampler_ = std::make_unique<FreshnessSampler>(FreshnessSampler::Dependencies{
        .listener = &listener_, .clock = &clock_, .logger = &NullLogger(), .metrics = &metrics_, .period = period});
    sampler_->Start(std::move(tiers));
  }
  Result<void> Acknowledge(std::int64_t member, std::int64_t version) {
    Result<void> told = Fail(Reason::kInternal, "no reply");
    sampler_->Announce({.members = {{MemberId(member), Version(version)}}, .keys = {}},
                       [&](Result<void> result) { told = std::move(result); });
    return told;
  }
  template <typename Condition>
  [[nodiscard]] bool Await(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition(sampler_->Report())) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }

  SystemClock clock_;
  MetricRegistry metrics_;
  FakeListener listener_;
  FakeTier first_, second_;
  std::unique_ptr<FreshnessSampler> sampler_;
};

TEST_F(FreshnessSamplerTest, WhoHasItOrNothingIsFresh) {
  first_.version = 5;
  Start({first_.Named("redis A"), second_.Named("redis B")});
  ASSERT_TRUE(Acknowledge(7, 5));
  ASSERT_TRUE(Await(
      [](const FreshnessReport& report) { return report.tiers[0].samples == 1 && report.tiers[1].samples == 1; }));
  const FreshnessReport report = sampler_->Report();
  EXPECT_EQ(report.samples, 1);
  EXPECT_EQ(report.tiers[0].late + report.tiers[1].late, 0);
  EXPECT_TRUE(report.late.empty());
}

TEST_F(FreshnessSamplerTest, WhoHasSomethingOlderIsLateUntilItIsSeenToHaveIt) {
  first_.version = 4;
  Start({first_.Named("redis A"), second_.Named("redis B")});
  ASSERT_TRUE(Acknowledge(7, 5));
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return !report.late.empty(); }));
  {
    const LateSample late = sampler_->Report().late.front();
    EXPECT_EQ(late.tier, "redis A");
    EXPECT_EQ(late.member, MemberId(7));
    EXPECT_EQ(late.version, Version(5));
    EXPECT_EQ(late.held, Version(4));
    EXPECT_FALSE(late.is_over);
  }
  const Instant caught_up = clock_.Monotonic();
  first_.version = 6;
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.late.front().is_over; }));
  const FreshnessReport report = sampler_->Report();
  EXPECT_LE(report.late.front().late, clock_.Monotonic() - caught_up + std::chrono::seconds(20));
  EXPECT_EQ(report.tiers[0].late, 1);
  EXPECT_EQ(report.tiers[0].beyond, 1);
  EXPECT_EQ(report.tiers[0].latest, report.late.front().late);
  EXPECT_EQ(report.tiers[1].late, 0);
  EXPECT_THAT(metrics_.Expose(), ::testing::HasSubstr("muster_freshness_beyond_total{tier=\"redis A\"} 1"));
}

TEST_F(FreshnessSamplerTest, WithinItsBoundIsLateAndNotBeyond) {
  first_.version = 4;
  Start({first_.Named("database b1", std::chrono::hours(1))});
  ASSERT_TRUE(Acknowledge(7, 5));
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.tiers[0].late == 1; }));
  first_.version = 5;
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.tiers[0].samples == 1; }));
  EXPECT_EQ(sampler_->Report().tiers[0].beyond, 0);
}

TEST_F(FreshnessSamplerTest, WhoCannotBeAskedIsLeftAloneAndHoldsUpNobody) {
  first_.answers = false;
  second_.version = 9;
  Start({first_.Named("redis A"), second_.Named("redis B")});
  for (std::int64_t version = 1; version <= 9; ++version) ASSERT_TRUE(Acknowledge(7, version));
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.tiers[1].samples == 9; }));
  EXPECT_LE(first_.asked, 2);
  EXPECT_EQ(sampler_->Report().tiers[0].samples, 0);
  first_.answers = true;
  first_.version = 9;
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.tiers[0].samples == 9; }));
}

TEST_F(FreshnessSamplerTest, WhatIsNotAcknowledgedIsNotSampled) {
  Start({first_.Named("redis A")});
  listener_.fails = true;
  EXPECT_EQ(Acknowledge(7, 5).error().reason, Reason::kOutcomeUnknown);
  listener_.fails = false;
  ASSERT_TRUE(Acknowledge(8, 1));
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.tiers[0].samples == 1; }));
  EXPECT_EQ(sampler_->Report().samples, 1);
}

TEST_F(FreshnessSamplerTest, OneAPeriodIsTaken) {
  Start({first_.Named("redis A")}, std::chrono::hours(1));
  for (std::int64_t version = 1; version <= 9; ++version) ASSERT_TRUE(Acknowledge(7, version));
  EXPECT_EQ(sampler_->Report().samples, 1);
}

TEST_F(FreshnessSamplerTest, TooManyUnderWayAreSkippedAndSaidSo) {
  first_.answers = false;
  Start({first_.Named("redis A")});
  const auto all = static_cast<std::int64_t>(FreshnessSampler::kPendingMax) + 5;
  for (std::int64_t version = 1; version <= all; ++version) ASSERT_TRUE(Acknowledge(7, version));
  const FreshnessReport report = sampler_->Report();
  EXPECT_EQ(report.samples, static_cast<std::int64_t>(FreshnessSampler::kPendingMax));
  EXPECT_EQ(report.skipped, 5);
}

TEST_F(FreshnessSamplerTest, StopsWhileItWaitsAndIsAskedForNothingAfterwards) {
  first_.version = 4;
  Start({first_.Named("redis A")});
  ASSERT_TRUE(Acknowledge(7, 5));
  ASSERT_TRUE(Await([](const FreshnessReport& report) { return report.tiers[0].late == 1; }));
  sampler_->Stop();
  const int asked = first_.asked;
  EXPECT_TRUE(Acknowledge(7, 6)) << "writes go on";
  EXPECT_EQ(first_.asked, asked);
}

TEST(TierFreshnessTest, NinesAreThoseOfTheShareWithinTheBound) {
  EXPECT_DOUBLE_EQ((TierFreshness{.samples = 0}).nines(), 0);
  EXPECT_DOUBLE_EQ((TierFreshness{.samples = 1000, .beyond = 1}).nines(), 3);
  EXPECT_DOUBLE_EQ((TierFreshness{.samples = 1000, .beyond = 10}).nines(), 2);
  EXPECT_DOUBLE_EQ((TierFreshness{.samples = 1000, .beyond = 0}).nines(), 3) << "no more than there are samples for";
  EXPECT_DOUBLE_EQ((TierFreshness{.samples = 5, .beyond = 5}).nines(), 0);
}

}  // namespace
}  // namespace muster::freshness_sampler_test
