#include "app/bench/learn_population.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class ReadPopulationTest : public ::testing::Test {
 protected:
  Outcome<Population> Read(const std::string& content, const PopulationWish& wish) {
    EXPECT_TRUE(WriteFileDurably(path_, content, 0600));
    return ReadPopulation(path_, wish);
  }
  static PopulationWish Wish(std::size_t members, bool with_identities = false) {
    return {.members = members, .with_identities = with_identities, .progressed = [](std::uint64_t) {}};
  }

  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-bench-test").value());
  const std::string path_ = directory_.path() + "/members.jsonl";
};

TEST_F(ReadPopulationTest, TakesTheFirstMembersAcrossReads) {
  std::string lines;
  for (int i = 1; i <= 30'000; ++i)
    lines += R"({"id":")" + std::to_string(i) +
             R"(","city":"0123456789012345678901234567890"})"
             "\n";
  const auto all = Read(lines, Wish(100'000));
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->members.size(), 30'000U);
  EXPECT_FALSE(all->is_sample);
  const auto some = Read(lines, Wish(500));
  EXPECT_EQ(some.value().members.size(), 500U);
  EXPECT_TRUE(some->is_sample);
}

TEST_F(ReadPopulationTest, ALastLineWithoutItsEndIsOne) {
  EXPECT_EQ(Read("{\"id\":\"1\"}\n{\"id\":\"2\"}", Wish(10)).value().members.size(), 2U);
}

TEST_F(ReadPopulationTest, FailuresSayWhere) {
  std::string lines;
  for (int i = 1; i <= 100'000; ++i) lines += "{\"id\":\"" + std::to_string(i) + "\"}\n";
  const auto broken = Read(lines + "nonsense\n", Wish(1'000'000));
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, HasSubstr(path_ + ": line 100001 is no member"));
  EXPECT_THAT(Read("", Wish(10)).error().message, HasSubstr("no active members"));
  EXPECT_EQ(Read("{\"id\":\"1\"}\n", Wish(10, true)).error().code, ExitCode::kNotFound);
  EXPECT_THAT(ReadPopulation(directory_.path() + "/none", Wish(1)).error().message, HasSubstr("/none cannot be read"));
}

TEST(LearnPopulationTest, WithoutAServerItSaysWhatElseToDo) {
  const auto learned =
      LearnPopulation({.base_url = "http://127.0.0.1:1", .key = "", .timeout = std::chrono::milliseconds(2000)},
                      {.members = 1, .with_identities = false, .progressed = [](std::uint64_t) {}});
  ASSERT_FALSE(learned);
  EXPECT_EQ(learned.error().code, ExitCode::kUnavailable);
  EXPECT_THAT(learned.error().message, HasSubstr("--population FILE"));
}

}  // namespace
}  // namespace muster
