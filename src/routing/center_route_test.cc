#include "routing/center_route.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "domain/testing/memory_center_cache.h"
#include "routing/testing/documents.h"
#include "routing/testing/recording_reader.h"

namespace muster {
namespace {

using testing::MemoryCenter;
using testing::MemoryCenterCache;

class CenterRouteTest : public ::testing::Test {
 protected:
  CenterRouteTest() { center_.BeginEpoch(Epoch(1)); }

  void Touch(std::int64_t id, std::int64_t version, const std::vector<IdentityKey>& keys = {}) {
    cache_.Invalidate({.members = {{MemberId(id), Version(version)}}, .keys = keys}, Deadline(),
                      [](const Invalidation& told) { EXPECT_EQ(told.kind, InvalidationKind::kDone); });
  }
  MemberLookup Entry(std::int64_t id) {
    MemberLookup found;
    cache_.Get(MemberId(id), Deadline(), [&](MemberLookup lookup) { found = std::move(lookup); });
    return found;
  }
  HolderLookup Hint(std::uint64_t number) {
    HolderLookup found;
    cache_.FindHolder(TestKey(number), Deadline(), [&](const HolderLookup& lookup) { found = lookup; });
    return found;
  }
  void Get(std::int64_t id, const ReadOptions& options = {}) { route_.Get(MemberId(id), options, received_.Reply()); }
  void Resolve(std::uint64_t number, const ReadOptions& options = {}) {
    route_.Resolve(TestKey(number), options, received_.Reply());
  }
  // Fills as a reader would.
  void FillMember(const MemberDocumentRef& document) {
    cache_.Fill(document->id(), document, Entry(document->id().value()).token);
  }
  void FillHint(std::uint64_t number, std::optional<MemberId> holder) {
    cache_.FillHolder(TestKey(number), holder, true, Hint(number).token);
  }
  const Result<MemberAnswer>& Last() { return received_.answers.back(); }
  std::uint64_t Counter(const std::string& name) {
    for (const auto& [known, count] : route_.Describe().counters) {
      if (known == name) return count;
    }
    ADD_FAILURE() << name;
    return 0;
  }

