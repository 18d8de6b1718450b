#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "store/binding_fixture.h"

// The binding protocol when something fails, crashes or gets in between, at every step. Identities live in other
// databases than their members, so that every step is a transaction of its own:
//
//   bind: 0 reserve  1 commit      (a row in the way: 0 reserve  1 settle  2 replace  3 commit)
//   unbind: 0 commit  1 free

namespace muster {
namespace {

using Fault = FaultyShardStore::Fault;
constexpr Shape kFour{4, MemoryShardStore::Runs::kOnce};
constexpr std::size_t kStepsMax = 12;  // more than any scenario here has

class BindingFaultTest : public ::testing::Test, public BindingWorld {
 protected:
  BindingFaultTest() : BindingWorld(kFour) {}

  Result<Member> Bind(MemberId id, const Identity& identity) { return Finish(writer->Bind(id, identity, Context())); }
  Result<Member> Unbind(MemberId id, const IdentityKey& key) { return Finish(writer->Unbind(id, key, Context())); }
  // What another process does meanwhile: its own writer, over the store without faults.
  Result<Member> OtherBinds(MemberId id, const Identity& identity) {
    return Finish(other_->Bind(id, identity, Context()));
  }
  Result<Member> OtherUnbinds(MemberId id, const IdentityKey& key) {
    return Finish(other_->Unbind(id, key, Context()));
  }
  // A reservation whose process died, which is known, so nobody waits for it.
  LookupRow LeaveReservation(MemberId id, const Identity& identity) {
    const LookupRow row{id, ids.NextOperationId()};
    PutLookup(identity.key, row);
    return row;
  }

  const Identity key_ = IdentityAt(2, 0);

 private:
  IdAllocator other_ids_{clock, 2, 0};
  const std::unique_ptr<MemberWriter> other_ =
      MakeBindingWriter({.shards = &memory, .catalog = &catalog, .ids = &other_ids_, .clock = &clock, .timer = &timer});
};

// ---- a row is in the way

TEST_F(BindingFaultTest, AReservationLeftByACrashIsTakenOverAndItsOperationAborted) {
  const Member dead = Make(1, 0);
  const Member member = Make(0, 0);
  const LookupRow left = LeaveReservation(dead.id, key_);
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_EQ(FindOutcome(dead.id, left.operation_id), OperationOutcome::kAborted);
  Check(true);
}

TEST_F(BindingFaultTest, AReservationForAMemberThatNeverCameToBeIsTakenOver) {
  const Member member = Make(0, 0);
  const LookupRow left = LeaveReservation(IdAt(3, 7), key_);
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_EQ(FindOutcome(IdAt(3, 7), left.operation_id), OperationOutcome::kAborted);
  Check(true);
}

TEST_F(BindingFaultTest, AReservationForTheSameMemberIsTakenOver) {
  const Member member = Make(0, 0);
  LeaveReservation(member.id, key_);
  ASSERT_TRUE(Bind(member.id, key_));
  Check(true);
}

TEST_F(BindingFaultTest, ARowThatUnbindLeftKeepsTheOutcomeCommitted) {
  const Member old = Make(1, 0);
  ASSERT_TRUE(Bind(old.id, key_));
  const LookupRow row = *FindLookup(key_.key);
  shards.FailAt(1, Fault::kOverloaded);
  ASSERT_TRUE(Unbind(old.id, key_.key)) << "freeing the lookup row is nobody's failure";
  EXPECT_EQ(FindLookup(key_.key), row);
  ASSERT_TRUE(Bind(Make(0, 0).id, key_));
  EXPECT_EQ(FindOutcome(old.id, row.operation_id), OperationOutcome::kCommitted);
  Check(true);
}

TEST_F(BindingFaultTest, AnOwnerInTheIdentitysDatabaseIsSettledInOneTransaction) {
  const Member dead = Make(2, 0);  // the database of the identity
  const LookupRow left = LeaveReservation(dead.id, key_);
  const Member member = Make(0, 0);
  const std::size_t before = shards.runs();
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_EQ(shards.runs() - before, 2U) << "reserve and commit";
  EXPECT_EQ(FindOutcome(dead.id, left.operation_id), OperationOutcome::kAborted);
  Check(true);
}

TEST_F(BindingFaultTest, AMemberBesideItsIdentityMayHaveToGoAcrossToSettle) {
  const Member dead = Make(1, 0);
  const LookupRow left = LeaveReservation(dead.id, key_);
  const Member member = Make(2, 0);  // the database of the identity
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_EQ(FindOutcome(dead.id, left.operation_id), OperationOutcome::kAborted);
  const LookupRow own = *FindLookup(key_.key);
  EXPECT_EQ(FindOutcome(member.id, own.operation_id), OperationOutcome::kCommitted)
      << "it could be seen between its reservation and its commit";
  Check(true);
}

TEST_F(BindingFaultTest, AnIdentityThatKeepsChangingHandsIsGivenUp) {
  const Member member = Make(0, 0);
  const Member dead = Make(1, 0);
  LeaveReservation(dead.id, key_);
  // Before each look at the row it is somebody else's again.
  for (std::size_t step = 0; step < 2 * kReservationTriesMax; ++step) {
    shards.ActBefore(step, [&] { LeaveReservation(dead.id, key_); });
  }
  EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kOverloaded);
  EXPECT_EQ(Find(member.id), member);
  EXPECT_EQ(FindLookup(key_.key)->member_id, dead.id) << "what is not its own it does not release";
}

// ---- somebody gets in between

TEST_F(BindingFaultTest, WhoIsAbortedBetweenReserveAndCommitLosesToTheOther) {
  const Member member = Make(0, 0);
  const Member rival = Make(1, 0);
  shards.ActBefore(1, [&] { ASSERT_TRUE(OtherBinds(rival.id, key_)); });
  EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kIdentityTaken);
  EXPECT_EQ(Find(member.id), member);
  Check(true);
}

