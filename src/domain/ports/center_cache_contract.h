#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "domain/ports/center_cache.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"

namespace muster {

// The contract of CenterCache as tests, run on every engine and on the memory twin. A factory has two views of one
// center, as two processes have, both following the state that is set; epoch 1 has begun and is ON.
template <typename Factory>
concept CenterCacheFactory =
    std::default_initializable<Factory> && requires(Factory factory, const std::function<bool()>& done) {
      { factory.cache(0) } -> std::same_as<CenterCache&>;
      factory.SetState(CacheState{});
      { factory.BeginEpoch(Epoch(1)) } -> std::same_as<std::optional<bool>>;  // empty: refused
      factory.RunUntil(done);                                                 // runs the loop
      factory.LoseEverything();                                               // as a Redis that was flushed
      factory.OutlastLease();                                                 // waits for a lease given before to end
      { factory.now() } -> std::same_as<Instant>;
    };

template <CenterCacheFactory Factory>
class CenterCacheContract : public ::testing::Test {
 protected:
  static MemberDocumentRef Document(std::int64_t id, std::int64_t version,
                                    const std::vector<std::uint64_t>& holds = {}) {
    Member member = contract::PlainMember(MemberId(id), Version(version));
    for (const std::uint64_t number : holds) member.identities.push_back(testing::MakeIdentity(number));
    return MakeMemberDocument(member);
  }
  static IdentityKey KeyOf(std::uint64_t number) { return testing::MakeIdentity(number).key; }

  template <typename Answer, typename Begin>
  Answer Await(const Begin& begin) {
    std::optional<Answer> answer;
    begin([&answer](Answer got) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer.emplace(std::move(got));
    });
    factory_.RunUntil([&] { return answer.has_value(); });
    return answer.value_or(Answer{});
  }
  MemberLookup Get(std::int64_t id, int view = 0) {
    return Await<MemberLookup>([&](auto reply) { cache(view).Get(MemberId(id), Deadline(), std::move(reply)); });
  }
  HolderLookup Find(std::uint64_t number, int view = 0) {
    return Await<HolderLookup>(
        [&](auto reply) { cache(view).FindHolder(KeyOf(number), Deadline(), std::move(reply)); });
  }
  Invalidation Touch(const TouchedEntries& touched, int view = 1) {
    return Await<Invalidation>([&](auto reply) { cache(view).Invalidate(touched, Deadline(), std::move(reply)); });
  }
  Invalidation Touch(std::int64_t id, std::int64_t version) {
    return Touch({.members = {{MemberId(id), Version(version)}}});
  }
  Invalidation TouchKey(std::uint64_t number) { return Touch({.keys = {KeyOf(number)}}); }

  // Fills are not answered: an answer to what was asked after them says that they are through.
  void FillNow(int view, std::int64_t id, const MemberDocumentRef& document, FillToken token) {
    cache(view).Fill(MemberId(id), document, token);
    Settle(view);
  }
  void FillHolderNow(std::uint64_t number, std::optional<MemberId> holder, bool is_exact, FillToken token) {
    cache(0).FillHolder(KeyOf(number), holder, is_exact, token);
    Settle(0);
  }
  // A view may need a look at its engine before it uses another epoch.
  void AwaitReadable() {
    for (int view = 0; view < 2; ++view) {
      factory_.RunUntil([&] { return Get(next_unused_id_++, view).kind != LookupKind::kUnusable; });
    }
  }
  void Settle(int view) { Get(next_unused_id_++, view); }

  // A miss with a lease, and a fill with it.
  void Fill(std::int64_t id, const MemberDocumentRef& document) {
    const MemberLookup miss = Get(id);
    ASSERT_EQ(miss.kind, LookupKind::kMiss);
    ASSERT_NE(miss.token, FillToken(0));
    FillNow(0, id, document, miss.token);
  }
  void FillHolder(std::uint64_t number, std::optional<MemberId> holder, bool is_exact) {
    const HolderLookup miss = Find(number);
    ASSERT_EQ(miss.kind, LookupKind::kMiss);
    ASSERT_NE(miss.token, FillToken(0));
    FillHolderNow(number, holder, is_exact, miss.token);
  }
  void ExpectVersion(std::int64_t id, std::int64_t version) {
    for (int view = 0; view < 2; ++view) {
      const MemberLookup found = Get(id, view);
      ASSERT_EQ(found.kind, LookupKind::kHit);
      ASSERT_TRUE(found.member);
      EXPECT_EQ(found.member->version(), Version(version));
    }
  }
  void ExpectMiss(std::int64_t id, std::int64_t floor) {
    const MemberLookup found = Get(id);
    EXPECT_EQ(found.kind, LookupKind::kMiss);
    EXPECT_EQ(found.floor, Version(floor));
  }
  void ExpectUnusable() {
    EXPECT_EQ(Get(1).kind, LookupKind::kUnusable);
    EXPECT_EQ(Find(7).kind, LookupKind::kUnusable);
  }
  CenterCache& cache(int view) { return factory_.cache(view); }

