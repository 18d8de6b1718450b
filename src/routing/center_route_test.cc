#include "routing/center_route.h"

#include <gtest/gtest.h>

#include <deque>
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

// Runs what is posted when the test says so.
class QueueLoop final : public EventLoop {
 public:
  void Post(Work work) override { work_.push_back(std::move(work)); }
  void Defer(Work work) override { Post(std::move(work)); }
  bool RunOne() {
    if (work_.empty()) return false;
    Work work = std::move(work_.front());
    work_.pop_front();
    work();
    return true;
  }

 private:
  std::deque<Work> work_;
};

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
  QueueLoop loop_;
  ManualTimer timer_{clock_};
  CenterRoute route_{
      "redis", cache_, clock_, std::make_unique<RecordingReader>(source_), {.loop = &loop_, .timer = &timer_}};
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

TEST_F(CenterRouteTest, TheFloorIsWhatACopyMustHave) {
  Touch(1, 7);
  Get(1);
  Get(1, {.min_version = Version(9)});
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(source_.calls[0].options.floor, Version(7));
  EXPECT_EQ(source_.calls[0].options.min_version, Version(0)) << "the caller has not asked for one";
  EXPECT_EQ(source_.calls[1].options.floor, Version(7));
  EXPECT_EQ(source_.calls[1].options.min_version, Version(9));
}

TEST_F(CenterRouteTest, AnAnswerOfACopyBelowTheFloorIsNeitherGivenNorFilledAndThePrimaryIsAsked) {
  Touch(1, 7);
  const std::map<std::string, Result<MemberAnswer>> answers = {{"stale", Fail(Reason::kStale, "nobody has it")},
                                                               {"older", TestCopyAnswer(TestDocument(1, 6))},
                                                               {"missing", TestCopyAnswer({})}};
  for (const auto& [name, answer] : answers) {
    SCOPED_TRACE(name);
    const std::size_t before = source_.calls.size();
    const std::size_t answered = received_.answers.size();
    Get(1);
    source_.Answer(before, answer);
    ASSERT_EQ(source_.calls.size(), before + 2);
    EXPECT_EQ(received_.answers.size(), answered);
    EXPECT_TRUE(source_.calls[before + 1].options.prefer_primary);
    EXPECT_FALSE(source_.calls[before + 1].options.no_cache);
    EXPECT_EQ(source_.calls[before + 1].options.min_version, Version(0)) << "the caller has not asked for one";
    EXPECT_EQ(source_.calls[before + 1].options.floor, Version(7));
    EXPECT_EQ(Entry(1).kind, LookupKind::kMiss);
    source_.Answer(before + 1, TestAnswer(TestDocument(1, 7)));
    EXPECT_EQ(Last()->member->version(), Version(7));
    center_.BeginEpoch(state_.epoch = Epoch(state_.epoch.value() + 1));
    Touch(1, 7);
  }
}

// A write that was announced and then lost with its center: the primary knows best.
TEST_F(CenterRouteTest, WhatThePrimarySaysIsGivenAlsoBelowTheFloor) {
  Touch(1, 7);
  Get(1);
  source_.Answer(0, TestAnswer(TestDocument(1, 6)));
  EXPECT_EQ(Last()->member->version(), Version(6));
  EXPECT_EQ(Entry(1).kind, LookupKind::kMiss) << "the cache takes nothing below its floor";
}

TEST_F(CenterRouteTest, WhileThePrimaryIsOutOfReachACopyIsAskedAgainUntilItHasAppliedIt) {
  Touch(1, 7);
  Get(1);
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 6)));
  source_.Answer(1, TestCopyAnswer(TestDocument(1, 6)));
  for (std::size_t call = 2; call < 5; ++call) {
    ASSERT_EQ(source_.calls.size(), call) << "after a pause";
    ASSERT_TRUE(loop_.RunOne());
    ASSERT_EQ(source_.calls.size(), call + 1);
    EXPECT_TRUE(source_.calls[call].options.prefer_primary);
    EXPECT_EQ(source_.calls[call].options.floor, Version(7));
    EXPECT_TRUE(received_.answers.empty());
    if (call < 4) source_.Answer(call, Fail(Reason::kStale, "not yet"));
  }
  source_.Answer(4, TestCopyAnswer(TestDocument(1, 7)));
  EXPECT_EQ(Last()->member->version(), Version(7));
  EXPECT_EQ(Last()->source, Source::kReplica);
  EXPECT_EQ(Entry(1).kind, LookupKind::kHit);
  EXPECT_EQ(Counter("waits"), 3U);
}