TEST_F(BindingFaultTest, WhoIsAbortedInVainTriesAgain) {
  const Member member = Make(0, 0);
  const Member rival = Make(1, 0);
  shards.ActBefore(1, [&] {
    ASSERT_TRUE(OtherBinds(rival.id, key_));
    ASSERT_TRUE(OtherUnbinds(rival.id, key_.key));
  });
  const Result<Member> bound = Bind(member.id, key_);
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->version, Version(2));
  EXPECT_EQ(memory.History(member.id).size(), 2U);
  Check(true);
}

TEST_F(BindingFaultTest, WhoIsAbortedEveryTimeGivesUp) {
  const Member member = Make(0, 0);
  for (std::size_t step = 0; step < 100; ++step) {
    shards.ActBefore(step, [&] {
      const auto row = FindLookup(key_.key);
      if (!row) return;
      EXPECT_TRUE(contract::RunAndWait(memory, memory.DatabaseOf(member.id), [&](ShardTransaction& rows) {
        return rows.records().WriteOperation(row->operation_id, OperationOutcome::kAborted);
      }));
    });
  }
  EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kOverloaded);
  EXPECT_EQ(Find(member.id), member);
  Check(true);
}

TEST_F(BindingFaultTest, TwoBindsOfTheSameIdentityToOneMemberRaiseTheVersionOnce) {
  const Member member = Make(0, 0);
  shards.ActBefore(1, [&] { ASSERT_TRUE(OtherBinds(member.id, key_)); });
  const Result<Member> bound = Bind(member.id, key_);
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->version, Version(2));
  Check(true);
}

// The reservation saw that the member holds it and took nothing; by the commit it is unbound. It must not be bound
// without a reservation.
TEST_F(BindingFaultTest, WhatWasHeldAndIsUnboundMeanwhileIsReservedAfterAll) {
  const Member member = Make(0, 0, {key_});
  const Member rival = Make(1, 0);
  shards.ActBefore(2, [&] { ASSERT_TRUE(OtherUnbinds(member.id, key_.key)); });  // reserve, settle, commit
  const Result<Member> bound = Bind(member.id, key_);
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->version, Version(3));
  EXPECT_EQ(ReasonOf(OtherBinds(rival.id, key_)), Reason::kIdentityTaken);
  Check(true);
}

// By key alone, or by an operation read from the lookup row after the commit, the new binding would be freed.
TEST_F(BindingFaultTest, AFreeThatComesLateFreesNobodyElse) {
  const Member member = Make(0, 0, {key_});
  const Member rival = Make(1, 0);
  shards.ActBefore(1, [&] { ASSERT_TRUE(OtherBinds(rival.id, key_)); });
  ASSERT_TRUE(Unbind(member.id, key_.key));
  Check(true);

  ASSERT_TRUE(OtherUnbinds(rival.id, key_.key));
  ASSERT_TRUE(Bind(member.id, key_));
  shards.ActBefore(1, [&] { ASSERT_TRUE(OtherBinds(member.id, key_)); });
  ASSERT_TRUE(Unbind(member.id, key_.key));
  EXPECT_NE(FindIdentity(*Find(member.id), key_.key), nullptr);
  Check(true);
}