  Factory factory_;
  std::int64_t next_unused_id_ = 1'000'000;
};

TYPED_TEST_SUITE_P(CenterCacheContract);

TYPED_TEST_P(CenterCacheContract, WhatOneReaderFillsAllFind) {
  this->Fill(1, this->Document(1, 3, {7, 8}));
  this->ExpectVersion(1, 3);
  const MemberDocumentRef original = this->Document(1, 3, {7, 8});
  const MemberLookup found = this->Get(1, 1);
  EXPECT_EQ(found.member->id(), MemberId(1));
  EXPECT_EQ(found.member->json(), original->json());
  EXPECT_TRUE(found.member->Holds(this->KeyOf(7)));
  std::string masked, original_masked;
  found.member->AppendMasked(masked);
  original->AppendMasked(original_masked);
  EXPECT_EQ(masked, original_masked);
  this->ExpectMiss(2, 0);
}

TYPED_TEST_P(CenterCacheContract, OneReaderAtATimeMayFill) {
  const MemberLookup first = this->Get(1);
  EXPECT_NE(first.token, FillToken(0));
  const MemberLookup second = this->Get(1, 1);
  EXPECT_EQ(second.kind, LookupKind::kMiss);
  EXPECT_EQ(second.token, FillToken(0));
  this->FillNow(1, 1, this->Document(1, 9), second.token);
  this->FillNow(1, 1, this->Document(1, 9), FillToken(first.token.value() + 1'000'000));
  EXPECT_EQ(this->Get(1, 1).kind, LookupKind::kMiss) << "a fill without the lease";
  this->FillNow(0, 1, this->Document(1, 3), first.token);
  this->ExpectVersion(1, 3);
}

TYPED_TEST_P(CenterCacheContract, ALeaseThatEndsIsGivenToAnother) {
  const MemberLookup slow = this->Get(1);
  this->factory_.OutlastLease();
  const MemberLookup quick = this->Get(1, 1);
  ASSERT_NE(quick.token, FillToken(0));
  this->FillNow(0, 1, this->Document(1, 2), slow.token);
  EXPECT_EQ(this->Get(1, 1).kind, LookupKind::kMiss) << "a lease that had ended";
  this->FillNow(1, 1, this->Document(1, 3), quick.token);
  this->ExpectVersion(1, 3);
}

TYPED_TEST_P(CenterCacheContract, AnInvalidationDropsWhatIsLowerAndLeavesAFloor) {
  this->Fill(1, this->Document(1, 3));
  EXPECT_EQ(this->Touch(1, 3).kind, InvalidationKind::kDone);
  this->ExpectVersion(1, 3);
  EXPECT_EQ(this->Touch(1, 2).kind, InvalidationKind::kDone);
  this->ExpectVersion(1, 3);
  EXPECT_EQ(this->Touch(1, 4).kind, InvalidationKind::kDone);
  this->ExpectMiss(1, 4);
  EXPECT_EQ(this->Touch(1, 2).kind, InvalidationKind::kDone);
  this->ExpectMiss(1, 4);
}

TYPED_TEST_P(CenterCacheContract, AnInvalidationVoidsTheLease) {
  const MemberLookup before = this->Get(1);
  ASSERT_NE(before.token, FillToken(0));
  this->Touch(1, 2);
  this->FillNow(0, 1, this->Document(1, 2), before.token);
  EXPECT_EQ(this->Get(1, 1).kind, LookupKind::kMiss) << "a lease from before the write";
}

TYPED_TEST_P(CenterCacheContract, AFillBelowTheFloorIsRefusedAndOneAtItTaken) {
  this->Touch(1, 5);
  this->Fill(1, this->Document(1, 4));
  this->ExpectMiss(1, 5);
  this->Touch(1, 5);  // voids the lease of that look
  this->Fill(1, {});
  this->ExpectMiss(1, 5);
  this->Touch(1, 5);
  this->Fill(1, this->Document(1, 5));
  this->ExpectVersion(1, 5);
}

