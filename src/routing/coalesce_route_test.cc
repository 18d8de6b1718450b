#include "routing/coalesce_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

#include "routing/testing/documents.h"
#include "routing/testing/recording_reader.h"

namespace muster {
namespace {

class CoalesceRouteTest : public ::testing::Test {
 protected:
  std::map<std::string, std::uint64_t> Counters() {
    const RouteDescription description = route_.Describe();
    return {description.counters.begin(), description.counters.end()};
  }

  void Commit(std::vector<MemberId> members, std::vector<IdentityKey> keys = {}) {
    floor_.Begin(members, keys);
    floor_.End(members, keys);
  }

  Version VersionOf(std::size_t answer) { return received_.answers.at(answer)->member->version(); }

  CommitFloor floor_;
  RecordingReader::Log source_;
  CoalesceRoute route_{floor_, std::make_unique<RecordingReader>(source_)};
  Received received_;
};

TEST_F(CoalesceRouteTest, EqualReadsShareACall) {
  for (int i = 0; i < 3; ++i) route_.Get(MemberId(1), {}, received_.Reply());
  for (int i = 0; i < 2; ++i) route_.Resolve(TestKey(1), {}, received_.Reply());
  EXPECT_EQ(source_.calls.size(), 2U);
  source_.Answer(0, TestAnswer(TestDocument(1, 2)));
  EXPECT_EQ(received_.answers.size(), 3U);
  source_.Answer(1, TestAnswer(TestDocument(5, 6, {1})));
  ASSERT_EQ(received_.answers.size(), 5U);
  EXPECT_EQ(VersionOf(2), Version(2));
  EXPECT_EQ(VersionOf(4), Version(6));
  EXPECT_EQ(Counters()["calls"], 2U);
  EXPECT_EQ(Counters()["joined"], 3U);
}

TEST_F(CoalesceRouteTest, WhatIsNotEqualDoesNot) {
  route_.Get(MemberId(1), {}, received_.Reply());
  route_.Get(MemberId(2), {}, received_.Reply());
  route_.Get(MemberId(1), {.no_cache = true}, received_.Reply());
  route_.Get(MemberId(1), {.min_version = Version(2)}, received_.Reply());
  route_.Resolve(TestKey(1), {}, received_.Reply());
  route_.Resolve(TestKey(2), {}, received_.Reply());
  route_.Resolve(IdentityKey{}, {}, received_.Reply());
  route_.Get(MemberId(), {}, received_.Reply());
  EXPECT_EQ(source_.calls.size(), 8U);
  EXPECT_EQ(Counters()["joined"], 0U);
  for (std::size_t i = 0; i < 8; ++i) source_.Answer(i, TestAnswer({}));
}

TEST_F(CoalesceRouteTest, AReadAfterTheAnswerStartsACallOfItsOwn) {
  route_.Get(MemberId(1), {}, received_.Reply());
  source_.Answer(0, TestAnswer(TestDocument(1, 1)));
  route_.Get(MemberId(1), {}, received_.Reply());
  EXPECT_EQ(source_.calls.size(), 2U);
  source_.Answer(1, TestAnswer(TestDocument(1, 2)));
  EXPECT_EQ(VersionOf(1), Version(2));
}

TEST_F(CoalesceRouteTest, AReadFromWithinAReplyStartsACallOfItsOwn) {
  route_.Get(MemberId(1), {}, [&](Result<MemberAnswer>) { route_.Get(MemberId(1), {}, received_.Reply()); });
  route_.Get(MemberId(1), {}, [&](Result<MemberAnswer>) { route_.Get(MemberId(1), {}, received_.Reply()); });
  source_.Answer(0, TestAnswer(TestDocument(1, 1)));
  EXPECT_EQ(source_.calls.size(), 2U) << "which the two share";
  source_.Answer(1, TestAnswer(TestDocument(1, 2)));
  EXPECT_EQ(received_.answers.size(), 2U);
}

TEST_F(CoalesceRouteTest, AChildMayAnswerDuringTheCall) {
  source_.at_once = TestAnswer(TestDocument(1, 1));
  route_.Get(MemberId(1), {}, received_.Reply());
  route_.Get(MemberId(1), {}, received_.Reply());
  EXPECT_EQ(received_.answers.size(), 2U);
  EXPECT_EQ(source_.calls.size(), 2U);
}

// A write is acknowledged between the call's snapshot and a reader's joining: the reader must see the write.
TEST_F(CoalesceRouteTest, AReaderThatCameAfterAWriteIsNotAnsweredFromBeforeIt) {
  route_.Get(MemberId(1), {}, received_.Reply());
  route_.Get(MemberId(1), {}, received_.Reply());
  const CommitSequence snapshot = floor_.Now();
  Commit({MemberId(1)});
  Received late;
  route_.Get(MemberId(1), {}, late.Reply());
  route_.Get(MemberId(1), {}, late.Reply());
  source_.Answer(0, TestAnswer(TestDocument(1, 1), snapshot));
  EXPECT_EQ(received_.answers.size(), 2U) << "who came before the write may have the older version";
  EXPECT_TRUE(late.answers.empty());
  ASSERT_EQ(source_.calls.size(), 2U) << "one more call for both";
  source_.Answer(1, TestAnswer(TestDocument(1, 2), floor_.Now()));
  ASSERT_EQ(late.answers.size(), 2U);
  EXPECT_EQ(late.answers[0]->member->version(), Version(2));
  EXPECT_EQ(Counters()["asked_again"], 1U);
}

TEST_F(CoalesceRouteTest, AWriteOfSomethingElseCostsNothing) {
  route_.Get(MemberId(1), {}, received_.Reply());
  const CommitSequence snapshot = floor_.Now();
  Commit({MemberId(2)}, {TestKey(2)});
  route_.Get(MemberId(1), {}, received_.Reply());
  source_.Answer(0, TestAnswer(TestDocument(1, 1), snapshot));
  EXPECT_EQ(received_.answers.size(), 2U);
  EXPECT_EQ(source_.calls.size(), 1U);
}

TEST_F(CoalesceRouteTest, ASnapshotFromAfterTheJoiningServesThoughAWriteIsUnderWay) {
  route_.Get(MemberId(1), {}, received_.Reply());
  Commit({MemberId(1)});
  route_.Get(MemberId(1), {}, received_.Reply());
  const CommitSequence snapshot = floor_.Now();
  const std::array members = {MemberId(1)};
  floor_.Begin(members, {});
  source_.Answer(0, TestAnswer(TestDocument(1, 2), snapshot));
  EXPECT_EQ(received_.answers.size(), 2U);
  floor_.End(members, {});
}

TEST_F(CoalesceRouteTest, AResolveSeesWritesOfTheIdentityAndOfItsMember) {
  const auto ask_late = [&](std::vector<MemberId> members, std::vector<IdentityKey> keys, MemberDocumentRef before) {
    const std::size_t first = source_.calls.size();
    route_.Resolve(TestKey(1), {}, received_.Reply());
    const CommitSequence snapshot = floor_.Now();
    Commit(std::move(members), std::move(keys));
    route_.Resolve(TestKey(1), {}, received_.Reply());
    source_.Answer(first, TestAnswer(std::move(before), snapshot));
    const bool asked_again = source_.calls.size() == first + 2;
    if (asked_again) source_.Answer(first + 1, TestAnswer({}, floor_.Now()));
    return asked_again;
  };
  EXPECT_TRUE(ask_late({}, {TestKey(1)}, {})) << "bound, when nobody had held it";
  EXPECT_TRUE(ask_late({MemberId(5)}, {}, TestDocument(5, 1, {1}))) << "another field of the holder";
  EXPECT_TRUE(ask_late({MemberId(5)}, {TestKey(1)}, TestDocument(5, 1, {1}))) << "unbound";
  EXPECT_FALSE(ask_late({MemberId(6)}, {TestKey(9)}, TestDocument(5, 1, {1})));
  EXPECT_FALSE(ask_late({MemberId(6)}, {}, {}));
  EXPECT_EQ(received_.answers.size(), 10U);
}

TEST_F(CoalesceRouteTest, NobodyWaitsForMoreThanTwoCalls) {
  route_.Get(MemberId(1), {}, received_.Reply());
  const CommitSequence old = floor_.Now();
  Commit({MemberId(1)});
  route_.Get(MemberId(1), {}, received_.Reply());
  source_.Answer(0, TestAnswer(TestDocument(1, 1), old));
  Commit({MemberId(1)});
  source_.Answer(1, TestAnswer(TestDocument(1, 2), old));
  EXPECT_EQ(received_.answers.size(), 2U);
  EXPECT_EQ(source_.calls.size(), 2U);
}

TEST_F(CoalesceRouteTest, AnErrorIsEverybodys) {
  for (int i = 0; i < 3; ++i) route_.Get(MemberId(1), {}, received_.Reply());
  source_.Answer(0, Fail(Reason::kOverloaded, "full"));
  ASSERT_EQ(received_.answers.size(), 3U);
  for (const auto& answer : received_.answers) EXPECT_EQ(answer.error().reason, Reason::kOverloaded);
}

// What is too old for everybody who asked before a commit need not be for who asks after it.
TEST_F(CoalesceRouteTest, AStaleAnswerIsOnlyTheirsWhoCameBeforeTheNextCommit) {
  const ReadOptions options{.min_version = Version(2)};
  Received late;
  route_.Get(MemberId(1), options, received_.Reply());
  route_.Get(MemberId(1), options, received_.Reply());
  Commit({MemberId(1)});
  route_.Get(MemberId(1), options, late.Reply());
  source_.Answer(0, Fail(Reason::kStale, "too old"));
  ASSERT_EQ(received_.answers.size(), 2U);
  for (const auto& answer : received_.answers) EXPECT_EQ(answer.error().reason, Reason::kStale);
  EXPECT_TRUE(late.answers.empty());
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(source_.calls[1].options.min_version, Version(2));
  source_.Answer(1, TestAnswer(TestDocument(1, 2), floor_.Now()));
  EXPECT_EQ(late.answers.at(0)->member->version(), Version(2));
}

TEST_F(CoalesceRouteTest, ADeadlineIsOnlyTheirsWhoHadNoMoreTime) {
  const auto until = [](int moment) { return ReadOptions{.deadline = Deadline(Instant(Duration(moment)))}; };
  Received first, shorter, longer, longest;
  route_.Get(MemberId(1), until(100), first.Reply());
  route_.Get(MemberId(1), until(50), shorter.Reply());
  route_.Get(MemberId(1), until(150), longer.Reply());
  route_.Get(MemberId(1), until(200), longest.Reply());
  source_.Answer(0, Fail(Reason::kDeadlineExceeded, "late"));
  EXPECT_EQ(first.answers.at(0).error().reason, Reason::kDeadlineExceeded);
  EXPECT_EQ(shorter.answers.at(0).error().reason, Reason::kDeadlineExceeded);
  EXPECT_TRUE(longer.answers.empty());
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(source_.calls[1].options.deadline.at(), Instant(Duration(200)));
  source_.Answer(1, TestAnswer(TestDocument(1, 1)));
  EXPECT_TRUE(longer.answers.at(0).has_value());
  EXPECT_TRUE(longest.answers.at(0).has_value());
}

TEST_F(CoalesceRouteTest, AskingAgainKeepsTheOptions) {
  const ReadOptions options{.min_version = Version(3), .no_cache = true};
  route_.Resolve(TestKey(1), options, received_.Reply());
  const CommitSequence old = floor_.Now();
  Commit({}, {TestKey(1)});
  route_.Resolve(TestKey(1), options, received_.Reply());
  source_.Answer(0, TestAnswer({}, old));
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_EQ(source_.calls[1].key, TestKey(1));
  EXPECT_EQ(source_.calls[1].options.min_version, Version(3));
  EXPECT_TRUE(source_.calls[1].options.no_cache);
  source_.Answer(1, TestAnswer({}));
}

TEST_F(CoalesceRouteTest, ReadersOfACallAndCallsAreBounded) {
  for (std::size_t i = 0; i < CoalesceRoute::kReadersMax + 2; ++i) route_.Get(MemberId(1), {}, received_.Reply());
  EXPECT_EQ(source_.calls.size(), 3U);
  EXPECT_EQ(Counters()["alone"], 2U);
  for (std::size_t i = 1; i < CoalesceRoute::kCallsMax + 5; ++i) {
    route_.Get(MemberId(static_cast<std::int64_t>(i + 1)), {}, received_.Reply());
  }
  EXPECT_EQ(Counters()["calls"], CoalesceRoute::kCallsMax);
  EXPECT_EQ(Counters()["alone"], 7U);
  for (std::size_t i = 0; i < source_.calls.size(); ++i) source_.Answer(i, TestAnswer({}));
  EXPECT_EQ(received_.answers.size(), CoalesceRoute::kReadersMax + 2 + CoalesceRoute::kCallsMax + 4);
  route_.Get(MemberId(1), {}, received_.Reply());
  route_.Get(MemberId(1), {}, received_.Reply());
  EXPECT_EQ(Counters()["alone"], 7U) << "there is room again";
  source_.Answer(source_.calls.size() - 1, TestAnswer({}));
}

// A store of one member, with random interleavings of writes, reads and snapshots: every reader gets at least the
// version that was acknowledged when it came.
TEST_F(CoalesceRouteTest, NoReadIsOlderThanWhatWasAcknowledgedBeforeIt) {
  SeededRandom random(11);
  std::int64_t committed = 1;
  struct Snapshot {
    CommitSequence as_of;
    std::int64_t version;
  };
  std::map<std::size_t, Snapshot> snapshots;  // by call
  std::size_t next_unopened = 0, answered = 0, reads = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random.Below(4)) {
      case 0: {
        ++reads;
        const std::int64_t at_least = committed;
        route_.Get(MemberId(1), {}, [at_least, &answered](Result<MemberAnswer> answer) {
          EXPECT_GE(answer->member->version().value(), at_least);
          ++answered;
        });
        break;
      }
      case 1:
        ++committed;
        Commit({MemberId(1)});
        break;
      case 2:
        if (next_unopened < source_.calls.size()) snapshots[next_unopened++] = {floor_.Now(), committed};
        break;
      case 3:
        if (!snapshots.empty()) {
          const auto [call, snapshot] = *snapshots.begin();
          snapshots.erase(snapshots.begin());
          source_.Answer(call, TestAnswer(TestDocument(1, snapshot.version), snapshot.as_of));
        }
        break;
    }
  }
  while (next_unopened < source_.calls.size()) snapshots[next_unopened++] = {floor_.Now(), committed};
  while (!snapshots.empty()) {
    const auto [call, snapshot] = *snapshots.begin();
    snapshots.erase(snapshots.begin());
    source_.Answer(call, TestAnswer(TestDocument(1, snapshot.version), snapshot.as_of));
    while (next_unopened < source_.calls.size()) snapshots[next_unopened++] = {floor_.Now(), committed};
  }
  EXPECT_EQ(answered, reads);
  EXPECT_GT(Counters()["asked_again"], 0U);
  EXPECT_GT(Counters()["joined"], Counters()["asked_again"]);
}

}  // namespace
}  // namespace muster
