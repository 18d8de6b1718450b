#include "search/index_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using ::testing::HasSubstr;

Result<IndexPlan> Plan(std::string_view filter, std::string_view order = "") {
  return MakeIndexPlan(ParseFilter(filter).value(), ParseSearchOrder(order).value());
}
// What a refusal says.
std::string Refusal(std::string_view filter, std::string_view order = "") {
  const Result<IndexPlan> plan = Plan(filter, order);
  return plan ? "none" : plan.error().violations.at(0).description;
}

TEST(IndexPlanTest, FindsTheTermsThatAllPass) {
  EXPECT_TRUE(Plan("")->source == std::nullopt);
  EXPECT_TRUE(Plan("city = a")->source_decides);
  EXPECT_FALSE(Plan("city = a gender = MALE")->source_decides);
  EXPECT_FALSE(Plan("city = a NOT tags:x")->source_decides);
  EXPECT_EQ(Plan("city = a gender = MALE")->source->kind, TermSource::Kind::kTerm);
  EXPECT_EQ(Plan("tags:a tags:b")->source->kind, TermSource::Kind::kAll);
  EXPECT_EQ(Plan("tags:a OR tags:b")->source->kind, TermSource::Kind::kAny);
  EXPECT_EQ(Plan("gender = MALE (tags:a OR (city = b version > 3))")->source->kind, TermSource::Kind::kAny);
  EXPECT_TRUE(Plan("state = FROZEN OR mergedInto = 7 OR displayName = Lei")->source_decides);
}

TEST(IndexPlanTest, ACityAndATierAreOneTerm) {
  const Result<IndexPlan> plan = Plan("tier = gold AND city = Suzhou");
  EXPECT_EQ(plan->source->kind, TermSource::Kind::kTerm);
  EXPECT_TRUE(plan->source_decides);
  EXPECT_EQ(Plan("tier = gold AND city = Suzhou AND tags:a")->source->children.size(), 2u);
  // Two cities: nobody is in both.
  EXPECT_EQ(Plan("city = a AND city = b AND tier = c")->source->children.size(), 2u);
}

TEST(IndexPlanTest, TakesARangeOfTheOrder) {
  const Result<IndexPlan> plan = Plan("version > 3 AND id > 10 AND id <= 20");
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->min, 11);
  EXPECT_EQ(plan->max, 20);
  EXPECT_TRUE(Plan("state = ACTIVE AND updateTime > 2026-01-01T00:00:00Z", "updateTime desc"));
  EXPECT_EQ(Plan("birthDate < 1990-01-01", "birthDate")->min, 1);
  EXPECT_TRUE(Plan("birthDate:*", "birthDate desc"));
}

TEST(IndexPlanTest, RefusesWhatWouldScanAndSaysWhatWouldHelp) {
  for (const char* filter : {"gender = MALE", "state = ACTIVE", "NOT city = a", "city != a", "version > 3", "city:*",
                             "city = a OR gender = MALE", "attributes:x", "city = \"\"", "id != 7"}) {
    EXPECT_THAT(Refusal(filter), HasSubstr("add a comparison that every one of them passes, as city = ")) << filter;
  }
  EXPECT_THAT(Refusal("updateTime > 2026-01-01T00:00:00Z"),
              HasSubstr("or order by updateTime, of which it has a range"));
  EXPECT_THAT(Refusal("id > 7", "createTime desc"), HasSubstr("or order by id, of which it has a range"));
}

}  // namespace
}  // namespace muster