TYPED_TEST_P(CenterCacheContract, WhatDoesNotExistIsKnownUntilItIsMade) {
  this->Fill(1, {});
  const MemberLookup found = this->Get(1, 1);
  EXPECT_EQ(found.kind, LookupKind::kHit);
  EXPECT_FALSE(found.member);
  this->Touch(1, 1);
  this->ExpectMiss(1, 1);
}

TYPED_TEST_P(CenterCacheContract, LargeVersionsAndNumbersKeepTheirOrder) {
  const std::int64_t large = (std::int64_t{1} << 62) + 1;
  this->Touch(INT64_MAX, large);
  this->Fill(INT64_MAX, this->Document(INT64_MAX, large - 1));
  this->ExpectMiss(INT64_MAX, large);
  this->Touch(INT64_MAX, 9);
  this->Fill(INT64_MAX, this->Document(INT64_MAX, large));
  this->ExpectVersion(INT64_MAX, large);
}

TYPED_TEST_P(CenterCacheContract, AHolderIsAHintThatItsChangeDrops) {
  this->FillHolder(7, MemberId(1), false);
  const HolderLookup found = this->Find(7, 1);
  EXPECT_EQ(found.kind, LookupKind::kHit);
  EXPECT_EQ(found.holder, MemberId(1));
  this->TouchKey(7);
  const HolderLookup missing = this->Find(7);
  EXPECT_EQ(missing.kind, LookupKind::kMiss);
  EXPECT_TRUE(missing.has_changed_lately);
  EXPECT_FALSE(this->Find(8).has_changed_lately);
}

TYPED_TEST_P(CenterCacheContract, ThatNobodyHoldsItIsTheReplicasToSayOnlyWithoutAChange) {
  this->FillHolder(7, std::nullopt, false);
  EXPECT_EQ(this->Find(7, 1).kind, LookupKind::kHit);
  EXPECT_EQ(this->Find(7, 1).holder, std::nullopt);
  this->TouchKey(7);
  this->FillHolder(7, std::nullopt, false);
  EXPECT_EQ(this->Find(7, 1).kind, LookupKind::kMiss) << "a replica's word under a floor";
  this->TouchKey(7);
  this->FillHolder(7, std::nullopt, true);
  EXPECT_EQ(this->Find(7, 1).kind, LookupKind::kHit);
  this->TouchKey(7);
  EXPECT_EQ(this->Find(7, 1).kind, LookupKind::kMiss) << "bound since";
}

TYPED_TEST_P(CenterCacheContract, AnInvalidationOfAnIdentityVoidsItsLease) {
  const HolderLookup before = this->Find(7);
  this->TouchKey(7);
  this->FillHolderNow(7, std::nullopt, true, before.token);
  EXPECT_EQ(this->Find(7, 1).kind, LookupKind::kMiss);
}

TYPED_TEST_P(CenterCacheContract, OneInvalidationTouchesMany) {
  TouchedEntries touched;
  for (std::int64_t id = 1; id <= 20; ++id) {
    this->Fill(id, this->Document(id, 1));
    this->FillHolder(static_cast<std::uint64_t>(id), MemberId(id), false);
    touched.members.emplace_back(MemberId(id), Version(2));
    touched.keys.push_back(this->KeyOf(static_cast<std::uint64_t>(id)));
  }
  EXPECT_EQ(this->Touch(touched).kind, InvalidationKind::kDone);
  for (std::int64_t id = 1; id <= 20; ++id) {
    this->ExpectMiss(id, 2);
    EXPECT_TRUE(this->Find(static_cast<std::uint64_t>(id)).has_changed_lately);
  }
  EXPECT_EQ(this->Touch(TouchedEntries{}).kind, InvalidationKind::kDone);
}

TYPED_TEST_P(CenterCacheContract, InBypassItIsLeftAlone) {
  this->Fill(1, this->Document(1, 1));
  this->factory_.SetState({.epoch = Epoch(2), .mode = CacheMode::kBypass});
  this->ExpectUnusable();
  const Invalidation left_alone = this->Touch(1, 2);
  EXPECT_EQ(left_alone.kind, InvalidationKind::kBypassed);
  EXPECT_EQ(left_alone.epoch, Epoch(2));
}