TEST_F(BindingFaultTest, TheSweeperSparesTheYoungAndAbortsTheOld) {
  const Member member = Make(0, 0);
  shards.ActBefore(1, [&] { EXPECT_EQ(SweepAll(), 0U); });
  ASSERT_TRUE(Bind(member.id, key_));

  ASSERT_TRUE(Unbind(member.id, key_.key));
  shards.ActBefore(1, [&] {
    clock.Advance(kOperationAgeMax + std::chrono::milliseconds(2));
    EXPECT_EQ(SweepAll(), 1U);
  });
  ASSERT_TRUE(Bind(member.id, key_)) << "it tries again under a new operation";
  Check(true);
}

// ---- age

TEST_F(BindingFaultTest, AnOperationThatGrewTooOldBeginsAnew) {
  const Member member = Make(0, 0);
  std::optional<OperationId> first;
  shards.ActBefore(1, [&] {
    first = FindLookup(key_.key)->operation_id;
    clock.Advance(kOperationAgeMax + Duration(1));
  });
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_NE(FindLookup(key_.key)->operation_id, first);
  Check(true);
}

TEST_F(BindingFaultTest, AnOperationThatIsJustNotTooOldCommits) {
  const Member member = Make(0, 0);
  std::optional<OperationId> first;
  shards.ActBefore(1, [&] {
    first = FindLookup(key_.key)->operation_id;
    clock.Advance(kOperationAgeMax);
  });
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_EQ(FindLookup(key_.key)->operation_id, first);
}

TEST_F(BindingFaultTest, AClockThatWasSetBackMakesAnOperationBeginAnew) {
  const Member member = Make(0, 0);
  std::optional<OperationId> first;
  shards.ActBefore(1, [&] {
    first = FindLookup(key_.key)->operation_id;
    clock.Advance(-Duration(1));
  });
  ASSERT_TRUE(Bind(member.id, key_));
  EXPECT_NE(FindLookup(key_.key)->operation_id, first);
  Check(true);
}

// A process sleeps between reserve and commit until its abortion is forgotten: only its age stops it.
TEST_F(BindingFaultTest, AForgottenOutcomeDoesNotLetASleeperCommit) {
  const Member member = Make(0, 0);
  const Member rival = Make(1, 0);
  shards.ActBefore(1, [&] {
    ASSERT_TRUE(OtherBinds(rival.id, key_));
    clock.Advance(kOperationRetention + Duration(1));
    for (std::uint32_t database = 0; database < 4; ++database) {
      ASSERT_TRUE(Finish(ForgetOutcomes(memory, memory.Now(database), database)));
      ASSERT_EQ(memory.CountOperations(database), 0U);
    }
  });
  EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kIdentityTaken);
  Check(true);
}

TEST_F(BindingFaultTest, TheDeadlineIsSpentBySteps) {
  const Member member = Make(0, 0);
  const Member dead = Make(1, 0);
  for (std::size_t step = 0; step < 4; ++step) {  // reserve, settle, replace, commit
    LeaveReservation(dead.id, key_);
    WriteContext context = Context();
    context.deadline = Deadline::After(clock, std::chrono::seconds(1));
    shards.ActBefore(step, [&] { clock.Advance(std::chrono::seconds(1)); });
    EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, key_, context))), Reason::kDeadlineExceeded) << "step " << step;
    shards.Disarm();
    EXPECT_EQ(Find(member.id), member);
    Check(false);
  }
}

// ---- the store fails

TEST_F(BindingFaultTest, AnOutcomeUnknownAtTheCommitIsReportedAndItsReservationLeft) {
  const Member member = Make(0, 0);
  for (const Fault fault : {Fault::kUnknownLost, Fault::kUnknownKept}) {
    shards.FailAt(1, fault);
    EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kOutcomeUnknown);
    EXPECT_EQ(FindLookup(key_.key)->member_id, member.id);
    EXPECT_EQ(FindIdentity(*Find(member.id), key_.key) != nullptr, fault == Fault::kUnknownKept);
    Check(false);
    const Result<Member> again = Bind(member.id, key_);
    ASSERT_TRUE(again) << "the same again is exact, whatever happened";
    EXPECT_EQ(again->version.value() % 2, 0);
    Check(true);
    ASSERT_TRUE(Unbind(member.id, key_.key));
  }
}

