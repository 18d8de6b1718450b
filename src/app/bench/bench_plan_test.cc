#include "app/bench/bench_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class BenchPlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string key_file = directory_.path() + "/caller.key";
    ASSERT_TRUE(WriteFileDurably(key_file, "mk_key\n", 0600));
    flags_.rate = 100;
    flags_.client = std::make_shared<ClientFlags>();
    flags_.client->target.server = "127.0.0.1:7400";
    flags_.client->target.key_file = key_file;
  }
  void ExpectRefused(ExitCode code, const char* part) {
    const auto plan = PlanBench(flags_);
    ASSERT_FALSE(plan) << part;
    EXPECT_EQ(plan.error().code, code);
    EXPECT_THAT(plan.error().message, HasSubstr(part));
  }

  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-bench-plan-test").value());
  BenchFlags flags_;
};

TEST_F(BenchPlanTest, DefaultsAreThoseOfTheHelp) {
  const auto plan = PlanBench(flags_);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->run.rate, 100U);
  EXPECT_EQ(plan->run.duration, std::chrono::seconds(30));
  EXPECT_EQ(plan->run.warm_up, std::chrono::seconds(5));
  EXPECT_EQ(plan->run.patience, std::chrono::seconds(10));
  EXPECT_EQ(plan->facts.mix.Text(), "get=80,resolve=15,update=5");
  EXPECT_EQ(plan->facts.target, "http://127.0.0.1:7400");
  EXPECT_EQ(plan->server.key, "mk_key");
  EXPECT_GT(plan->facts.seed, 0U);
  EXPECT_LT(plan->facts.seed, kBenchSeedEnd);
}

TEST_F(BenchPlanTest, GrpcGoesWhereItIsTold) {
  flags_.protocol = "grpc";
  flags_.grpc_address = "127.0.0.1:9";
  const auto plan = PlanBench(flags_);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->facts.target, "http://127.0.0.1:9") << "and nobody was asked";
}

TEST_F(BenchPlanTest, FlagsOfTheOtherProtocolAreRefused) {
  EXPECT_EQ(PlanBench(flags_).value().facts.pipeline, 1U);
  flags_.streams = 5;
  ExpectRefused(ExitCode::kUsage, "--streams");
  flags_.protocol = "grpc";
  flags_.grpc_address = "127.0.0.1:9";
  EXPECT_EQ(PlanBench(flags_).value().facts.pipeline, 5U);
  flags_.streams = 0;
  EXPECT_EQ(PlanBench(flags_).value().facts.pipeline, 16U);
  flags_.pipeline = 7;
  ExpectRefused(ExitCode::kUsage, "--pipeline");
  flags_.protocol = "http";
  ExpectRefused(ExitCode::kUsage, "--grpc");
}

TEST_F(BenchPlanTest, ASeedIsKept) {
  flags_.seed = 7;
  EXPECT_EQ(PlanBench(flags_).value().run.calls.seed, 7U);
}

TEST_F(BenchPlanTest, ExactlyOneOfRateAndMax) {
  flags_.is_max = true;
  ExpectRefused(ExitCode::kUsage, "--rps N");
  flags_.rate = 0;
  EXPECT_TRUE(PlanBench(flags_));
  flags_.is_max = false;
  ExpectRefused(ExitCode::kUsage, "--max");
}

TEST_F(BenchPlanTest, WhatDoesNotGoTogether) {
  flags_.threads = 65;
  ExpectRefused(ExitCode::kUsage, "--connections");
  flags_.threads = 1;
  flags_.duration = "25h";
  ExpectRefused(ExitCode::kUsage, "--duration");
  flags_.duration = "1s";
  flags_.warm_up = "-1s";
  ExpectRefused(ExitCode::kUsage, "--warmup");
  flags_.warm_up = "0s";
  flags_.mix = "get=0";
  ExpectRefused(ExitCode::kUsage, "--mix");
  flags_.mix = "get=1";
  flags_.plot = directory_.path() + "/none/plot.svg";
  ExpectRefused(ExitCode::kFailure, "--plot");
  flags_.plot = directory_.path() + "/plot.svg";
  flags_.client->target.server = "https://127.0.0.1:7400";
  ExpectRefused(ExitCode::kUsage, "http://HOST:PORT");
}

}  // namespace
}  // namespace muster
