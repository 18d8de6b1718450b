#include "store/binding.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "store/binding_fixture.h"

namespace muster {
namespace {

// The verbs as callers see them, whatever the number of databases.
class BindingTest : public ::testing::TestWithParam<Shape>, public BindingWorld {
 protected:
  BindingTest() : BindingWorld(GetParam()) {}
  std::uint32_t last() const { return memory.database_count() - 1; }
  // An identity that lives in another database than database 0, when there is one.
  Identity Far(std::uint32_t index) const { return IdentityAt(last(), index); }
  Identity Near(std::uint32_t index) const { return IdentityAt(0, 100 + index); }

  Result<Member> Register(Member member, WriteContext context) {
    return Finish(writer->Register(std::move(member), false, std::move(context)));
  }
  Result<Member> Import(Member member, WriteContext context) {
    return Finish(writer->Register(std::move(member), true, std::move(context)));
  }
  Result<Member> Bind(MemberId id, const Identity& identity) { return Finish(writer->Bind(id, identity, Context())); }
  Result<Member> Unbind(MemberId id, const IdentityKey& key) { return Finish(writer->Unbind(id, key, Context())); }
  Result<Member> Close(MemberId id) { return Finish(writer->Close(id, Context())); }
  WriteContext By(std::int64_t operation) const {
    WriteContext context = Context();
    context.operation_id = OperationId(operation);
    return context;
  }
};

INSTANTIATE_TEST_SUITE_P(Databases, BindingTest,
                         ::testing::Values(Shape{1, MemoryShardStore::Runs::kOnce},
                                           Shape{1, MemoryShardStore::Runs::kTwice},
                                           Shape{4, MemoryShardStore::Runs::kOnce},
                                           Shape{4, MemoryShardStore::Runs::kTwice}),
                         [](const auto& shape) {
                           return std::to_string(shape.param.databases) +
                                  (shape.param.runs == MemoryShardStore::Runs::kTwice ? "Twice" : "Once");
                         });

TEST_P(BindingTest, RegisterMakesTheMemberItsLookupsAndItsHistory) {
  Member wanted;
  wanted.display_name = "Li Lei";
  wanted.version = Version(77);
  wanted.state = MemberState::kClosed;
  wanted.merged_into = MemberId(5);
  wanted.identities = {Far(1), Near(1), Far(0)};
  const Result<Member> made = Register(wanted, Context());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_GT(made->id, MemberId(0));
  EXPECT_EQ(made->version, Version(1)) << "only an import keeps it";
  EXPECT_EQ(made->state, MemberState::kActive);
  EXPECT_EQ(made->merged_into, MemberId(0));
  EXPECT_EQ(made->create_time, clock.Now());
  EXPECT_EQ(made->update_time, clock.Now());
  EXPECT_NE(made->created_by, OperationId(0));
  ASSERT_EQ(made->identities.size(), 3U);
  for (std::size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(made->identities[index].key, wanted.identities[index].key) << "the order is the caller's";
    EXPECT_EQ(made->identities[index].bind_time, clock.Now());
    EXPECT_NE(made->identities[index].bound_by, OperationId(0));
  }
  EXPECT_EQ(Find(made->id), *made);

  const std::vector<Change> history = memory.History(made->id);
  ASSERT_EQ(history.size(), 1U);
  EXPECT_EQ(history[0].type, ChangeType::kRegistered);
  EXPECT_EQ(history[0].caller, "test");
  EXPECT_EQ(history[0].request_id, "request");
  EXPECT_EQ(history[0].identities.size(), 3U);
  EXPECT_EQ(history[0].identities[0], (Change::IdentityRef{"account", "app", wanted.identities[0].key}));
  Check(true);
}

TEST_P(BindingTest, OneTransactionNeedsNoOperationRow) {
  Make(0, 0, {IdentityAt(0, 0), IdentityAt(0, 1)});
  EXPECT_EQ(memory.CountOperations(0), 0U);
  EXPECT_EQ(shards.runs(), 1U) << "all rows live in one database";
  ASSERT_TRUE(Bind(IdAt(0, 0), Far(5)));
  EXPECT_EQ(memory.CountOperations(0), last() == 0 ? 0U : 1U);
  Check(true);
}

// ---- register

TEST_P(BindingTest, AnImportKeepsWhatItBrings) {
  Member wanted = contract::PlainMember(IdAt(last(), 0), Version(9));
  wanted.state = MemberState::kFrozen;
  wanted.create_time = Timestamp(std::chrono::seconds(1));
  wanted.update_time = Timestamp(std::chrono::seconds(2));
  wanted.identities = {Near(0)};
  wanted.identities[0].bind_time = Timestamp(std::chrono::seconds(3));
  wanted.identities[0].state = IdentityState::kQuarantined;
  const Result<Member> made = Import(wanted, By(17));
  ASSERT_TRUE(made) << made.error().message;
  wanted.created_by = OperationId(17);
  wanted.identities[0].bound_by = made->identities[0].bound_by;
  EXPECT_EQ(*made, wanted);
  ASSERT_EQ(memory.History(made->id).size(), 1U);
  EXPECT_EQ(memory.History(made->id)[0].type, ChangeType::kImported);
  EXPECT_EQ(memory.History(made->id)[0].version, Version(9));
  Check(true);
}

TEST_P(BindingTest, AMemberMayHoldNothing) {
  const Result<Member> made = Register(Member{}, Context());
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->identities.empty());
  Check(true);
}

TEST_P(BindingTest, RegisterRefusesATakenIdentityAndLeavesNothing) {
  Make(0, 0, {Far(1)});
  Member wanted;
  wanted.identities = {Near(3), Far(2), Far(1), Near(4)};
  const Result<Member> refused = Register(wanted, Context());
  ASSERT_EQ(ReasonOf(refused), Reason::kIdentityTaken);
  ASSERT_EQ(refused.error().violations.size(), 1U);
  EXPECT_EQ(refused.error().violations[0].field, "identities[2]");
  Check(true);
  EXPECT_TRUE(Bind(Make(last(), 9).id, Near(3)));
}

TEST_P(BindingTest, RegisterRefusesWhatBreaksTheRules) {
  Member twice;
  twice.identities = {Near(0), Near(0)};
  EXPECT_EQ(ReasonOf(Register(twice, Context())), Reason::kInvalidArgument);
  Member unknown;
  unknown.identities = {IdentityAt(0, 0, "telepathy")};
  EXPECT_EQ(ReasonOf(Register(unknown, Context())), Reason::kInvalidArgument);
  Member many;
  for (std::uint32_t index = 0; index < 4; ++index) many.identities.push_back(IdentityAt(0, index, "phone"));
  EXPECT_EQ(ReasonOf(Register(many, Context())), Reason::kLimitExceeded);
  EXPECT_EQ(ReasonOf(Register(contract::PlainMember(MemberId(-1)), Context())), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonOf(Import(contract::PlainMember(MemberId(1), Version(0)), Context())), Reason::kInvalidArgument);
  EXPECT_EQ(shards.runs(), 0U) << "what can be refused without the store is";
}

TEST_P(BindingTest, AnIdThatExistsIsRefused) {
  Make(last(), 0, {Far(0)});
  Member again = contract::PlainMember(IdAt(last(), 0));
  EXPECT_EQ(ReasonOf(Import(again, Context())), Reason::kMemberExists);
  EXPECT_EQ(ReasonOf(Import(again, By(5))), Reason::kMemberExists);
  again.identities = {Near(0)};
  EXPECT_EQ(ReasonOf(Import(again, Context())), Reason::kMemberExists);
  again.identities = {Far(0)};
  EXPECT_EQ(ReasonOf(Import(again, Context())), Reason::kMemberExists) << "its own identity is not somebody else's";
  Make(0, 1, {Near(7)});
  again.identities = {Near(7)};
  EXPECT_EQ(ReasonOf(Import(again, Context())), Reason::kMemberExists) << "said before IDENTITY_TAKEN";
  Check(true);
}

TEST_P(BindingTest, TheSameImportAgainFindsWhatItMade) {
  Member wanted = contract::PlainMember(IdAt(last(), 0));
  wanted.identities = {Near(0), Far(0)};
  const Result<Member> first = Import(wanted, By(17));
  ASSERT_TRUE(first);
  const Result<Member> second = Import(wanted, By(17));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(*second, *first);
  Check(true);

  // What happened to the member since does not make the import fail, nor is it undone.
  ASSERT_TRUE(Unbind(first->id, Near(0).key));
  const Result<Member> third = Import(wanted, By(17));
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_EQ(third->version, Version(2));
  Make(0, 5, {Near(0)});
  EXPECT_TRUE(Import(wanted, By(17))) << "its identity is another member's now";
  EXPECT_EQ(ReasonOf(Import(wanted, By(18))), Reason::kMemberExists);
  EXPECT_EQ(memory.History(first->id).size(), 2U);
  Check(true);
}

TEST_P(BindingTest, TheSameRegistrationAgainFindsTheMemberByItsIdentity) {
  Member wanted;
  wanted.identities = {Near(0), Far(0)};
  const Result<Member> first = Register(wanted, By(17));
  ASSERT_TRUE(first);
  const Result<Member> second = Register(wanted, By(17));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(ReasonOf(Register(wanted, By(18))), Reason::kIdentityTaken);
  Check(true);
}

TEST_P(BindingTest, AnImportTellsWhetherItsLineWasIn) {
  Member wanted = contract::PlainMember(IdAt(0, 0));
  wanted.identities = {Near(0), Far(0)};
  const auto import = [&](std::int64_t operation) { return Finish(writer->Import(wanted, By(operation))); };
  Result<ImportedMember> imported = import(17);
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_FALSE(imported->was_in);
  EXPECT_EQ(imported->member.created_by, OperationId(17));
  imported = import(17);
  ASSERT_TRUE(imported);
  EXPECT_TRUE(imported->was_in);
  ASSERT_TRUE(Finish(writer->Unbind(wanted.id, Near(0).key, Context())));
  imported = import(17);
  ASSERT_TRUE(imported);
  EXPECT_TRUE(imported->was_in) << "whatever became of it since";
  EXPECT_EQ(imported->member.version, Version(2));
  EXPECT_EQ(ReasonOf(import(18)), Reason::kMemberExists);

  // One of its identities belongs to somebody else by now.
  Member other = contract::PlainMember(IdAt(0, 1));
  other.identities = {Near(0)};
  ASSERT_TRUE(Import(other, By(19)));
  imported = import(17);
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_TRUE(imported->was_in);
  EXPECT_EQ(imported->member.id, wanted.id);
  Check(true);
}

TEST_P(BindingTest, AnAllocatedIdThatIsTakenIsReplacedByAnother) {
  IdAllocator same(clock, 1, 0);
  std::vector<MemberId> first;
  for (int count = 0; count < 4; ++count) first.push_back(same.NextMemberId());
  for (MemberId id : first) ASSERT_TRUE(Import(contract::PlainMember(id), By(id.value())));

  IdAllocator again(clock, 1, 0);
  const auto other =
      MakeBindingWriter({.shards = &shards, .catalog = &catalog, .ids = &again, .clock = &clock, .timer = &timer});
  Member wanted;
  wanted.identities = {Near(0), Far(0)};
  const Result<Member> made = Finish(other->Register(wanted, false, Context()));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(std::ranges::find(first, made->id), first.end());
  Check(true);
}

TEST_P(BindingTest, AnAllocatorThatOnlyRepeatsItselfIsGivenUp) {
  IdAllocator same(clock, 1, 0);
  for (int count = 0; count < 100; ++count) {
    const MemberId id = same.NextMemberId();
    ASSERT_TRUE(Import(contract::PlainMember(id), By(id.value())));
  }
  IdAllocator again(clock, 1, 0);
  const auto other =
      MakeBindingWriter({.shards = &shards, .catalog = &catalog, .ids = &again, .clock = &clock, .timer = &timer});
  Member wanted;
  wanted.identities = {Near(0), Far(0)};
  EXPECT_EQ(ReasonOf(Finish(other->Register(wanted, false, Context()))), Reason::kOverloaded);
  Check(true);
}

// ---- bind

TEST_P(BindingTest, BindAddsTheIdentity) {
  const Member member = Make(0, 0);
  for (const Identity& identity : {Near(0), Far(0)}) {
    clock.Advance(std::chrono::seconds(1));
    const Result<Member> bound = Bind(member.id, identity);
    ASSERT_TRUE(bound) << bound.error().message;
    EXPECT_EQ(bound->identities.back().key, identity.key);
    EXPECT_EQ(bound->identities.back().bind_time, clock.Now());
    EXPECT_EQ(bound->update_time, clock.Now());
    EXPECT_EQ(Find(member.id), *bound);
  }
  EXPECT_EQ(Find(member.id)->version, Version(3));
  EXPECT_EQ(memory.History(member.id).back().type, ChangeType::kIdentityBound);
  EXPECT_EQ(memory.History(member.id).back().identities.size(), 1U);
  Check(true);
}

TEST_P(BindingTest, BindingWhatIsHeldChangesNothing) {
  const Member member = Make(0, 0, {Near(0), Far(0)});
  for (const Identity& identity : {Near(0), Far(0)}) {
    const Result<Member> again = Bind(member.id, identity);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, member);
  }
  EXPECT_EQ(memory.History(member.id).size(), 1U);
  Check(true);
}

