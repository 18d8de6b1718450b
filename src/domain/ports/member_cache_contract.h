#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <concepts>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "domain/ports/member_cache.h"

namespace muster {

// The contract of MemberCache as tests, run on every engine:
//
//   struct MyCache { MyCache(const CommitFloor& floor); MemberCache& cache(); };   // empty, with room for 1,000
//   documents INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, MemberCacheContract, MyCache);
//
// With that room an engine is expected to remember what these tests put in: they hold a few documents at a time.
template <typename Factory>
concept MemberCacheFactory = std::constructible_from<Factory, const CommitFloor&> && requires(Factory factory) {
  { factory.cache() } -> std::same_as<MemberCache&>;
};

template <MemberCacheFactory Factory>
class MemberCacheContract : public ::testing::Test {
 protected:
  static IdentityKey KeyOf(std::uint64_t number) {
    IdentityKey key;
    for (std::size_t i = 0; i < 8; ++i) {
      key.bytes[i] = static_cast<std::uint8_t>(Mix64(number) >> (8 * i));
      key.bytes[8 + i] = static_cast<std::uint8_t>(Mix64(~number) >> (8 * i));
    }
    return key;
  }

  static MemberDocumentRef Document(std::int64_t id, std::int64_t version,
                                    const std::vector<std::uint64_t>& keys = {}) {
    Member member;
    member.id = MemberId(id);
    member.version = Version(version);
    member.display_name = "member " + std::to_string(id) + " at " + std::to_string(version);
    for (const std::uint64_t number : keys) {
      Identity identity;
      identity.kind = "account";
      identity.platform = "shop";
      identity.value = Pii("value " + std::to_string(number));
      identity.key = KeyOf(number);
      member.identities.push_back(std::move(identity));
    }
    return MakeMemberDocument(member);
  }

  // What a writer does around a commit.
  void Commit(std::vector<MemberId> members, std::vector<IdentityKey> keys = {}) {
    floor_.Begin(members, keys);
    cache().Erase(members, keys);
    floor_.End(members, keys);
  }

  MemberCache& cache() { return factory_.cache(); }

  CommitFloor floor_;
  Factory factory_{floor_};
};

TYPED_TEST_SUITE_P(MemberCacheContract);

TYPED_TEST_P(MemberCacheContract, KnowsNothingAtFirst) {
  EXPECT_FALSE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(1)).has_value());
  EXPECT_EQ(this->cache().ReadStats().entries, 0u);
}

TYPED_TEST_P(MemberCacheContract, AnswersWhatItWasFilledWith) {
  const MemberDocumentRef document = this->Document(1, 3);
  this->cache().Fill(MemberId(1), document, this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().Find(MemberId(1));
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ((*found)->json(), document->json());
  EXPECT_EQ((*found)->version(), Version(3));
  EXPECT_FALSE(this->cache().Find(MemberId(2)).has_value());
}

TYPED_TEST_P(MemberCacheContract, KnowsWhoDoesNotExist) {
  this->cache().Fill(MemberId(1), MemberDocumentRef(), this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().Find(MemberId(1));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(*found);

  this->Commit({MemberId(1)});
  EXPECT_FALSE(this->cache().Find(MemberId(1)).has_value());
  this->cache().Fill(MemberId(1), this->Document(1, 1), this->floor_.Now());
  ASSERT_TRUE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_TRUE(*this->cache().Find(MemberId(1)));
}

TYPED_TEST_P(MemberCacheContract, EraseForgets) {
  this->cache().Fill(MemberId(1), this->Document(1, 1), this->floor_.Now());
  this->cache().Fill(MemberId(2), this->Document(2, 1), this->floor_.Now());
  const std::array erased = {MemberId(1), MemberId(99)};
  this->cache().Erase(erased, {});
  EXPECT_FALSE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_TRUE(this->cache().Find(MemberId(2)).has_value());
}

TYPED_TEST_P(MemberCacheContract, AReferenceOutlivesItsEntry) {
  this->cache().Fill(MemberId(1), this->Document(1, 1), this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().Find(MemberId(1));
  this->Commit({MemberId(1)});
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ((*found)->json(), this->Document(1, 1)->json());
}

TYPED_TEST_P(MemberCacheContract, RefusesAFillThatIsOlderThanACommit) {
  const CommitSequence as_of = this->floor_.Now();
  this->Commit({MemberId(1)}, {this->KeyOf(1)});
  this->cache().Fill(MemberId(1), this->Document(1, 1), as_of);
  this->cache().FillHolder(this->KeyOf(1), MemberDocumentRef(), as_of);
  EXPECT_FALSE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(1)).has_value());
  EXPECT_GE(this->cache().ReadStats().fills_refused, 2u);

  this->cache().Fill(MemberId(1), this->Document(1, 2), this->floor_.Now());
  EXPECT_TRUE(this->cache().Find(MemberId(1)).has_value());
}

TYPED_TEST_P(MemberCacheContract, RefusesAFillWhileACommitIsUnderWay) {
  const std::array members = {MemberId(1)};
  const std::array keys = {this->KeyOf(1)};
  this->floor_.Begin(members, keys);
  this->cache().Fill(MemberId(1), this->Document(1, 1), this->floor_.Now());
  this->cache().FillHolder(keys[0], MemberDocumentRef(), this->floor_.Now());
  EXPECT_FALSE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_FALSE(this->cache().FindHolder(keys[0]).has_value());
  this->floor_.End(members, keys);
}

TYPED_TEST_P(MemberCacheContract, KeepsTheHigherVersion) {
  const CommitSequence as_of = this->floor_.Now();
  this->cache().Fill(MemberId(1), this->Document(1, 5), as_of);
  this->cache().Fill(MemberId(1), this->Document(1, 4), as_of);
  ASSERT_TRUE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_EQ((*this->cache().Find(MemberId(1)))->version(), Version(5));
  this->cache().Fill(MemberId(1), this->Document(1, 6), as_of);
  ASSERT_TRUE(this->cache().Find(MemberId(1)).has_value());
  EXPECT_EQ((*this->cache().Find(MemberId(1)))->version(), Version(6));
}

TYPED_TEST_P(MemberCacheContract, AnswersTheHolderOfAnIdentity) {
  this->cache().FillHolder(this->KeyOf(7), this->Document(1, 1, {7, 8}), this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().FindHolder(this->KeyOf(7));
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ((*found)->id(), MemberId(1));
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(9)).has_value());
}