  ManualClock clock_;
  CacheState state_{.epoch = Epoch(1), .mode = CacheMode::kOn};
  MemoryCenter center_{clock_};
  MemoryCenterCache cache_{center_, [this] { return state_; }};
  RecordingReader::Log source_;
  CenterRoute route_{"redis", cache_, clock_, std::make_unique<RecordingReader>(source_)};
  Received received_;
};

TEST_F(CenterRouteTest, AMissAsksBelowAndFillsAndThenHits) {
  const Deadline deadline(Instant(std::chrono::seconds(9)));
  Get(1, {.deadline = deadline});
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(source_.calls[0].options.deadline.at(), deadline.at());
  EXPECT_FALSE(source_.calls[0].options.no_cache);
  source_.Answer(0, TestAnswer(TestDocument(1, 5)));
  EXPECT_EQ(Last()->source, Source::kPrimary);
  Get(1);
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(Last()->source, Source::kRedis);
  EXPECT_EQ(Last()->member->version(), Version(5));
  Get(1, {.min_version = Version(6)});
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(source_.calls[1].options.min_version, Version(6));
}

TEST_F(CenterRouteTest, TheFloorIsWhatTheSourceMustHave) {
  Touch(1, 7);
  Get(1);
  Get(1, {.min_version = Version(9)});
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(source_.calls[0].options.min_version, Version(7));
  EXPECT_EQ(source_.calls[1].options.min_version, Version(9));
}

TEST_F(CenterRouteTest, AnAnswerBelowTheFloorIsNeitherGivenNorFilledAndThePrimaryIsAsked) {
  Touch(1, 7);
  const std::map<std::string, Result<MemberAnswer>> answers = {{"stale", Fail(Reason::kStale, "nobody has it")},
                                                               {"older", TestAnswer(TestDocument(1, 6))},
                                                               {"missing", TestAnswer({})}};
  for (const auto& [name, answer] : answers) {
    SCOPED_TRACE(name);
    const std::size_t before = source_.calls.size();
    const std::size_t answered = received_.answers.size();
    Get(1);
    source_.Answer(before, answer);
    ASSERT_EQ(source_.calls.size(), before + 2);
    EXPECT_EQ(received_.answers.size(), answered);
    EXPECT_TRUE(source_.calls[before + 1].options.no_cache);
    EXPECT_EQ(source_.calls[before + 1].options.min_version, Version(0)) << "the caller has not asked for one";
    EXPECT_EQ(Entry(1).kind, LookupKind::kMiss);
    source_.Answer(before + 1, TestAnswer(TestDocument(1, 7)));
    EXPECT_EQ(Last()->member->version(), Version(7));
    center_.BeginEpoch(state_.epoch = Epoch(state_.epoch.value() + 1));
    Touch(1, 7);
  }
}

TEST_F(CenterRouteTest, ThatNobodyHasTheVersionAskedForIsTheCallersToHear) {
  Touch(1, 7);
  Get(1, {.min_version = Version(9)});
  source_.Answer(0, Fail(Reason::kStale, "nobody has it"));
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(Last().error().reason, Reason::kStale);
}

TEST_F(CenterRouteTest, WhatTheCacheCannotSayThePrimaryIsAskedAndNothingIsFilled) {
  for (const CacheState state : {CacheState{.epoch = Epoch(2), .mode = CacheMode::kBypass},
                                 CacheState{.epoch = Epoch(1), .mode = CacheMode::kWarming},
                                 CacheState{.epoch = Epoch(9), .mode = CacheMode::kOn}}) {
    state_ = state;
    const std::size_t before = source_.calls.size();
    Get(1);
    Resolve(7);
    ASSERT_EQ(source_.calls.size(), before + 2);
    EXPECT_TRUE(source_.calls[before].options.no_cache && source_.calls[before + 1].options.no_cache);
    source_.Answer(before, TestAnswer(TestDocument(1, 5, {7})));
    source_.Answer(before + 1, TestAnswer(TestDocument(1, 5, {7})));
  }
  EXPECT_EQ(received_.answers.size(), 6U);
  state_ = {.epoch = Epoch(1), .mode = CacheMode::kOn};
  EXPECT_EQ(Entry(1).kind, LookupKind::kMiss);
}

TEST_F(CenterRouteTest, WithoutTheLeaseNothingIsFilled) {
  ASSERT_NE(Entry(1).token, FillToken(0));
  Get(1);
  source_.Answer(0, TestAnswer(TestDocument(1, 5)));
  EXPECT_EQ(Last()->member->version(), Version(5));
  EXPECT_EQ(Entry(1).kind, LookupKind::kMiss);
}

TEST_F(CenterRouteTest, ANoCacheReadGoesPast) {
  FillMember(TestDocument(1, 5, {7}));
  Get(1, {.no_cache = true});
  Resolve(7, {.no_cache = true});
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(Counter("skipped"), 2U);
}

TEST_F(CenterRouteTest, AHintIsBelievedWhenTheMembersEntryListsTheIdentity) {
  FillHint(7, MemberId(1));
  FillMember(TestDocument(1, 5, {7}));
  Resolve(7);
  EXPECT_TRUE(source_.calls.empty());
  EXPECT_EQ(Last()->source, Source::kRedis);
  EXPECT_EQ(Last()->member->id(), MemberId(1));
}

TEST_F(CenterRouteTest, AHintThatTheMembersEntryDoesNotConfirmIsNot) {
  FillHint(7, MemberId(1));
  FillMember(TestDocument(1, 6));
  Resolve(7);
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(source_.calls[0].key, TestKey(7));
  EXPECT_TRUE(source_.calls[0].options.no_cache);
  source_.Answer(0, TestAnswer(TestDocument(2, 1, {7})));
  EXPECT_EQ(Last()->member->id(), MemberId(2));
  EXPECT_EQ(Counter("wrong_hints"), 1U);
}

TEST_F(CenterRouteTest, AHintWhoseMemberIsNotThereReadsIt) {
  FillHint(7, MemberId(1));
  Touch(1, 3);
  Resolve(7);
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(source_.calls[0].id, MemberId(1));
  EXPECT_EQ(source_.calls[0].options.min_version, Version(3));
  source_.Answer(0, TestAnswer(TestDocument(1, 3, {7})));
  EXPECT_EQ(Last()->member->id(), MemberId(1));
  EXPECT_EQ(Entry(1).kind, LookupKind::kHit);
}

TEST_F(CenterRouteTest, NobodyIsAnswered) {
  FillHint(7, std::nullopt);
  Resolve(7);
  EXPECT_TRUE(source_.calls.empty());
  EXPECT_FALSE(Last()->member);
  Resolve(7, {.min_version = Version(1)});
  EXPECT_EQ(source_.calls.size(), 1U) << "somebody is asked for";
}

TEST_F(CenterRouteTest, AnIdentityThatHasNotChangedLatelyIsAskedOfAnySource) {
  Resolve(7);
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_FALSE(source_.calls[0].options.no_cache);
  source_.Answer(0, TestAnswer({}));
  EXPECT_FALSE(Last()->member);
  EXPECT_EQ(Hint(7).kind, LookupKind::kHit);
}

TEST_F(CenterRouteTest, OneThatHasChangedLatelyIsAskedOfThePrimary) {
  Touch(1, 2, {TestKey(7)});
  Resolve(7);
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_TRUE(source_.calls[0].options.no_cache);
  source_.Answer(0, TestAnswer({}));
  EXPECT_FALSE(Last()->member);
  EXPECT_EQ(Hint(7).kind, LookupKind::kHit) << "the primary may say that nobody holds it";
}

TEST_F(CenterRouteTest, WhomAReplicaNamesIsBelievedOnlyIfNotBelowTheMembersFloor) {
  Resolve(7);
  Touch(1, 6);  // it may have lost the identity with that
  source_.Answer(0, TestAnswer(TestDocument(1, 5, {7})));
  EXPECT_TRUE(received_.answers.empty());
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_TRUE(source_.calls[1].options.no_cache);
  source_.Answer(1, TestAnswer({}));
  EXPECT_FALSE(Last()->member);
  EXPECT_EQ(Hint(7).kind, LookupKind::kMiss);
}

TEST_F(CenterRouteTest, WhomAReplicaNamesIsFilledWithItsHint) {
  Resolve(7);
  source_.Answer(0, TestAnswer(TestDocument(1, 5, {7})));
  EXPECT_EQ(Last()->member->version(), Version(5));
  EXPECT_EQ(Entry(1).kind, LookupKind::kHit);
  EXPECT_EQ(Hint(7).holder, MemberId(1));
}

TEST_F(CenterRouteTest, AnEntryThatIsNewerThanTheReplicaDecides) {
  Resolve(7);
  FillMember(TestDocument(1, 6));
  source_.Answer(0, TestAnswer(TestDocument(1, 5, {7})));
  ASSERT_EQ(source_.calls.size(), 2U) << "it lists the identity no more";
  EXPECT_TRUE(source_.calls[1].options.no_cache);
}

TEST_F(CenterRouteTest, ASourceThatTookLongIsAskedAgainAsThePrimary) {
  Resolve(7);
  clock_.Advance(CenterRoute::kSourceTimeMax + Duration(1));
  source_.Answer(0, TestAnswer(TestDocument(1, 5, {7})));
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_TRUE(source_.calls[1].options.no_cache);
}

TEST_F(CenterRouteTest, ErrorsPassAndFillNothing) {
  Get(1);
  Resolve(7);
  source_.Answer(0, Fail(Reason::kOverloaded, "full"));
  source_.Answer(1, Fail(Reason::kDeadlineExceeded, "late"));
  EXPECT_EQ(received_.answers[0].error().message, "full");
  EXPECT_EQ(received_.answers[1].error().message, "late");
  EXPECT_NE(Entry(1).kind, LookupKind::kHit);
  EXPECT_NE(Hint(7).kind, LookupKind::kHit);
}

TEST_F(CenterRouteTest, DescribesItselfAndItsChild) {
  const RouteDescription description = route_.Describe();
  EXPECT_EQ(description.name, "cache(redis)");
  ASSERT_EQ(description.children.size(), 1U);
  EXPECT_EQ(description.children[0].name, "store");
}

}  // namespace
}  // namespace muster
