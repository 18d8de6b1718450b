#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "store/binding_fixture.h"
#include "store/binding_steps.h"

// Binding while somebody else's reservation is in the way, whose operation may still be under way. Identities live in
// other databases than their members, so a look at a reservation is two transactions: reserve, judge.

namespace muster {
namespace {

class BindingRivalsTest : public ::testing::Test, public BindingWorld {
 protected:
  BindingRivalsTest() : BindingWorld({4, MemoryShardStore::Runs::kOnce}) {}

  Result<Member> Bind(MemberId id, const Identity& identity) { return Finish(writer->Bind(id, identity, Context())); }

  // A reservation whose operation is still under way at the end of the test.
  LookupRow Rival(MemberId id) { return Rival(id, ids); }
  LookupRow Rival(MemberId id, IdAllocator& numbers) {
    const OperationId operation = numbers.NextOperationId();
    entries_.push_back(OperationsUnderWay::Entry(&shards.operations, operation));
    return {id, operation};
  }

  const Identity key_ = IdentityAt(2, 0);

 private:
  std::vector<OperationsUnderWay::Entry> entries_;
};

TEST_F(BindingRivalsTest, ARivalUnderWayIsWaitedFor) {
  const Member member = Make(0, 0);
  const Member rival = Make(1, 0);
  const LookupRow theirs = Rival(rival.id);
  PutLookup(key_.key, theirs);
  // Each look is two transactions, and the first is followed by a rehearsal. Before the third look, the rival commits.
  shards.ActBefore(5, [&] {
    EXPECT_TRUE(contract::RunAndWait(memory, memory.DatabaseOf(rival.id), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_TRY(rows.records().WriteOperation(theirs.operation_id, OperationOutcome::kCommitted));
      MUSTER_ASSIGN(std::optional<Member> standing, rows.ReadMember(rival.id));
      Identity identity = key_;
      identity.bound_by = theirs.operation_id;
      standing->identities.push_back(identity);
      standing->version = Version(standing->version.value() + 1);
      return rows.WriteMember(*standing, CreationOf(*standing, ChangeType::kIdentityBound, Context(), clock.Now()));
    }));
  });
  const Timestamp begin = clock.Now();
  EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kIdentityTaken);
  EXPECT_EQ(clock.Now() - begin, std::chrono::milliseconds(1 + 2));
  EXPECT_EQ(FindOutcome(rival.id, theirs.operation_id), OperationOutcome::kCommitted);
  Check(true);
}

TEST_F(BindingRivalsTest, ARivalThatNeverCommitsIsAbortedWhenPatienceEnds) {
  // In the identity's own database, and in another.
  for (const std::uint32_t database : {1U, 2U}) {
    const Member member = Make(0, database);
    const Identity identity = IdentityAt(2, database);
    const MemberId dead = Make(database, 0).id;
    const LookupRow theirs = Rival(dead);
    PutLookup(identity.key, theirs);
    const Timestamp begin = clock.Now();
    ASSERT_TRUE(Bind(member.id, identity));
    EXPECT_GE(clock.Now() - begin, kPatienceWithOlder - std::chrono::milliseconds(100));
    EXPECT_LE(clock.Now() - begin, kPatienceWithOlder + std::chrono::milliseconds(100));
    EXPECT_EQ(FindOutcome(dead, theirs.operation_id), OperationOutcome::kAborted);
  }
  Check(true);
}

// What a crash left, or a release that a full disk refused: it is known to have ended, so nobody waits.
TEST_F(BindingRivalsTest, WhatHasEndedIsAbortedAtOnce) {
  const Member member = Make(0, 0);
  const MemberId gone = Make(1, 0).id;
  LookupRow theirs;
  {
    const OperationsUnderWay::Entry entry(&shards.operations, ids.NextOperationId());
    theirs = {gone, shards.operations.Oldest()};
  }
  PutLookup(key_.key, theirs);
  const Timestamp begin = clock.Now();
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_EQ(clock.Now(), begin);
  EXPECT_EQ(FindOutcome(gone, theirs.operation_id), OperationOutcome::kAborted);
  Check(true);
}

// Others may write to these databases: then a reservation is waited for whatever this process knows.
TEST_F(BindingRivalsTest, NotAloneItsOwnKnowledgeIsNotEnough) {
  const auto one_of_many =
      MakeBindingWriter({.shards = &memory, .catalog = &catalog, .ids = &ids, .clock = &clock, .timer = &timer});
  const Member member = Make(0, 0);
  PutLookup(key_.key, LookupRow{Make(1, 0).id, ids.NextOperationId()});
  const Timestamp begin = clock.Now();
  ASSERT_TRUE(Finish(one_of_many->Bind(member.id, key_, Context())));
  EXPECT_GE(clock.Now() - begin, kPatienceWithOlder - std::chrono::milliseconds(100));
}