TYPED_TEST_P(MemberCacheContract, KnowsWhatNobodyHolds) {
  this->cache().FillHolder(this->KeyOf(7), MemberDocumentRef(), this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().FindHolder(this->KeyOf(7));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(*found);

  // Somebody binds it.
  this->Commit({MemberId(1)}, {this->KeyOf(7)});
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(7)).has_value());
}

TYPED_TEST_P(MemberCacheContract, AHolderIsForgottenWithItsMemberAndWithItsIdentity) {
  this->cache().FillHolder(this->KeyOf(7), this->Document(1, 1, {7}), this->floor_.Now());
  this->Commit({MemberId(1)});
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(7)).has_value());

  this->cache().FillHolder(this->KeyOf(7), this->Document(1, 2, {7}), this->floor_.Now());
  this->Commit({}, {this->KeyOf(7)});
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(7)).has_value());
}

TYPED_TEST_P(MemberCacheContract, AHintWithoutItsMemberIsNotKnown) {
  this->cache().FillHolder(this->KeyOf(7), this->Document(1, 1, {7}), this->floor_.Now());
  // The member's next version no longer lists the identity. Its key is left alone here, as a lost hint would be.
  this->Commit({MemberId(1)});
  this->cache().Fill(MemberId(1), this->Document(1, 2), this->floor_.Now());
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(7)).has_value());

  // And a version that lists it again makes the hint good, if it is still there.
  this->Commit({MemberId(1)});
  this->cache().Fill(MemberId(1), this->Document(1, 3, {7}), this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().FindHolder(this->KeyOf(7));
  if (found.has_value()) {
    ASSERT_TRUE(*found);
    EXPECT_EQ((*found)->version(), Version(3));
  }
}

TYPED_TEST_P(MemberCacheContract, AnIdentityThatMovedIsAnsweredWithItsNewMember) {
  const IdentityKey key = this->KeyOf(7);
  this->cache().FillHolder(key, this->Document(1, 1, {7}), this->floor_.Now());
  this->Commit({MemberId(1), MemberId(2)}, {key});
  this->cache().Fill(MemberId(1), this->Document(1, 2), this->floor_.Now());
  this->cache().FillHolder(key, this->Document(2, 2, {7}), this->floor_.Now());
  const std::optional<MemberDocumentRef> found = this->cache().FindHolder(key);
  ASSERT_TRUE(found.has_value() && *found);
  EXPECT_EQ((*found)->id(), MemberId(2));
}

TYPED_TEST_P(MemberCacheContract, AHolderIsRefusedWhenACommitTouchedItsMember) {
  const CommitSequence as_of = this->floor_.Now();
  this->Commit({MemberId(1)});
  this->cache().FillHolder(this->KeyOf(7), this->Document(1, 1, {7}), as_of);
  EXPECT_FALSE(this->cache().FindHolder(this->KeyOf(7)).has_value());
  EXPECT_FALSE(this->cache().Find(MemberId(1)).has_value());
}

TYPED_TEST_P(MemberCacheContract, CountsWhatItDoes) {
  const MemberCache::Stats before = this->cache().ReadStats();
  this->cache().Find(MemberId(1));
  this->cache().Fill(MemberId(1), this->Document(1, 1), this->floor_.Now());
  this->cache().Find(MemberId(1));
  this->cache().Find(MemberId(1));
  const MemberCache::Stats after = this->cache().ReadStats();
  EXPECT_EQ(after.misses - before.misses, 1u);
  EXPECT_EQ(after.hits - before.hits, 2u);
  EXPECT_EQ(after.fills - before.fills, 1u);
  EXPECT_EQ(after.entries, 1u);
  EXPECT_GT(after.bytes, before.bytes);
  EXPECT_LE(after.bytes, after.bytes_max);
}

