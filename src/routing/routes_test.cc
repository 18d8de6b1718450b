#include "routing/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "domain/testing/plain_member_cache.h"
#include "routing/testing/documents.h"
#include "routing/testing/recording_reader.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class RoutesTest : public ::testing::Test {
 protected:
  RoutesTest() {
    parts_.sources["store"] = [this] { return std::make_unique<RecordingReader>(source_); };
    parts_.caches["near"] = &cache_;
    parts_.floor = &floor_;
  }

  std::unique_ptr<MemberReader> Build(std::string_view expression) {
    auto routes = BuildRoutes(expression, parts_);
    EXPECT_TRUE(routes) << routes.error().message;
    return routes ? std::move(*routes) : nullptr;
  }

  std::string RefusalOf(std::string_view expression) {
    const auto routes = BuildRoutes(expression, parts_);
    if (routes) return "accepted";
    EXPECT_EQ(routes.error().reason, Reason::kInvalidArgument);
    return routes.error().message;
  }

  CommitFloor floor_;
  testing::PlainMemberCache cache_{floor_};
  RecordingReader::Log source_;
  RouteParts parts_;
};

TEST_F(RoutesTest, BuildsTheEmbeddedTree) {
  const auto routes = Build(kEmbeddedReadRoute);
  const RouteDescription tree = routes->Describe();
  EXPECT_EQ(tree.name, "cache(near)");
  EXPECT_EQ(tree.children.at(0).name, "coalesce");
  EXPECT_EQ(tree.children.at(0).children.at(0).name, "store");
}

TEST_F(RoutesTest, AReadWalksDownTheTree) {
  const auto routes = Build(kEmbeddedReadRoute);
  Received received;
  routes->Get(MemberId(1), {}, received.Reply());
  routes->Get(MemberId(1), {}, received.Reply());
  ASSERT_EQ(source_.calls.size(), 1U);
  source_.Answer(0, TestAnswer(TestDocument(1, 3), floor_.Now()));
  routes->Get(MemberId(1), {}, received.Reply());
  ASSERT_EQ(received.answers.size(), 3U);
  EXPECT_EQ(received.answers[1]->source, Source::kPrimary);
  EXPECT_EQ(received.answers[2]->source, Source::kNear);
}

TEST_F(RoutesTest, ASourceAloneIsATree) { EXPECT_EQ(Build("  store\n")->Describe().name, "store"); }

TEST_F(RoutesTest, WhiteSpaceDoesNotMatter) {
  EXPECT_EQ(Build("cache ( near ,\n\tcoalesce( store ) )")->Describe().children.at(0).name, "coalesce");
  EXPECT_EQ(Build("cache(near,store)")->Describe().children.at(0).name, "store");
}

struct Mistake {
  std::string expression;
  std::string complaint;
};

TEST_F(RoutesTest, PointsAtTheColumnOfAMistake) {
  const std::vector<Mistake> mistakes = {
      {"", "column 1: a source or a policy is wanted here"},
      {"   ", "column 4: a source or a policy is wanted here"},
      {"stor", "column 1: there is no source \"stor\"; did you mean store? There are: store"},
      {"near", "column 1: there is no source \"near\"; there are: store"},
      {"store store", "column 7: nothing may follow the route"},
      {"store)", "column 6: nothing may follow the route"},
      {"cache", "column 6: '(' is wanted after the policy cache"},
      {"cach(near, store)", "column 1: there is no policy \"cach\"; did you mean cache? There are: cache, coalesce"},
      {"cache()", "column 7: a cache is wanted here"},
      {"cache(naer, store)", "column 7: there is no cache \"naer\"; did you mean near? There are: near"},
      {"cache(near)", "column 11: ',' is wanted between the cache and what it wraps"},
      {"cache(near store)", "column 12: ',' is wanted"},
      {"cache(near, )", "column 13: a source or a policy is wanted here"},
      {"cache(near, store", "column 18: ')' is wanted at the end of cache(…)"},
      {"cache(near, store, store)", "column 18: ')' is wanted"},
      {"coalesce(store", "column 15: ')' is wanted at the end of coalesce(…)"},
      {"coalesce(cache(near, sotre))", "column 22: there is no source \"sotre\"; did you mean store?"},
      {"Store", "column 1: a source or a policy is wanted here"},
      {std::string("store\0", 6), "column 6: nothing may follow"},
  };
  for (const Mistake& mistake : mistakes) {
    EXPECT_THAT(RefusalOf(mistake.expression), HasSubstr(mistake.complaint)) << mistake.expression;
  }
}

