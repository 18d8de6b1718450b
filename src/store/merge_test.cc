#include <gtest/gtest.h>

#include <set>
#include <string>

#include "store/merge_fixture.h"

// Merging and taking it back, over one database, where everything is one transaction, and over several. What fails or
// gets in between is in merge_fault_test.cc.

namespace muster {
namespace {

struct NamedShape {
  const char* name;
  Shape shape;
};

class MergeTest : public ::testing::TestWithParam<NamedShape>, public MergeWorld {
 protected:
  MergeTest() : MergeWorld(GetParam().shape) {}
  ~MergeTest() override {
    Check(true);
    EXPECT_FALSE(IsMarked());
  }

  // Spread over the databases there are.
  Identity IdentityOf(std::uint32_t number, const std::string& kind = "account") {
    return IdentityAt((number + 1) % memory.database_count(), number, kind);
  }
  Member MakeMember(std::uint32_t number, std::vector<Identity> identities = {}) {
    return Make(number % memory.database_count(), number, std::move(identities));
  }
  void ExpectHolder(const Identity& identity, std::optional<MemberId> holder) {
    EXPECT_EQ(reader.Holder(identity.key), holder);
  }
  std::optional<Member> MemberOf(MemberId id) { return Find(id); }
};

INSTANTIATE_TEST_SUITE_P(Shapes, MergeTest,
                         ::testing::Values(NamedShape{"One", {1, MemoryShardStore::Runs::kOnce}},
                                           NamedShape{"OneTwice", {1, MemoryShardStore::Runs::kTwice}},
                                           NamedShape{"Two", {2, MemoryShardStore::Runs::kOnce}},
                                           NamedShape{"Five", {5, MemoryShardStore::Runs::kOnce}},
                                           NamedShape{"FiveTwice", {5, MemoryShardStore::Runs::kTwice}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(MergeTest, TheSurvivorHoldsWhatTheSourceHeldAndTheSourceSaysWhereItWent) {
  const Identity a = IdentityOf(0);
  const Identity b = IdentityOf(1);
  const Identity own = IdentityOf(2);
  const Member source = MakeMember(0, {a, b});
  const Member survivor = MakeMember(1, {own});

  const Result<Member> merged = Merge(survivor.id, source.id);
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(merged->id, survivor.id);
  EXPECT_EQ(merged->version, Version(2));
  EXPECT_EQ(merged->identities.size(), 3U);
  EXPECT_EQ(*MemberOf(survivor.id), *merged);

  const Member gone = *MemberOf(source.id);
  EXPECT_EQ(gone.state, MemberState::kMerged);
  EXPECT_EQ(gone.merged_into, survivor.id);
  EXPECT_EQ(gone.version, Version(2));
  EXPECT_TRUE(gone.identities.empty());
  for (const Identity& each : {a, b, own}) ExpectHolder(each, survivor.id);
}

TEST_P(MergeTest, BothHistoriesTellOfIt) {
  const Identity a = IdentityOf(0);
  const Member source = MakeMember(0, {a});
  const Member survivor = MakeMember(1);
  ASSERT_TRUE(Merge(survivor.id, source.id));
  ASSERT_TRUE(Unmerge(survivor.id, source.id));
  for (const MemberId id : {source.id, survivor.id}) {
    const std::vector<Change> history = memory.History(id);
    ASSERT_EQ(history.size(), 3U);
    EXPECT_EQ(history[1].type, ChangeType::kMerged);
    EXPECT_EQ(history[2].type, ChangeType::kUnmerged);
    for (const Change& change : {history[1], history[2]}) {
      EXPECT_EQ(change.caller, "test");
      EXPECT_EQ(change.request_id, "request");
      ASSERT_EQ(change.identities.size(), 1U);
      EXPECT_EQ(change.identities[0].key, a.key);
    }
  }
}

TEST_P(MergeTest, MergingAgainChangesNothing) {
  const Member source = MakeMember(0, {IdentityOf(0)});
  const Member survivor = MakeMember(1);
  const Result<Member> merged = Merge(survivor.id, source.id);
  EXPECT_EQ(Merge(survivor.id, source.id), merged);
  EXPECT_EQ(MemberOf(source.id)->version, Version(2));
}

TEST_P(MergeTest, WhatCannotBeMergedIsRefusedAndLeavesNothing) {
  const Member source = MakeMember(0, {IdentityOf(0)});
  const Member survivor = MakeMember(1);
  EXPECT_EQ(ReasonOf(Merge(source.id, source.id)), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonOf(Merge(survivor.id, IdAt(0, 77))), Reason::kMemberNotFound);
  EXPECT_EQ(ReasonOf(Merge(IdAt(0, 77), source.id)), Reason::kMemberNotFound);
  EXPECT_EQ(ReasonOf(Unmerge(survivor.id, source.id)), Reason::kStateConflict);
  const Member closed = MakeMember(2);
  ASSERT_TRUE(Finish(writer->Close(closed.id, Context())));
  EXPECT_EQ(ReasonOf(Merge(closed.id, source.id)), Reason::kStateConflict);
  EXPECT_EQ(ReasonOf(Merge(survivor.id, closed.id)), Reason::kStateConflict);
  WriteContext stale = Context();
  stale.expected_version = Version(9);
  EXPECT_EQ(ReasonOf(Finish(merger->Merge(survivor.id, source.id, false, stale))), Reason::kVersionMismatch);
  EXPECT_EQ(*MemberOf(source.id), source);
  EXPECT_EQ(*MemberOf(survivor.id), survivor);
}

TEST_P(MergeTest, TheLimitOfAKindIsThatOfTheUnion) {
  const Member source = MakeMember(0, {IdentityOf(0, "phone"), IdentityOf(1, "phone")});
  const Member survivor = MakeMember(1, {IdentityOf(2, "phone"), IdentityOf(3, "phone")});
  EXPECT_EQ(ReasonOf(Merge(survivor.id, source.id)), Reason::kLimitExceeded);
  ASSERT_TRUE(Unbind(survivor.id, IdentityOf(3).key));
  EXPECT_TRUE(Merge(survivor.id, source.id));
}

TEST_P(MergeTest, WritesToTheSourceAreRefusedAndNameTheSurvivor) {
  const Member source = MakeMember(0);
  const Member survivor = MakeMember(1);
  ASSERT_TRUE(Merge(survivor.id, source.id));
  const Result<Member> bound = Bind(source.id, IdentityOf(0));
  ASSERT_EQ(ReasonOf(bound), Reason::kStateConflict);
  EXPECT_NE(bound.error().message.find(std::to_string(survivor.id.value())), std::string::npos);
  EXPECT_EQ(ReasonOf(Finish(writer->Close(source.id, Context()))), Reason::kStateConflict);
}

TEST_P(MergeTest, UnmergingGivesBackWhatTheSourceBroughtAndStillIsThere) {
  const Identity stays = IdentityOf(0);
  const Identity unbound = IdentityOf(1);
  const Identity anew = IdentityOf(2);
  const Identity own = IdentityOf(3);
  const Identity later = IdentityOf(4);
  const Member source = MakeMember(0, {stays, unbound, anew});
  const Member survivor = MakeMember(1, {own});
  ASSERT_TRUE(Merge(survivor.id, source.id));
  ASSERT_TRUE(Unbind(survivor.id, unbound.key));
  ASSERT_TRUE(Unbind(survivor.id, anew.key));
  ASSERT_TRUE(Bind(survivor.id, anew));
  ASSERT_TRUE(Bind(survivor.id, later));

  const Result<Member> back = Unmerge(survivor.id, source.id);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->id, source.id);
  EXPECT_EQ(back->state, MemberState::kActive);
  EXPECT_EQ(back->merged_into, MemberId(0));
  EXPECT_EQ(back->version, Version(3));
  EXPECT_EQ(KeysOf(*back), std::vector{stays.key});
  EXPECT_EQ(*MemberOf(source.id), *back);
  EXPECT_EQ(MemberOf(survivor.id)->version.value(), 7);
  ExpectHolder(stays, source.id);
  ExpectHolder(unbound, std::nullopt);
  for (const Identity& each : {anew, own, later}) ExpectHolder(each, survivor.id);
  EXPECT_EQ(ReasonOf(Unmerge(survivor.id, source.id)), Reason::kStateConflict);
}

TEST_P(MergeTest, AChainIsTakenBackFromItsEnd) {
  const Identity a = IdentityOf(0);
  const Identity b = IdentityOf(1);
  const Identity c = IdentityOf(2);
  const MemberId first = MakeMember(0, {a}).id;
  const MemberId second = MakeMember(1, {b}).id;
  const MemberId third = MakeMember(2, {c}).id;
  ASSERT_TRUE(Merge(second, first));
  ASSERT_TRUE(Merge(third, second));
  const Result<Member> early = Unmerge(second, first);
  ASSERT_EQ(ReasonOf(early), Reason::kStateConflict);
  EXPECT_NE(early.error().message.find(std::to_string(third.value())), std::string::npos);
  EXPECT_EQ(ReasonOf(Unmerge(third, first)), Reason::kStateConflict);

  ASSERT_TRUE(Unmerge(third, second));
  ExpectHolder(a, second);
  ASSERT_TRUE(Unmerge(second, first));
  ExpectHolder(a, first);
  ExpectHolder(b, second);
  ExpectHolder(c, third);
}

TEST_P(MergeTest, ADryRunAnswersWhatWouldBeAndWritesNothing) {
  const Member source = MakeMember(0, {IdentityOf(0)});
  const Member survivor = MakeMember(1);
  Member would = Finish(merger->Merge(survivor.id, source.id, true, Context())).value();
  EXPECT_EQ(would.version, Version(2));
  EXPECT_EQ(would.identities.size(), 1U);
  EXPECT_EQ(*MemberOf(source.id), source);
  EXPECT_EQ(*MemberOf(survivor.id), survivor);
  ASSERT_TRUE(Merge(survivor.id, source.id));
  would = Finish(merger->Unmerge(survivor.id, source.id, true, Context())).value();
  EXPECT_EQ(would.state, MemberState::kActive);
  EXPECT_EQ(would.identities.size(), 1U);
  EXPECT_EQ(MemberOf(source.id)->state, MemberState::kMerged);
  EXPECT_EQ(ReasonOf(Finish(merger->Merge(source.id, survivor.id, true, Context()))), Reason::kStateConflict);
}

TEST_P(MergeTest, ARequestThatIsSentAgainIsAnsweredAsTheFirst) {
  const Member source = MakeMember(0, {IdentityOf(0)});
  const Member survivor = MakeMember(1);
  bool replayed = false;
  WriteContext once = Context();
  once.idempotency = Idempotency{.key = {{1}}, .fingerprint = {{2}}, .replayed = &replayed};
  const Result<Member> merged = Finish(merger->Merge(survivor.id, source.id, false, once));
  ASSERT_TRUE(merged);
  EXPECT_FALSE(replayed);
  once.idempotency->key = {{3}};
  const Result<Member> back = Finish(merger->Unmerge(survivor.id, source.id, false, once));
  ASSERT_TRUE(back);
  EXPECT_EQ(Finish(merger->Unmerge(survivor.id, source.id, false, once)), back);
  EXPECT_TRUE(replayed);
  once.idempotency->key = {{1}};
  EXPECT_EQ(Finish(merger->Merge(survivor.id, source.id, false, once)), merged);
  once.idempotency->fingerprint = {{9}};
  EXPECT_EQ(ReasonOf(Finish(merger->Merge(survivor.id, source.id, false, once))), Reason::kIdempotencyMismatch);
  EXPECT_EQ(MemberOf(source.id)->state, MemberState::kActive);
}

TEST_P(MergeTest, WhatASurvivorHoldsIsFreeWhenItIsClosed) {
  const Identity a = IdentityOf(0);
  const Member source = MakeMember(0, {a});
  const Member survivor = MakeMember(1);
  ASSERT_TRUE(Merge(survivor.id, source.id));
  ASSERT_TRUE(Finish(writer->Close(survivor.id, Context())));
  ExpectHolder(a, std::nullopt);
  EXPECT_EQ(ReasonOf(Unmerge(survivor.id, source.id)), Reason::kStateConflict);
  EXPECT_TRUE(Bind(MakeMember(2).id, a));
}

}  // namespace
}  // namespace muster
