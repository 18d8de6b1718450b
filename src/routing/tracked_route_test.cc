#include "routing/tracked_route.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "routing/testing/documents.h"
#include "routing/testing/recording_reader.h"

namespace muster {
namespace {

class FakeTrackedCache final : public TrackedCache {
 public:
  std::optional<Found> Find(MemberId) override { return entry; }
  Ticket Begin(MemberId) override {
    Ticket ticket;
    ticket.link = 1;
    ticket.change = ++begun;
    return ticket;
  }
  void Fill(MemberId, const MemberDocumentRef& document, const Ticket& ticket) override {
    fills.emplace_back(document, ticket.change);
  }
  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override { return {}; }

  std::optional<Found> entry;
  std::uint64_t begun = 0;
  std::vector<std::pair<MemberDocumentRef, std::uint64_t>> fills;
};

class TrackedRouteTest : public ::testing::Test {
 protected:
  FakeTrackedCache cache_;
  RecordingReader::Log source_;
  TrackedRoute route_{"tracked", cache_, std::make_unique<RecordingReader>(source_)};
  Received received_;
};

TEST_F(TrackedRouteTest, AnEntrySaysHowOldItIs) {
  cache_.entry = {.member = TestDocument(1, 5), .age = Duration(700)};
  route_.Get(MemberId(1), {}, received_.Reply());
  ASSERT_EQ(received_.answers.size(), 1U);
  EXPECT_EQ(received_.answers[0]->source, Source::kNear);
  EXPECT_EQ(received_.answers[0]->age, Duration(700));
  EXPECT_TRUE(source_.calls.empty());
}

TEST_F(TrackedRouteTest, OnlyWhatTheCentersCacheHadIsKeptWithTheTicketFromBefore) {
  route_.Get(MemberId(1), {}, received_.Reply());
  route_.Get(MemberId(2), {}, received_.Reply());
  MemberAnswer cached = TestAnswer(TestDocument(1, 5));
  cached.source = Source::kRedis;
  source_.Answer(1, TestAnswer(TestDocument(2, 5)));
  source_.Answer(0, cached);
  ASSERT_EQ(cache_.fills.size(), 1U);
  EXPECT_EQ(cache_.fills[0].first->id(), MemberId(1));
  EXPECT_EQ(cache_.fills[0].second, 1U);
  EXPECT_EQ(received_.answers.size(), 2U);
}

TEST_F(TrackedRouteTest, ResolvesNoCacheAndNewerVersionsGoPast) {
  cache_.entry = {.member = TestDocument(1, 5, {7}), .age = Duration(700)};
  route_.Resolve(TestKey(7), {}, received_.Reply());
  route_.Get(MemberId(1), {.no_cache = true}, received_.Reply());
  route_.Get(MemberId(1), {.min_version = Version(6)}, received_.Reply());
  EXPECT_EQ(source_.calls.size(), 3U);
  EXPECT_TRUE(received_.answers.empty());
}

TEST_F(TrackedRouteTest, AnErrorPassesAndFillsNothing) {
  route_.Get(MemberId(1), {}, received_.Reply());
  source_.Answer(0, Fail(Reason::kOverloaded, "full"));
  EXPECT_EQ(received_.answers.at(0).error().message, "full");
  EXPECT_TRUE(cache_.fills.empty());
}

}  // namespace
}  // namespace muster
