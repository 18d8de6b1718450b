#include "store/binding_steps.h"

#include <gtest/gtest.h>

#include "store/binding_fixture.h"

namespace muster {
namespace {

// Each step alone, in one database.
class BindingStepsTest : public ::testing::Test, public BindingWorld {
 protected:
  BindingStepsTest() : BindingWorld({1, MemoryShardStore::Runs::kOnce}) {}

  template <typename Step>
  auto In(Step step) {
    std::optional<decltype(step(std::declval<ShardTransaction&>()))> answer;
    EXPECT_TRUE(contract::RunAndWait(memory, 0, [&](ShardTransaction& rows) -> Result<void> {
      answer.emplace(step(rows));
      return {};
    }));
    EXPECT_TRUE(answer->has_value());
    return std::move(**answer);
  }
  std::optional<LookupRow> ReserveIt(const LookupRow& claim) {
    return In([&](ShardTransaction& rows) { return Reserve(rows, key_, claim); });
  }
  std::optional<Member> SettleIt(const LookupRow& row) {
    return In([&](ShardTransaction& rows) { return Settle(rows, key_, row); });
  }
  bool ReplaceIt(const LookupRow& expected, std::optional<LookupRow> next) {
    return In([&](ShardTransaction& rows) { return Replace(rows, key_, expected, next); });
  }
  bool MayCommitIt(const Operation& operation) {
    return In([&](ShardTransaction& rows) { return MayCommit(rows, memory, operation); });
  }

  const IdentityKey key_ = contract::KeyIn(memory, 0, 0);
  const LookupRow mine_{MemberId(1), OperationId(10)};
  const LookupRow theirs_{MemberId(2), OperationId(20)};
};

TEST_F(BindingStepsTest, ReserveTakesWhatIsFreeAndItsOwnAndNothingElse) {
  EXPECT_EQ(ReserveIt(mine_), std::nullopt);
  EXPECT_EQ(FindLookup(key_), mine_);
  EXPECT_EQ(ReserveIt(mine_), std::nullopt);
  EXPECT_EQ(ReserveIt(theirs_), mine_);
  EXPECT_EQ(ReserveIt({mine_.member_id, OperationId(11)}), mine_)
      << "another operation of the same member is another claim";
  EXPECT_EQ(FindLookup(key_), mine_);
}

TEST_F(BindingStepsTest, SettleAnswersWhoHoldsItAndRecordsNothing) {
  Identity identity = IdentityAt(0, 0);
  const Member member = Make(0, 0, {identity});
  EXPECT_EQ(SettleIt({member.id, OperationId(10)}), member);
  EXPECT_EQ(FindOutcome(member.id, OperationId(10)), std::nullopt);
}

TEST_F(BindingStepsTest, SettleAbortsWhatDoesNotHoldIt) {
  const Member member = Make(0, 0);
  EXPECT_EQ(SettleIt({member.id, OperationId(10)}), std::nullopt);
  EXPECT_EQ(FindOutcome(member.id, OperationId(10)), OperationOutcome::kAborted);
  EXPECT_EQ(SettleIt({MemberId(77), OperationId(11)}), std::nullopt) << "no such member";
  EXPECT_EQ(FindOutcome(MemberId(77), OperationId(11)), OperationOutcome::kAborted);
}

TEST_F(BindingStepsTest, SettleKeepsAnOutcome) {
  const Member member = Make(0, 0);
  In([&](ShardTransaction& rows) -> Result<bool> {
    MUSTER_TRY(rows.records().WriteOperation(OperationId(10), OperationOutcome::kCommitted));
    return true;
  });
  EXPECT_EQ(SettleIt({member.id, OperationId(10)}), std::nullopt);
  EXPECT_EQ(FindOutcome(member.id, OperationId(10)), OperationOutcome::kCommitted);
}

TEST_F(BindingStepsTest, ReplaceComparesMemberAndOperation) {
  EXPECT_FALSE(ReplaceIt(mine_, theirs_)) << "it is free";
  PutLookup(key_, mine_);
  EXPECT_FALSE(ReplaceIt(theirs_, std::nullopt));
  EXPECT_FALSE(ReplaceIt({mine_.member_id, OperationId(11)}, std::nullopt));
  EXPECT_FALSE(ReplaceIt({MemberId(3), mine_.operation_id}, std::nullopt));
  EXPECT_EQ(FindLookup(key_), mine_);
  EXPECT_TRUE(ReplaceIt(mine_, theirs_));
  EXPECT_EQ(FindLookup(key_), theirs_);
  EXPECT_TRUE(ReplaceIt(theirs_, std::nullopt));
  EXPECT_EQ(FindLookup(key_), std::nullopt);
}

TEST_F(BindingStepsTest, AnOperationWithAnOutcomeMayNotCommit) {
  for (const OperationOutcome outcome : {OperationOutcome::kAborted, OperationOutcome::kCommitted}) {
    const Operation operation{ids.NextOperationId(), MemberId(1), clock.Now()};
    EXPECT_TRUE(MayCommitIt(operation));
    In([&](ShardTransaction& rows) -> Result<bool> {
      MUSTER_TRY(rows.records().WriteOperation(operation.id, outcome));
      return true;
    });
    EXPECT_FALSE(MayCommitIt(operation));
  }
}

TEST_F(BindingStepsTest, AnOperationMayCommitWhileItIsYoung) {
  const auto aged = [&](Duration age) { return Operation{OperationId(1), MemberId(1), clock.Now() - age}; };
  EXPECT_TRUE(MayCommitIt(aged(Duration(0))));
  EXPECT_TRUE(MayCommitIt(aged(kOperationAgeMax)));
  EXPECT_FALSE(MayCommitIt(aged(kOperationAgeMax + Duration(1))));
  EXPECT_FALSE(MayCommitIt(aged(Duration(-1)))) << "the clock was set back";
}

TEST_F(BindingStepsTest, AnOutcomeIsKeptForLongerThanAnOperationLives) {
  static_assert(kOperationRetention > kOperationAgeMax);
}

TEST_F(BindingStepsTest, CommitSaysWhatTheMemberGaveUp) {
  const Member member = Make(0, 0, {IdentityAt(0, 0), IdentityAt(0, 1)});
  const Edit swap{ChangeType::kUpdated, {"city"}, [&](Member& edited, Timestamp now) -> Result<bool> {
                    edited.version = Version(2);
                    edited.update_time = now;
                    edited.identities[0] = IdentityAt(0, 2);
                    edited.city = "Harbin";
                    return true;
                  }};
  const Commitment commitment =
      In([&](ShardTransaction& rows) { return Commit(rows, member.id, swap, Context(), clock.Now()); });
  ASSERT_EQ(commitment.freed.size(), 1U);
  EXPECT_EQ(commitment.freed[0], member.identities[0]);
  const Change change = memory.History(member.id).back();
  EXPECT_EQ(change.version, Version(2));
  EXPECT_EQ(change.fields, std::vector<std::string>{"city"});
  ASSERT_EQ(change.identities.size(), 2U);
  EXPECT_EQ(change.identities[0].key, IdentityAt(0, 0).key);
  EXPECT_EQ(change.identities[1].key, IdentityAt(0, 2).key);
}

}  // namespace
}  // namespace muster