TEST_F(CenterRouteTest, WhenTheDeadlineIsOverBeforeACopyHasItTheAnswerIsStale) {
  const Instant began = clock_.Monotonic();
  for (const Duration patience : {Duration(std::chrono::milliseconds(60)), Duration(std::chrono::hours(1))}) {
    Touch(1, 7);
    const std::size_t answered = received_.answers.size();
    const Instant until = clock_.Monotonic() + patience;
    std::size_t call = source_.calls.size();
    Get(1, {.deadline = Deadline(until)});
    while (received_.answers.size() == answered) {
      for (; call < source_.calls.size(); ++call) source_.Answer(call, TestCopyAnswer(TestDocument(1, 6)));
      if (received_.answers.size() == answered) ASSERT_TRUE(loop_.RunOne());
    }
    ASSERT_FALSE(Last());
    EXPECT_EQ(Last().error().reason, Reason::kStale);
    EXPECT_LE(clock_.Monotonic(), until);
  }
  EXPECT_LE(clock_.Monotonic() - began, std::chrono::milliseconds(60) + CenterRoute::kWaitMax);
  EXPECT_LE(source_.calls.size(), 200U);
}

TEST_F(CenterRouteTest, WithoutATimerNobodyWaits) {
  CenterRoute route("redis", cache_, clock_, std::make_unique<RecordingReader>(source_));
  Touch(1, 7);
  route.Get(MemberId(1), {}, received_.Reply());
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 6)));
  source_.Answer(1, TestCopyAnswer(TestDocument(1, 6)));
  ASSERT_FALSE(Last());
  EXPECT_EQ(Last().error().reason, Reason::kStale);
}

TEST_F(CenterRouteTest, WhatIsOlderThanFloorsAllowForOrMayBeTakenBackIsGivenAndNotFilled) {
  MemberAnswer undurable = TestCopyAnswer(TestDocument(1, 5, {7}));
  undurable.may_be_kept = false;
  for (const MemberAnswer& answer :
       {TestCopyAnswer(TestDocument(1, 5, {7}), CenterRoute::kLagMax + Duration(1)), undurable}) {
    const std::size_t before = source_.calls.size();
    Get(1);
    Resolve(7);
    source_.Answer(before, answer);
    source_.Answer(before + 1, answer);
    EXPECT_EQ(received_.answers.size(), source_.calls.size());
    EXPECT_EQ(Last()->member->version(), Version(5));
    EXPECT_EQ(Last()->age, answer.age);
    center_.BeginEpoch(state_.epoch = Epoch(state_.epoch.value() + 1));
    Get(1);
    source_.Answer(before + 2, answer);
    EXPECT_EQ(Entry(1).kind, LookupKind::kMiss);
    EXPECT_EQ(Hint(7).kind, LookupKind::kMiss);
    center_.BeginEpoch(state_.epoch = Epoch(state_.epoch.value() + 1));
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
    EXPECT_TRUE(source_.calls[before].options.prefer_primary && source_.calls[before + 1].options.prefer_primary);
    EXPECT_FALSE(source_.calls[before].options.no_cache || source_.calls[before + 1].options.no_cache);
    source_.Answer(before, TestAnswer(TestDocument(1, 5, {7})));
    // The primary is out of reach.
    source_.Answer(before + 1, TestCopyAnswer(TestDocument(1, 5, {7}), std::chrono::minutes(9)));
    EXPECT_EQ(Last()->age, std::chrono::minutes(9));
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
  EXPECT_TRUE(source_.calls[0].options.prefer_primary);
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
  EXPECT_EQ(source_.calls[0].options.floor, Version(3));
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
  EXPECT_FALSE(source_.calls[0].options.prefer_primary);
  source_.Answer(0, TestCopyAnswer({}));
  EXPECT_FALSE(Last()->member);
  EXPECT_EQ(Hint(7).kind, LookupKind::kHit);
}

TEST_F(CenterRouteTest, OneThatHasChangedLatelyIsAskedOfThePrimary) {
  Touch(1, 2, {TestKey(7)});
  Resolve(7);
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_TRUE(source_.calls[0].options.prefer_primary);
  source_.Answer(0, TestAnswer({}));
  EXPECT_FALSE(Last()->member);
  EXPECT_EQ(Hint(7).kind, LookupKind::kHit) << "the primary may say that nobody holds it";
}

TEST_F(CenterRouteTest, WhomAReplicaNamesIsBelievedOnlyIfNotBelowTheMembersFloor) {
  Resolve(7);
  Touch(1, 6);  // it may have lost the identity with that
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 5, {7})));
  EXPECT_TRUE(received_.answers.empty());
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_TRUE(source_.calls[1].options.prefer_primary);
  source_.Answer(1, TestAnswer({}));
  EXPECT_FALSE(Last()->member);
  EXPECT_EQ(Hint(7).kind, LookupKind::kHit) << "the primary may say that nobody holds it";
}