TEST_F(RoutesTest, DepthAndLengthAreBounded) {
  const auto nested = [](std::size_t depth) {
    std::string text = "store";
    for (std::size_t i = 0; i < depth; ++i) text = "coalesce(" + text + ")";
    return text;
  };
  EXPECT_EQ(RefusalOf(nested(kRouteDepthMax - 1)), "accepted");
  EXPECT_THAT(RefusalOf(nested(kRouteDepthMax)), HasSubstr("16 deep"));
  EXPECT_THAT(RefusalOf(nested(400)), HasSubstr("16 deep"));
  EXPECT_THAT(RefusalOf(std::string(kRouteExpressionBytesMax + 1, ' ')), HasSubstr("4096 bytes"));
}

RC_GTEST_FIXTURE_PROP(RoutesTest, NoExpressionDoesHarm, ()) {
  const auto token =
      rc::gen::elementOf(std::vector<std::string>{"cache", "coalesce", "near", "store", "(", ")", ",", " ", "x"});
  std::string expression;
  for (const std::string& each : *rc::gen::container<std::vector<std::string>>(token)) expression += each;
  const auto routes = BuildRoutes(expression, parts_);
  if (routes) RC_ASSERT(!(*routes)->Describe().name.empty());
}

TEST(MergeDescriptionsTest, AddsUpEqualTrees) {
  const auto tree = [](std::uint64_t a, std::uint64_t b) {
    return RouteDescription{.name = "cache(near)",
                            .policy = "p",
                            .counters = {{"hits", a}, {"misses", b}},
                            .children = {{.name = "store", .policy = "s", .counters = {{"reads", b}}, .children = {}}}};
  };
  const RouteDescription sum = MergeDescriptions({tree(1, 2), tree(10, 20), tree(100, 200)});
  EXPECT_EQ(sum.name, "cache(near)");
  EXPECT_EQ(sum.policy, "p");
  EXPECT_EQ(sum.counters, (std::vector<std::pair<std::string, std::uint64_t>>{{"hits", 111}, {"misses", 222}}));
  EXPECT_EQ(sum.children.at(0).counters.at(0).second, 222U);
  EXPECT_EQ(MergeDescriptions({tree(3, 4)}).counters.at(0).second, 3U);
}

TEST(MergeDescriptionsDeathTest, TreesThatDifferAreABrokenInvariant) {
  const RouteDescription a{.name = "a", .policy = "", .counters = {}, .children = {}};
  const RouteDescription b{.name = "b", .policy = "", .counters = {}, .children = {}};
  EXPECT_DEATH(MergeDescriptions({a, b}), "check failed");
}

TEST(RenderRoutesTest, DrawsTheTree) {
  const RouteDescription store{.name = "store", .policy = "reads rows", .counters = {{"reads", 7}}, .children = {}};
  const RouteDescription other{.name = "other", .policy = "", .counters = {}, .children = {}};
  const RouteDescription root{
      .name = "cache(near)",
      .policy = "answers from the cache",
      .counters = {{"hits", 1}, {"misses", 2}},
      .children = {{.name = "failover", .policy = "in turn", .counters = {}, .children = {store, other}}}};
  EXPECT_EQ(RenderRoutes(root),
            "cache(near)  hits=1  misses=2\n"
            "│   answers from the cache\n"
            "└─ failover\n"
            "   │   in turn\n"
            "   ├─ store  reads=7\n"
            "   │      reads rows\n"
            "   └─ other\n");
}

}  // namespace
}  // namespace muster
