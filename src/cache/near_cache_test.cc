#include "cache/near_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/ports/member_cache_contract.h"

namespace muster::near_cache_test {
namespace {

using ::testing::HasSubstr;

struct NearCacheFactory {
  explicit NearCacheFactory(const CommitFloor& floor) : near(MakeNearCache({}, floor)) {}
  MemberCache& cache() { return *near; }
  std::unique_ptr<MemberCache> near;
};

struct SmallestNearCacheFactory {
  explicit SmallestNearCacheFactory(const CommitFloor& floor)
      : near(MakeNearCache({.bytes = kNearCacheBytesMin, .negative_percent = 1}, floor)) {}
  MemberCache& cache() { return *near; }
  std::unique_ptr<MemberCache> near;
};

IdentityKey KeyOf(std::uint64_t number) {
  IdentityKey key;
  SeededRandom(number + 1).Fill(key.bytes);
  return key;
}

MemberDocumentRef Document(std::int64_t id, const std::vector<std::uint64_t>& keys = {}, std::size_t padding = 0) {
  Member member;
  member.id = MemberId(id);
  member.display_name = std::string(padding, 'x');
  for (const std::uint64_t number : keys) {
    Identity identity;
    identity.kind = "account";
    identity.platform = "shop";
    identity.key = KeyOf(number);
    member.identities.push_back(std::move(identity));
  }
  return MakeMemberDocument(member);
}

class NearCacheTest : public ::testing::Test {
 protected:
  CommitFloor floor_;
  std::unique_ptr<MemberCache> cache_ = MakeNearCache({.bytes = std::int64_t{8} << 20}, floor_);
};

TEST_F(NearCacheTest, HasNoMemberWithoutAPositiveId) {
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN}) {
    cache_->Fill(MemberId(id), {}, floor_.Now());
    EXPECT_FALSE(cache_->Find(MemberId(id))) << id;
  }
  cache_->FillHolder(IdentityKey{}, {}, floor_.Now());
  EXPECT_FALSE(cache_->FindHolder(IdentityKey{}));
}

TEST_F(NearCacheTest, RefusesAHolderThatDoesNotHold) {
  cache_->FillHolder(KeyOf(1), Document(5, {2}), floor_.Now());
  EXPECT_FALSE(cache_->FindHolder(KeyOf(1)));
  EXPECT_FALSE(cache_->Find(MemberId(5)));
  EXPECT_EQ(cache_->ReadStats().fills_refused, 1U);
}

TEST_F(NearCacheTest, AFillByIdServesIdentitiesThatAreHinted) {
  cache_->FillHolder(KeyOf(1), Document(5, {1, 2}), floor_.Now());
  const std::array members = {MemberId(5)};
  cache_->Erase(members, {});
  EXPECT_FALSE(cache_->FindHolder(KeyOf(1))) << "the hint alone is not believed";
  cache_->Fill(MemberId(5), Document(5, {1, 2}), floor_.Now());
  const auto found = cache_->FindHolder(KeyOf(1));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->id(), MemberId(5));
}

TEST_F(NearCacheTest, AMemberFilledOneWayIsFoundByEachOfItsIdentities) {
  cache_->FillHolder(KeyOf(3), {}, floor_.Now());
  cache_->Fill(MemberId(5), Document(5, {1, 2, 3}), floor_.Now());
  cache_->FillHolder(KeyOf(6), Document(7, {6, 8}), floor_.Now());
  for (const std::uint64_t key : {1, 2, 3, 6, 8}) {
    const auto found = cache_->FindHolder(KeyOf(key));
    ASSERT_TRUE(found && *found) << key;
    EXPECT_EQ((*found)->id(), MemberId(key < 6 ? 5 : 7));
  }
}

TEST_F(NearCacheTest, AnIdentityWhoseHintIsLostIsFoundAgainAfterAFillOfTheSameVersion) {
  cache_->Fill(MemberId(5), Document(5, {1}), floor_.Now());
  const std::array keys = {KeyOf(1)};
  cache_->Erase({}, keys);
  EXPECT_FALSE(cache_->FindHolder(KeyOf(1)));
  cache_->FillHolder(KeyOf(1), Document(5, {1}), floor_.Now());
  EXPECT_TRUE(cache_->FindHolder(KeyOf(1)));
}