TEST_F(CenterRouteTest, WhomAReplicaNamesIsFilledWithItsHint) {
  Resolve(7);
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 5, {7})));
  EXPECT_EQ(Last()->member->version(), Version(5));
  EXPECT_EQ(Entry(1).kind, LookupKind::kHit);
  EXPECT_EQ(Hint(7).holder, MemberId(1));
}

TEST_F(CenterRouteTest, WhileThePrimaryIsOutOfReachACopysHolderOfAnIdentityThatChangedIsConfirmedByTheMembersFloor) {
  Touch(1, 6, {TestKey(7)});
  Resolve(7);
  ASSERT_TRUE(source_.calls[0].options.prefer_primary);
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 5, {7})));
  ASSERT_TRUE(loop_.RunOne());
  source_.Answer(1, TestCopyAnswer(TestDocument(1, 6, {7})));
  EXPECT_EQ(Last()->member->version(), Version(6));
}

TEST_F(CenterRouteTest, WhileThePrimaryIsOutOfReachNobodySaysThatNobodyHoldsWhatChangedLately) {
  Touch(1, 6, {TestKey(7)});
  Resolve(7, {.deadline = Deadline(clock_.Monotonic() + std::chrono::milliseconds(20))});
  for (std::size_t call = 0; received_.answers.empty(); ++call) {
    source_.Answer(call, TestCopyAnswer({}));
    if (received_.answers.empty()) ASSERT_TRUE(loop_.RunOne());
  }
  ASSERT_FALSE(Last());
  EXPECT_EQ(Last().error().reason, Reason::kStale);
  EXPECT_EQ(Hint(7).kind, LookupKind::kMiss);
}

TEST_F(CenterRouteTest, ACacheThatIsLostMeanwhileConfirmsNothingAndThePrimaryIsAsked) {
  Resolve(7);
  state_.mode = CacheMode::kBypass;
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 5, {7})));
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_TRUE(source_.calls[1].options.prefer_primary);
  source_.Answer(1, TestCopyAnswer(TestDocument(1, 5, {7})));
  EXPECT_EQ(Last()->member->id(), MemberId(1)) << "bypassed: a copy answers, with its age";
}

TEST_F(CenterRouteTest, AnEntryThatIsNewerThanTheReplicaDecides) {
  Resolve(7);
  FillMember(TestDocument(1, 6));
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 5, {7})));
  ASSERT_EQ(source_.calls.size(), 2U) << "it lists the identity no more";
  EXPECT_TRUE(source_.calls[1].options.prefer_primary);
}

TEST_F(CenterRouteTest, ASourceThatTookLongIsAskedAgainAsThePrimary) {
  Resolve(7);
  clock_.Advance(CenterRoute::kSourceTimeMax + Duration(1));
  source_.Answer(0, TestCopyAnswer(TestDocument(1, 5, {7})));
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_TRUE(source_.calls[1].options.prefer_primary);
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