TEST_P(BindingTest, BindingWhatIsHeldUnverifiedVerifiesIt) {
  const Member member = Make(0, 0, {Near(0), Far(0)});
  std::int64_t version = 1;
  for (Identity identity : {Near(0), Far(0)}) {
    identity.verified = true;
    const Result<Member> raised = Bind(member.id, identity);
    ASSERT_TRUE(raised) << raised.error().message;
    EXPECT_EQ(raised->version, Version(++version));
    EXPECT_TRUE(FindIdentity(*raised, identity.key)->verified);
    EXPECT_EQ(FindIdentity(*raised, identity.key)->bound_by, FindIdentity(member, identity.key)->bound_by);
    EXPECT_EQ(Find(member.id), *raised);

    const std::vector<Change> history = memory.History(member.id);
    ASSERT_EQ(history.size(), static_cast<std::size_t>(version));
    EXPECT_EQ(history.back().type, ChangeType::kUpdated);
    EXPECT_EQ(history.back().version, raised->version);
    EXPECT_EQ(history.back().fields, std::vector<std::string>{"identities"});
    ASSERT_EQ(history.back().identities.size(), 1U);
    EXPECT_EQ(history.back().identities[0].key, identity.key);

    EXPECT_EQ(Bind(member.id, identity), *raised);
    identity.verified = false;
    EXPECT_EQ(Bind(member.id, identity), *raised) << "it is not lowered";
  }
  EXPECT_EQ(memory.History(member.id).size(), 3U);
  Check(true);
}