TEST_F(NearCacheTest, AFloodOfWhatDoesNotExistPushesNoMemberOut) {
  for (std::int64_t id = 1; id <= 1000; ++id) cache_->Fill(MemberId(id), Document(id), floor_.Now());
  const std::uint64_t bytes = cache_->ReadStats().bytes;
  for (std::int64_t i = 1; i <= 200'000; ++i) {
    cache_->Fill(MemberId(1'000'000 + i), {}, floor_.Now());
    cache_->FillHolder(KeyOf(static_cast<std::uint64_t>(i)), {}, floor_.Now());
  }
  for (std::int64_t id = 1; id <= 1000; ++id) EXPECT_TRUE(cache_->Find(MemberId(id))) << id;
  EXPECT_EQ(cache_->ReadStats().bytes, bytes) << "their place is taken from the start";
  EXPECT_TRUE(cache_->Find(MemberId(1'200'000))) << "the last are known";
  EXPECT_TRUE(cache_->FindHolder(KeyOf(200'000)));
  EXPECT_LE(cache_->ReadStats().entries, 1000 + (8 << 20) * 5 / 100 / 16U);
}

TEST_F(NearCacheTest, AMemberTooLargeIsNotKept) {
  cache_->Fill(MemberId(1), Document(1, {}, std::size_t{1} << 20), floor_.Now());
  EXPECT_FALSE(cache_->Find(MemberId(1)));
  EXPECT_EQ(cache_->ReadStats().fills_refused, 1U);
}

TEST_F(NearCacheTest, NothingIsKnownToBeMissingThatIsThere) {
  cache_->Fill(MemberId(1), Document(1), floor_.Now());
  cache_->Fill(MemberId(1), {}, floor_.Now());
  const auto found = cache_->Find(MemberId(1));
  ASSERT_TRUE(found);
  EXPECT_TRUE(*found);
}

TEST_F(NearCacheTest, HoldsReferencesNoLongerThanItLives) {
  const MemberDocumentRef document = Document(1, {1});
  cache_->FillHolder(KeyOf(1), document, floor_.Now());
  const auto found = cache_->Find(MemberId(1));
  cache_.reset();
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->json(), document->json());
}

TEST(DisabledNearCache, KnowsNothing) {
  CommitFloor floor;
  const auto cache = MakeNearCache({.enabled = false}, floor);
  cache->Fill(MemberId(1), Document(1), floor.Now());
  cache->FillHolder(KeyOf(1), {}, floor.Now());
  cache->Erase({}, {});
  EXPECT_FALSE(cache->Find(MemberId(1)));
  EXPECT_FALSE(cache->FindHolder(KeyOf(1)));
  EXPECT_EQ(cache->ReadStats().bytes_max, 0U);
}

TEST(NearCacheOptionsTest, AreDeclaredWithTheirBounds) {
  NearCacheOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  EXPECT_TRUE(registry.Set("cache.near.bytes", "64MiB", "test"));
  EXPECT_EQ(options.bytes, std::int64_t{64} << 20);
  EXPECT_TRUE(registry.Set("cache.near.enabled", "false", "test"));
  EXPECT_FALSE(options.enabled);
  EXPECT_TRUE(registry.Set("cache.near.negative_percent", "50", "test"));
  EXPECT_EQ(options.negative_percent, 50);
  EXPECT_FALSE(registry.Set("cache.near.bytes", "1023KiB", "test"));
  EXPECT_FALSE(registry.Set("cache.near.negative_percent", "0", "test"));
  EXPECT_FALSE(registry.Set("cache.near.negative_percent", "51", "test"));
}

TEST(NearCacheMetrics, AreExposed) {
  CommitFloor floor;
  const auto cache = MakeNearCache({.bytes = std::int64_t{8} << 20}, floor);
  MetricRegistry metrics;
  ExposeCacheMetrics(*cache, metrics);
  cache->Fill(MemberId(1), Document(1), floor.Now());
  cache->Find(MemberId(1));
  cache->Find(MemberId(2));
  const std::string text = metrics.Expose();
  EXPECT_THAT(text, HasSubstr("muster_cache_entries 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_cache_bytes_max 8388608\n"));
  EXPECT_THAT(text, HasSubstr("muster_cache_bytes "));
  EXPECT_THAT(text, HasSubstr("muster_cache_evictions_total 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_cache_fills_refused_total 0\n"));
  EXPECT_THAT(text, HasSubstr("muster_cache_fills_total 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_cache_hits_total 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_cache_misses_total 1\n"));
}

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Near, MemberCacheContract, NearCacheFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(SmallestNear, MemberCacheContract, SmallestNearCacheFactory);

}  // namespace muster::near_cache_test
