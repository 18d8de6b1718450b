#include "store/holder_search.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "domain/testing/members.h"

namespace muster {
namespace {

const IdentityKey kKey = testing::MakeIdentity(1).key;

// Gives prepared rows in the order in which they are asked for, and notes what was done.
class ScriptedSource final : public HolderSource {
 public:
  struct Row {
    std::int64_t id;
    bool lists;
    std::optional<MemberId> heir = {};
  };

  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    EXPECT_EQ(key, kKey);
    steps.emplace_back("lookup");
    if (lookups.empty()) return Fail(Reason::kInternal, "lookup failed");
    const auto row = lookups.front();
    lookups.pop_front();
    return row;
  }
  Result<Owner> ReadOwner(MemberId id) override {
    steps.push_back("owner " + std::to_string(id.value()));
    if (owners.empty()) return Fail(Reason::kInternal, "owner failed");
    const std::optional<Row> owner = owners.front();
    owners.pop_front();
    if (!owner) return Owner{};
    EXPECT_EQ(owner->id, id.value());
    Member member;
    member.id = id;
    if (owner->lists) member.identities.push_back(testing::MakeIdentity(1));
    return Owner{MakeMemberDocument(member), owner->heir};
  }
  bool SharesSnapshot(const IdentityKey&, MemberId) const override { return one_snapshot; }
  void BeginAnew() override { steps.emplace_back("begin anew"); }

  std::deque<std::optional<LookupRow>> lookups;
  std::deque<std::optional<Row>> owners;
  bool one_snapshot = false;
  std::vector<std::string> steps;
};

std::optional<LookupRow> Row(std::int64_t member, std::int64_t operation) {
  return LookupRow{MemberId(member), OperationId(operation)};
}
constexpr std::nullopt_t kFree = std::nullopt;

using Steps = std::vector<std::string>;

TEST(FindHolderTest, NoLookupRowIsNobody) {
  ScriptedSource source;
  source.lookups = {kFree};
  EXPECT_FALSE(FindHolder(kKey, source).value());
  EXPECT_EQ(source.steps, Steps{"lookup"});
}

TEST(FindHolderTest, AnOwnerThatListsItIsTheHolder) {
  ScriptedSource source;
  source.lookups = {Row(5, 1)};
  source.owners = {{{5, true}}};
  EXPECT_EQ(FindHolder(kKey, source).value()->id(), MemberId(5));
  EXPECT_EQ(source.steps, (Steps{"lookup", "owner 5"}));
}

TEST(FindHolderTest, InOneSnapshotAnOwnerThatDoesNotListItIsNobody) {
  for (const bool exists : {true, false}) {
    ScriptedSource source;
    source.one_snapshot = true;
    source.lookups = {Row(5, 1)};
    if (exists) {
      source.owners = {{{5, false}}};
    } else {
      source.owners = {std::nullopt};
    }
    EXPECT_FALSE(FindHolder(kKey, source).value());
    EXPECT_EQ(source.steps, (Steps{"lookup", "owner 5"}));
  }
}

// The owner's snapshot was begun before the bind, the lookup row's after it.
TEST(FindHolderTest, AnOwnerFromBeforeTheLookupRowIsReadAgain) {
  ScriptedSource source;
  source.lookups = {Row(5, 1), Row(5, 1)};
  source.owners = {{{5, false}}, {{5, true}}};
  EXPECT_EQ(FindHolder(kKey, source).value()->id(), MemberId(5));
  EXPECT_EQ(source.steps, (Steps{"lookup", "owner 5", "begin anew", "lookup", "owner 5"}));
}

TEST(FindHolderTest, ALookupRowThatStaysWhileItsOwnerDoesNotListItIsNobody) {
  ScriptedSource source;
  source.lookups = {Row(5, 1), Row(5, 1), Row(5, 1)};
  source.owners = {{{5, false}}, std::nullopt};
  EXPECT_FALSE(FindHolder(kKey, source).value());
  EXPECT_EQ(source.steps, (Steps{"lookup", "owner 5", "begin anew", "lookup", "owner 5", "begin anew", "lookup"}));
}

TEST(FindHolderTest, AnIdentityThatMovedIsFollowed) {
  ScriptedSource source;
  source.lookups = {Row(5, 1), Row(6, 2)};
  source.owners = {{{5, false}}, {{6, true}}};
  EXPECT_EQ(FindHolder(kKey, source).value()->id(), MemberId(6));
}

TEST(FindHolderTest, AnotherOperationOfTheSameMemberIsAnotherRow) {
  ScriptedSource source;
  source.lookups = {Row(5, 1), Row(5, 1), Row(5, 2)};
  source.owners = {{{5, false}}, {{5, false}}, {{5, true}}};
  EXPECT_EQ(FindHolder(kKey, source).value()->id(), MemberId(5));
}

TEST(FindHolderTest, ALookupRowThatWasFreedIsNobody) {
  ScriptedSource source;
  source.lookups = {Row(5, 1), kFree};
  source.owners = {{{5, false}}};
  EXPECT_FALSE(FindHolder(kKey, source).value());
}

TEST(FindHolderTest, AnIdentityThatNeverRestsIsGivenUpOn) {
  ScriptedSource source;
  for (std::int64_t i = 0; i <= kHolderAttemptsMax; ++i) {
    source.lookups.push_back(Row(5 + i, i));
    source.owners.push_back(ScriptedSource::Row{5 + i, false});
  }
  const Result<MemberDocumentRef> holder = FindHolder(kKey, source);
  ASSERT_FALSE(holder);
  EXPECT_EQ(holder.error().reason, Reason::kOverloaded);
  EXPECT_GT(holder.error().retry_after_ms, 0);
}

TEST(FindHolderTest, ErrorsComeThrough) {
  ScriptedSource no_lookup;
  EXPECT_EQ(FindHolder(kKey, no_lookup).error().message, "lookup failed");
  ScriptedSource no_owner;
  no_owner.lookups = {Row(5, 1)};
  EXPECT_EQ(FindHolder(kKey, no_owner).error().message, "owner failed");
  ScriptedSource no_second_lookup;
  no_second_lookup.lookups = {Row(5, 1)};
  no_second_lookup.owners = {{{5, false}}};
  EXPECT_EQ(FindHolder(kKey, no_second_lookup).error().message, "lookup failed");
}

TEST(FindHolderTest, WhatAnOwnerGaveIsWithItsHeirWhileTheLookupRowStillNamesTheOwner) {
  ScriptedSource source;
  source.lookups = {Row(5, 1)};
  source.owners = {{{5, false, MemberId(6)}}, {{6, true}}};
  EXPECT_EQ(FindHolder(kKey, source).value()->id(), MemberId(6));
  EXPECT_EQ(source.steps, (Steps{"lookup", "owner 5", "owner 6"}));
}

TEST(FindHolderTest, AnHeirThatDoesNotListItIsNoAnswerBeforeTheSecondLook) {
  ScriptedSource source;
  source.one_snapshot = true;  // of the key and the owner; not of the heir
  source.lookups = {Row(5, 1), Row(5, 1), Row(5, 1)};
  source.owners = {{{5, false, MemberId(6)}}, {{6, false}}, {{5, false, MemberId(6)}}, {{6, false}}};
  EXPECT_FALSE(FindHolder(kKey, source).value());
  EXPECT_EQ(source.steps, (Steps{"lookup", "owner 5", "owner 6", "begin anew", "lookup", "owner 5", "owner 6",
                                 "begin anew", "lookup"}));
}

}  // namespace
}  // namespace muster