TYPED_TEST_P(CenterCacheContract, WhileItWarmsItIsInvalidatedAndNotRead) {
  this->Fill(1, this->Document(1, 1));
  this->factory_.SetState({.epoch = Epoch(3), .mode = CacheMode::kWarming});
  EXPECT_EQ(this->Touch(1, 2).kind, InvalidationKind::kLost) << "not begun yet";
  EXPECT_EQ(this->factory_.BeginEpoch(Epoch(3)), true);
  this->ExpectUnusable();
  EXPECT_EQ(this->Touch(1, 2).kind, InvalidationKind::kDone);
  EXPECT_EQ(this->factory_.BeginEpoch(Epoch(3)), false) << "its floors stay";
  this->factory_.SetState({.epoch = Epoch(3), .mode = CacheMode::kOn});
  this->AwaitReadable();
  this->ExpectMiss(1, 2);
}

TYPED_TEST_P(CenterCacheContract, ANewEpochFindsNothingOfTheLast) {
  this->Fill(1, this->Document(1, 1));
  this->Touch(2, 5);
  const MemberLookup leased = this->Get(3);
  this->factory_.SetState({.epoch = Epoch(2), .mode = CacheMode::kOn});
  this->ExpectUnusable();
  EXPECT_EQ(this->factory_.BeginEpoch(Epoch(2)), true);
  this->AwaitReadable();
  this->ExpectMiss(1, 0);
  this->ExpectMiss(2, 0);
  this->FillNow(0, 3, this->Document(3, 1), leased.token);
  EXPECT_EQ(this->Get(3, 1).kind, LookupKind::kMiss);
  EXPECT_EQ(this->factory_.BeginEpoch(Epoch(1)), std::nullopt);
  this->factory_.SetState({.epoch = Epoch(1), .mode = CacheMode::kOn});
  EXPECT_EQ(this->Touch(1, 9).kind, InvalidationKind::kLost) << "a writer that is behind";
  this->ExpectUnusable();
}

TYPED_TEST_P(CenterCacheContract, WhatHasLostEverythingIsNotBelieved) {
  this->Fill(1, this->Document(1, 1));
  const MemberLookup leased = this->Get(2);
  this->factory_.LoseEverything();
  this->ExpectUnusable();
  this->FillNow(0, 2, this->Document(2, 1), leased.token);
  this->ExpectUnusable();
  EXPECT_EQ(this->Touch(1, 2).kind, InvalidationKind::kLost);
  EXPECT_EQ(this->factory_.BeginEpoch(Epoch(2)), true);
  this->factory_.SetState({.epoch = Epoch(2), .mode = CacheMode::kOn});
  this->AwaitReadable();
  this->ExpectMiss(1, 0);
  this->ExpectMiss(2, 0);
}

TYPED_TEST_P(CenterCacheContract, AProcessThatHasNotHeardOfTheTopologyDoesNotRead) {
  this->Fill(1, this->Document(1, 1));
  this->factory_.SetState({.epoch = Epoch(1), .mode = CacheMode::kOn, .valid_until = this->factory_.now()});
  this->ExpectUnusable();
  this->factory_.SetState({.epoch = Epoch(1), .mode = CacheMode::kOn});
  this->ExpectVersion(1, 1);
}

REGISTER_TYPED_TEST_SUITE_P(CenterCacheContract, WhatOneReaderFillsAllFind, OneReaderAtATimeMayFill,
                            ALeaseThatEndsIsGivenToAnother, AnInvalidationDropsWhatIsLowerAndLeavesAFloor,
                            AnInvalidationVoidsTheLease, AFillBelowTheFloorIsRefusedAndOneAtItTaken,
                            WhatDoesNotExistIsKnownUntilItIsMade, LargeVersionsAndNumbersKeepTheirOrder,
                            AHolderIsAHintThatItsChangeDrops, ThatNobodyHoldsItIsTheReplicasToSayOnlyWithoutAChange,
                            AnInvalidationOfAnIdentityVoidsItsLease, OneInvalidationTouchesMany, InBypassItIsLeftAlone,
                            WhileItWarmsItIsInvalidatedAndNotRead, ANewEpochFindsNothingOfTheLast,
                            WhatHasLostEverythingIsNotBelieved, AProcessThatHasNotHeardOfTheTopologyDoesNotRead);

}  // namespace muster