TEST_P(BindingTest, VerifyingHonoursIfMatchAndTheState) {
  const Member member = Make(0, 0, {Near(0), Far(0)});
  WriteContext stale = Context();
  stale.expected_version = Version(5);
  for (Identity identity : {Near(0), Far(0)}) {
    identity.verified = true;
    EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, identity, stale))), Reason::kVersionMismatch);
  }
  MemberPatch freeze{.fields = {"state"}, .values = {}};
  freeze.values.state = MemberState::kFrozen;
  const Result<Member> frozen = Finish(writer->Update(member.id, freeze, Context()));
  for (Identity identity : {Near(0), Far(0)}) {
    identity.verified = true;
    EXPECT_EQ(ReasonOf(Bind(member.id, identity)), Reason::kStateConflict);
  }
  EXPECT_EQ(Find(member.id), *frozen);
  Check(true);
}

TEST_P(BindingTest, BindingWhatIsHeldRepairsAMissingLookup) {
  const Member member = Make(0, 0, {Near(0), Far(0)});
  const Member stranger = Make(last(), 1);
  for (const Identity& identity : {Near(0), Far(0)}) {
    PutLookup(identity.key, std::nullopt);
    ASSERT_TRUE(Bind(member.id, identity));
    Check(true);
    PutLookup(identity.key, LookupRow{stranger.id, OperationId(1)});
    ASSERT_TRUE(Bind(member.id, identity));
    Check(true);
  }
  EXPECT_EQ(Find(member.id), member) << "the version stays";
}

