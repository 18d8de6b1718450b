#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "cache/near_cache.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MUSTER_SANITIZED 1
#endif
#endif

namespace muster {
namespace {

// Anonymous resident memory of this process.
std::int64_t RssAnonBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  }
  ADD_FAILURE() << "no RssAnon in /proc/self/status";
  return 0;
}

IdentityKey RandomKey(Random& random) {
  IdentityKey key;
  random.Fill(key.bytes);
  return key;
}

// 300 to 2,300 bytes, as members are.
MemberDocumentRef RandomDocument(Random& random, MemberId id) {
  Member member;
  member.id = id;
  member.display_name = std::string(random.Below(200), 'n');
  for (std::uint64_t i = random.Below(4); i > 0; --i) {
    member.attributes["a" + std::to_string(i)] = std::string(random.Below(500), 'v');
  }
  for (int i = 0; i < 2; ++i) {
    Identity identity;
    identity.kind = "account";
    identity.platform = "shop";
    identity.value = Pii<std::string>("value");
    identity.key = RandomKey(random);
    member.identities.push_back(std::move(identity));
  }
  return MakeMemberDocument(member);
}

// `total` bytes of members, as many holders, and what does not exist, from `threads` threads at once.
void Overfill(MemberCache& cache, const CommitFloor& floor, int threads, std::int64_t total) {
  std::atomic<std::int64_t> offered = 0;
  const auto fill = [&](std::uint64_t seed) {
    SeededRandom random(seed);
    while (offered < total) {
      const MemberId id(static_cast<std::int64_t>(random.Next() >> 1));
      const MemberDocumentRef document = RandomDocument(random, id);
      offered += static_cast<std::int64_t>(document->AllocatedBytes());
      if (random.Below(2) == 0) {
        cache.Fill(id, document, floor.Now());
      } else {
        cache.FillHolder(document->keys()[0], document, floor.Now());
      }
      cache.Fill(MemberId(static_cast<std::int64_t>(random.Next() >> 1)), {}, floor.Now());
      cache.FillHolder(RandomKey(random), {}, floor.Now());
      cache.Find(MemberId(static_cast<std::int64_t>(random.Next() >> 1)));
      cache.Find(id);
    }
  };
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back(fill, i + 1);
}

// Each thread allocates from an arena of its own, and a thread that runs alone for a time slice leaves holes in the
// arenas of the others: some megabytes at the rate of this test, whatever the bound is. Hence the larger bound for more
// threads.
struct Load {
  int threads;
  std::int64_t bytes;
};

class NearCacheMemoryTest : public ::testing::TestWithParam<Load> {};

TEST_P(NearCacheMemoryTest, TakesNoMoreThanItSays) {
#ifdef MUSTER_SANITIZED
  GTEST_SKIP() << "sanitizers have memory of their own";
#endif
  const auto [threads, bytes] = GetParam();
  CommitFloor floor;
  const std::int64_t before = RssAnonBytes();
  const auto cache = MakeNearCache({.bytes = bytes}, floor);
  EXPECT_LT(RssAnonBytes() - before, bytes / 20) << "an empty cache costs little";
  Overfill(*cache, floor, threads, 4 * bytes);
  const std::int64_t taken = RssAnonBytes() - before;
  const MemberCache::Stats stats = cache->ReadStats();
  RecordProperty("rss_percent_of_bound", static_cast<int>(taken * 100 / bytes));
  EXPECT_LE(stats.bytes, stats.bytes_max);
  EXPECT_GE(stats.bytes, stats.bytes_max * 9 / 10) << "the bound is used";
  EXPECT_LE(taken, bytes * 115 / 100);
  EXPECT_GT(stats.evictions, stats.entries / 2);
}

INSTANTIATE_TEST_SUITE_P(Threads, NearCacheMemoryTest,
                         ::testing::Values(Load{1, std::int64_t{64} << 20}, Load{4, std::int64_t{256} << 20}));

}  // namespace
}  // namespace muster