TEST_F(BindingFaultTest, AnOutcomeUnknownBeforeTheCommitHasWrittenNothing) {
  const Member member = Make(0, 0);
  const Member dead = Make(1, 0);
  for (const Fault fault : {Fault::kUnknownLost, Fault::kUnknownKept}) {
    for (std::size_t step = 0; step < 3; ++step) {
      LeaveReservation(dead.id, key_);
      shards.FailAt(step, fault);
      EXPECT_EQ(ReasonOf(Bind(member.id, key_)), Reason::kWritesUnavailable) << "step " << step;
      EXPECT_EQ(Find(member.id), member);
      const auto row = FindLookup(key_.key);
      EXPECT_TRUE(!row || row->member_id == dead.id) << "a reservation that may have been made is given back";
    }
  }
}

TEST_F(BindingFaultTest, ARefusalOfTheStoreComesThroughFromEveryStep) {
  const Member member = Make(0, 0);
  const Member dead = Make(1, 0);
  for (const auto& [fault, reason] : {std::pair{Fault::kOverloaded, Reason::kOverloaded},
                                      std::pair{Fault::kUnavailable, Reason::kWritesUnavailable}}) {
    for (std::size_t step = 0; step < 4; ++step) {
      LeaveReservation(dead.id, key_);
      shards.FailAt(step, fault);
      EXPECT_EQ(ReasonOf(Bind(member.id, key_)), reason) << "step " << step;
      EXPECT_EQ(Find(member.id), member);
      Check(false);
    }
  }
}

// ---- a crash at every step

struct Scenario {
  std::string name;
  std::function<Task<Result<Member>>(BindingWorld&)> act;
};

std::vector<Scenario> Scenarios() {
  return {
      {"register",
       [](BindingWorld& world) {
         Member member = contract::PlainMember(world.IdAt(0, 5));
         member.identities = {world.IdentityAt(0, 1), world.IdentityAt(1, 1), world.IdentityAt(3, 1)};
         return world.writer->Register(std::move(member), true, world.Context());
       }},
      {"bind",
       [](BindingWorld& world) {
         return world.writer->Bind(world.IdAt(0, 0), world.IdentityAt(1, 1), world.Context());
       }},
      {"bind over what a crash left",
       [](BindingWorld& world) {
         world.PutLookup(world.IdentityAt(1, 1).key, LookupRow{world.IdAt(3, 9), world.ids.NextOperationId()});
         return world.writer->Bind(world.IdAt(0, 0), world.IdentityAt(1, 1), world.Context());
       }},
      {"unbind",
       [](BindingWorld& world) {
         return world.writer->Unbind(world.IdAt(0, 0), world.IdentityAt(2, 0).key, world.Context());
       }},
      {"close", [](BindingWorld& world) { return world.writer->Close(world.IdAt(0, 0), world.Context()); }},
      {"refused bind",
       [](BindingWorld& world) {
         return world.writer->Bind(world.IdAt(3, 99), world.IdentityAt(1, 1), world.Context());
       }},
  };
}

// One server process dies at each step of each verb, before and after the transaction of that step. Nothing is held
// twice, another process can go on at once, and the sweeper leaves lookup rows and members in agreement.
TEST(BindingCrashTest, ACrashAtAnyStepLeavesNothingThatMatters) {
  for (const Scenario& scenario : Scenarios()) {
    for (const Fault fault : {Fault::kCrashBefore, Fault::kCrashAfter}) {
      bool crashed = true;
      for (std::size_t step = 0; crashed; ++step) {
        ASSERT_LT(step, kStepsMax);
        SCOPED_TRACE(scenario.name + (fault == Fault::kCrashBefore ? " before" : " after") + " step " +
                     std::to_string(step));
        BindingWorld world(kFour);
        world.Make(0, 0, {world.IdentityAt(2, 0), world.IdentityAt(0, 7)});
        const Member other = world.Make(2, 0);
        world.shards.FailAt(step, fault);
        (void)world.Attempt(scenario.act(world));
        crashed = world.shards.crashed();
        world.shards.Disarm();
        world.Check(false);

        // What nobody holds can be bound by another process at once.
        for (const Identity& identity : {world.IdentityAt(1, 1), world.IdentityAt(2, 0)}) {
          bool held = false;
          for (const MemberId id : {world.IdAt(0, 0), world.IdAt(0, 5)}) {
            const std::optional<Member> member = world.Find(id);
            held = held || (member && FindIdentity(*member, identity.key) != nullptr);
          }
          const Result<Member> bound = world.Finish(world.writer->Bind(other.id, identity, world.Context()));
          EXPECT_EQ(bound.has_value(), !held);
          world.Check(false);
        }

        world.clock.Advance(kOperationAgeMax + std::chrono::seconds(1));
        (void)world.SweepAll();
        world.Check(true);
      }
    }
  }
}

}  // namespace
}  // namespace muster