TEST_P(BindingTest, BindRefusesWhatAnotherHolds) {
  const Member holder = Make(last(), 0, {Near(0), Far(0)});
  const Member other = Make(0, 1);
  for (const Identity& identity : {Near(0), Far(0)}) {
    EXPECT_EQ(ReasonOf(Bind(other.id, identity)), Reason::kIdentityTaken);
  }
  EXPECT_EQ(Find(other.id), other);
  EXPECT_EQ(Find(holder.id), holder);
  Check(true);
}

TEST_P(BindingTest, BindRefusesByStateVersionAndLimitAndGivesItsReservationBack) {
  const Member closed = Make(0, 0);
  ASSERT_TRUE(Close(closed.id));
  Member merged = contract::PlainMember(IdAt(0, 1));
  merged.state = MemberState::kMerged;
  merged.merged_into = MemberId(1234);
  ASSERT_TRUE(Import(merged, Context()));
  const Member full =
      Make(0, 2, {IdentityAt(0, 0, "phone"), IdentityAt(0, 1, "phone"), IdentityAt(last(), 2, "phone")});
  WriteContext stale = Context();
  stale.expected_version = Version(5);
  for (const Identity& identity : {Near(0), Far(7)}) {
    EXPECT_EQ(ReasonOf(Bind(IdAt(0, 3), identity)), Reason::kMemberNotFound);
    EXPECT_EQ(ReasonOf(Bind(closed.id, identity)), Reason::kStateConflict);
    EXPECT_EQ(ReasonOf(Bind(merged.id, identity)), Reason::kStateConflict);
    EXPECT_EQ(ReasonOf(Finish(writer->Bind(full.id, identity, stale))), Reason::kVersionMismatch);
  }
  EXPECT_EQ(ReasonOf(Bind(full.id, IdentityAt(last(), 9, "phone"))), Reason::kLimitExceeded);
  Check(true);
}