// The invariant itself, under threads: after a commit is acknowledged, no read that starts later answers an older
// version, and no identity is answered with a member that does not hold it. Each member holds the identity of its
// number in its even versions only; members 2n and 2n+1 share one, which is never held by both.
TYPED_TEST_P(MemberCacheContract, NeverAnswersWhatIsNoLongerTrue) {
  constexpr int kMembers = 8;
  constexpr int kCommits = 400;
  // The store: what a snapshot sees, under a lock, and what was acknowledged.
  std::mutex mutex;
  std::array<std::int64_t, kMembers> committed = {};
  std::array<std::atomic<std::int64_t>, kMembers> acknowledged = {};
  std::atomic<int> writers_left = 2;

  const auto keys_of = [](int member, std::int64_t version) {
    return version % 2 == 0 ? std::vector<std::uint64_t>{static_cast<std::uint64_t>(member)}
                            : std::vector<std::uint64_t>();
  };
  const auto writer = [&](int first) {
    for (int i = 0; i < kCommits; ++i) {
      const int member = first + 2 * (i % (kMembers / 2));
      const std::array ids = {MemberId(member + 1)};
      const std::array keys = {this->KeyOf(static_cast<std::uint64_t>(member))};
      this->floor_.Begin(ids, keys);
      this->cache().Erase(ids, keys);
      std::int64_t version = 0;
      {
        std::lock_guard lock(mutex);
        version = ++committed[static_cast<std::size_t>(member)];
      }
      this->floor_.End(ids, keys);
      acknowledged[static_cast<std::size_t>(member)].store(version);
    }
    --writers_left;
  };
  const auto reader = [&](std::uint64_t seed) {
    SeededRandom random(seed);
    while (writers_left > 0) {
      const auto member = static_cast<std::size_t>(random.Below(kMembers));
      const MemberId id(static_cast<std::int64_t>(member) + 1);
      const IdentityKey key = this->KeyOf(member);
      const bool by_key = random.Below(2) == 0;
      const std::int64_t at_least = acknowledged[member].load();
      const std::optional<MemberDocumentRef> found = by_key ? this->cache().FindHolder(key) : this->cache().Find(id);
      if (found.has_value()) {
        if (*found) {
          EXPECT_GE((*found)->version().value(), at_least);
          EXPECT_EQ((*found)->id(), id);
          if (by_key) EXPECT_TRUE((*found)->Holds(key));
        } else if (!by_key) {
          EXPECT_EQ(at_least, 0) << "a member that exists";
        } else if (at_least % 2 == 0 && at_least != 0) {
          // It was held when the call began: so there is a newer version by now.
          std::lock_guard lock(mutex);
          EXPECT_GT(committed[member], at_least);
        }
        continue;
      }
      const CommitSequence as_of = this->floor_.Now();
      std::int64_t version = 0;
      {
        std::lock_guard lock(mutex);
        version = committed[member];
      }
      if (version == 0) {
        this->cache().Fill(id, MemberDocumentRef(), as_of);
        continue;
      }
      const MemberDocumentRef document =
          this->Document(id.value(), version, keys_of(static_cast<int>(member), version));
      if (!by_key) {
        this->cache().Fill(id, document, as_of);
      } else if (document->Holds(key)) {
        this->cache().FillHolder(key, document, as_of);
      } else {
        this->cache().FillHolder(key, MemberDocumentRef(), as_of);
      }
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back(writer, 0);
  threads.emplace_back(writer, 1);
  threads.emplace_back(reader, 1);
  threads.emplace_back(reader, 2);
  for (std::thread& thread : threads) thread.join();

  // When all is quiet, whatever is known is the last version.
  for (std::size_t member = 0; member < kMembers; ++member) {
    const MemberId id(static_cast<std::int64_t>(member) + 1);
    const bool is_held = committed[member] % 2 == 0;
    if (const auto found = this->cache().Find(id); found.has_value()) {
      ASSERT_TRUE(*found);
      EXPECT_EQ((*found)->version().value(), committed[member]);
    }
    if (const auto holder = this->cache().FindHolder(this->KeyOf(member)); holder.has_value()) {
      EXPECT_EQ(static_cast<bool>(*holder), is_held);
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(MemberCacheContract, KnowsNothingAtFirst, AnswersWhatItWasFilledWith, KnowsWhoDoesNotExist,
                            EraseForgets, AReferenceOutlivesItsEntry, RefusesAFillThatIsOlderThanACommit,
                            RefusesAFillWhileACommitIsUnderWay, KeepsTheHigherVersion, AnswersTheHolderOfAnIdentity,
                            KnowsWhatNobodyHolds, AHolderIsForgottenWithItsMemberAndWithItsIdentity,
                            AHintWithoutItsMemberIsNotKnown, AnIdentityThatMovedIsAnsweredWithItsNewMember,
                            AHolderIsRefusedWhenACommitTouchedItsMember, CountsWhatItDoes,
                            NeverAnswersWhatIsNoLongerTrue);

}  // namespace muster