// Its number says that it began in an hour: the clock of its process is wrong.
TEST_F(BindingRivalsTest, PatienceDoesNotRestOnTheRivalsClock) {
  const Member member = Make(0, 0);
  ManualClock ahead(clock.Now() + std::chrono::hours(1));
  IdAllocator theirs(ahead, 3, 0);
  PutLookup(key_.key, Rival(Make(1, 0).id, theirs));
  const Timestamp begin = clock.Now();
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_GE(clock.Now() - begin, kPatienceWithYounger) << "its number is the higher one";
  EXPECT_LE(clock.Now() - begin, kPatienceWithYounger + std::chrono::milliseconds(100));
  Check(true);
}

TEST_F(BindingRivalsTest, PatienceEndsWithTheDeadline) {
  const Member member = Make(0, 0);
  const LookupRow theirs = Rival(Make(1, 0).id);
  PutLookup(key_.key, theirs);
  WriteContext context = Context();
  context.deadline = Deadline::After(clock, std::chrono::milliseconds(20));
  const Timestamp begin = clock.Now();
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, key_, context))), Reason::kDeadlineExceeded);
  EXPECT_EQ(clock.Now() - begin, std::chrono::milliseconds(20));
  EXPECT_EQ(FindLookup(key_.key), theirs);
  EXPECT_FALSE(FindOutcome(theirs.member_id, theirs.operation_id).has_value());
}

// Others come and go, however long ago they began: that is no reason to give up, or to abort one of them.
TEST_F(BindingRivalsTest, RivalsThatTakeTurnsAreWaitedFor) {
  const Member member = Make(0, 0);
  const Member rival = Make(1, 0);
  std::vector<LookupRow> rivals;
  for (std::size_t index = 0; index < 5 * kReservationTriesMax; ++index) {
    rivals.push_back(Rival(rival.id));
  }
  clock.Advance(std::chrono::seconds(20));
  // A look is two transactions; the first is followed by a rehearsal.
  for (std::size_t index = 0; index < rivals.size(); ++index) {
    shards.ActBefore(index == 0 ? 0 : 2 * index + 1, [&, index] { PutLookup(key_.key, rivals[index]); });
  }
  shards.ActBefore(2 * rivals.size() + 1, [&] { PutLookup(key_.key, std::nullopt); });
  EXPECT_TRUE(Bind(member.id, key_));
  for (const LookupRow& each : rivals) EXPECT_FALSE(FindOutcome(rival.id, each.operation_id).has_value());
  Check(true);
}

// What the member does not allow is said at once, before anything is waited for.
TEST_F(BindingRivalsTest, NobodyWaitsForWhatTheMemberDoesNotAllow) {
  const Member member = Make(0, 0);
  PutLookup(key_.key, Rival(Make(1, 0).id));
  WriteContext context = Context();
  context.expected_version = Version(7);
  const Timestamp begin = clock.Now();
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, key_, context))), Reason::kVersionMismatch);
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(IdAt(0, 99), key_, Context()))), Reason::kMemberNotFound);
  Member again = contract::PlainMember(member.id);
  again.identities = {key_};
  EXPECT_EQ(ReasonOf(Finish(writer->Register(again, true, Context()))), Reason::kMemberExists);
  EXPECT_EQ(clock.Now(), begin);
}

// Who waits for one identity hears at once that another one is held.
TEST_F(BindingRivalsTest, NobodyWaitsForWhatHeCannotHaveAnyway) {
  Member wanted = contract::PlainMember(IdAt(0, 5));
  wanted.identities = {IdentityAt(1, 1), IdentityAt(2, 1), IdentityAt(3, 1)};
  std::ranges::sort(wanted.identities, {}, &Identity::key);
  Make(1, 0, {wanted.identities[2]});
  PutLookup(wanted.identities[0].key, Rival(IdAt(2, 7)));
  const Timestamp begin = clock.Now();
  EXPECT_EQ(ReasonOf(Finish(writer->Register(wanted, true, Context()))), Reason::kIdentityTaken);
  EXPECT_EQ(clock.Now(), begin);
}

}  // namespace
}  // namespace muster