TEST_P(BindingTest, IfMatchIsHonoured) {
  const Member member = Make(0, 0);
  WriteContext context = Context();
  context.expected_version = Version(1);
  ASSERT_TRUE(Finish(writer->Bind(member.id, Far(0), context)));
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, Far(1), context))), Reason::kVersionMismatch);
  EXPECT_EQ(ReasonOf(Finish(writer->Unbind(member.id, Far(0).key, context))), Reason::kVersionMismatch);
  EXPECT_EQ(ReasonOf(Finish(writer->Close(member.id, context))), Reason::kVersionMismatch);
  EXPECT_EQ(ReasonOf(Finish(writer->Update(member.id, {.fields = {"city"}, .values = {}}, context))),
            Reason::kVersionMismatch);
  Check(true);
}

// ---- unbind, close, update

TEST_P(BindingTest, UnbindFreesTheIdentityForOthers) {
  const Member member = Make(0, 0, {Near(0), Far(0)});
  const Member other = Make(last(), 1);
  for (const Identity& identity : {Near(0), Far(0)}) {
    const Result<Member> unbound = Unbind(member.id, identity.key);
    ASSERT_TRUE(unbound);
    EXPECT_EQ(FindIdentity(*unbound, identity.key), nullptr);
    EXPECT_EQ(FindLookup(identity.key), std::nullopt);
    EXPECT_EQ(ReasonOf(Unbind(member.id, identity.key)), Reason::kIdentityNotFound);
    ASSERT_TRUE(Bind(other.id, identity));
    EXPECT_EQ(ReasonOf(Bind(member.id, identity)), Reason::kIdentityTaken);
  }
  EXPECT_EQ(memory.History(member.id).back().type, ChangeType::kIdentityUnbound);
  EXPECT_EQ(memory.History(member.id).back().identities.size(), 1U);
  EXPECT_EQ(ReasonOf(Unbind(IdAt(0, 3), Near(0).key)), Reason::kMemberNotFound);
  Check(true);
}

TEST_P(BindingTest, CloseFreesEveryIdentityAndIsFinal) {
  const Member member = Make(0, 0, {Near(0), Far(0), Far(1)});
  const Result<Member> closed = Close(member.id);
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->state, MemberState::kClosed);
  EXPECT_TRUE(closed->identities.empty());
  EXPECT_EQ(memory.History(member.id).back().type, ChangeType::kClosed);
  EXPECT_EQ(memory.History(member.id).back().identities.size(), 3U);
  const Result<Member> again = Close(member.id);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *closed) << "closing a closed member changes nothing";
  EXPECT_EQ(ReasonOf(Unbind(member.id, Near(0).key)), Reason::kStateConflict);
  EXPECT_EQ(ReasonOf(Close(IdAt(0, 3))), Reason::kMemberNotFound);
  Check(true);
  for (const Identity& identity : {Near(0), Far(0), Far(1)}) EXPECT_EQ(FindLookup(identity.key), std::nullopt);
}

TEST_P(BindingTest, UpdateChangesFieldsAndKeepsTheRest) {
  const Member member = Make(last(), 0, {Near(0)});
  MemberPatch patch{.fields = {"displayName", "city", "tier", "tags"}, .values = {}};
  patch.values.city = "Harbin";
  patch.values.tags = {"frequent"};
  patch.values.real_name = Pii<std::string>("not named, not changed");
  clock.Advance(std::chrono::seconds(1));
  const Result<Member> updated = Finish(writer->Update(member.id, patch, Context()));
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->city, "Harbin");
  EXPECT_EQ(updated->real_name.Reveal(), "");
  EXPECT_EQ(updated->version, Version(2));
  EXPECT_EQ(updated->identities, member.identities);
  EXPECT_EQ(memory.History(member.id).back().fields, (std::vector<std::string>{"city", "tags"}));
  EXPECT_TRUE(memory.History(member.id).back().identities.empty());
  const Result<Member> same = Finish(writer->Update(member.id, patch, Context()));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->version, Version(2)) << "nothing to change";
  EXPECT_EQ(ReasonOf(Finish(writer->Update(IdAt(0, 3), patch, Context()))), Reason::kMemberNotFound);
}

TEST_P(BindingTest, APassedDeadlineWritesNothing) {
  const Member member = Make(0, 0, {Near(0)});
  const std::size_t before = shards.runs();
  WriteContext context = Context();
  context.deadline = Deadline::After(clock, std::chrono::seconds(1));
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(ReasonOf(Finish(writer->Register(Member{}, false, context))), Reason::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, Far(0), context))), Reason::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(Finish(writer->Unbind(member.id, Near(0).key, context))), Reason::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(Finish(writer->Close(member.id, context))), Reason::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(Finish(writer->Update(member.id, {.fields = {"city"}, .values = {}}, context))),
            Reason::kDeadlineExceeded);
  EXPECT_EQ(Find(member.id), member);
  EXPECT_LE(shards.runs(), before + 3) << "only what is released may still ask the store";
  Check(true);
}

}  // namespace
}  // namespace muster
