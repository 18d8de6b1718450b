#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "cache/near_cache.h"

namespace muster::near_cache_race_test {
namespace {

constexpr std::size_t kMembers = 600;
constexpr std::size_t kKeys = 40;
constexpr std::uint64_t kNobody = kMembers;
constexpr int kReads = 20'000;  // of each reader, all while writers write
constexpr int kWriters = 2;
constexpr int kReaders = 2;

IdentityKey KeyOf(std::size_t number) {
  IdentityKey key;
  SeededRandom(number + 1).Fill(key.bytes);
  return key;
}

MemberId IdOf(std::size_t member) { return MemberId(static_cast<std::int64_t>(member) + 1); }

// A store whose snapshots are copies, a writer that moves identities between members, and readers that fill. The
// members are larger together than the cache, so eviction, refused fills, moved hints and forgotten ones all happen
// while the invariants are checked.
class World {
 public:
  // Gives `key` to `to` (or nobody), in one commit of both members.
  void Move(std::size_t key, std::uint64_t to) {
    std::lock_guard row_lock(key_locks_[key]);  // as the binding protocol: one operation an identity
    const std::uint64_t from = HolderOf(key);
    std::vector<MemberId> members;
    if (from != kNobody) members.push_back(IdOf(from));
    if (to != kNobody && to != from) members.push_back(IdOf(to));
    const std::array keys = {KeyOf(key)};
    floor.Begin(members, keys);
    cache->Erase(members, keys);
    std::vector<std::pair<std::size_t, std::int64_t>> versions;
    {
      std::lock_guard lock(store_);
      for (const MemberId id : members) {
        const auto member = static_cast<std::size_t>(id.value() - 1);
        versions.emplace_back(member, ++committed_[member]);
      }
      committed_holder_[key] = to;
      ++moves_committed_[key];
    }
    floor.End(members, keys);
    // Acknowledged.
    for (const auto& [member, version] : versions) RaiseTo(acknowledged_[member], version);
  }

  void Get(std::size_t member) {
    const std::int64_t at_least = acknowledged_[member].load();
    const auto found = cache->Find(IdOf(member));
    if (!found) {
      const CommitSequence as_of = floor.Now();
      cache->Fill(IdOf(member), Read(member), as_of);
      return;
    }
    ++hits;
    ASSERT_TRUE(*found) << "every member exists";
    EXPECT_EQ((*found)->id(), IdOf(member));
    EXPECT_GE((*found)->version().value(), at_least);
  }

  void Resolve(std::size_t key) {
    const std::int64_t moves = MovesOf(key);
    const std::uint64_t holder = HolderOf(key);
    const auto found = cache->FindHolder(KeyOf(key));
    if (!found) {
      const CommitSequence as_of = floor.Now();
      cache->FillHolder(KeyOf(key), ReadHolder(key), as_of);
      return;
    }
    ++hits;
    const std::uint64_t answered = *found ? static_cast<std::uint64_t>((*found)->id().value() - 1) : kNobody;
    if (*found) EXPECT_TRUE((*found)->Holds(KeyOf(key)));
    // When the identity has not moved between before and after, there is one right answer.
    if (MovesOf(key) == moves) EXPECT_EQ(answered, holder);
  }

  MemberDocumentRef Read(std::size_t member) {
    Member copy;
    copy.id = IdOf(member);
    copy.display_name = std::string(2'500, 'x');
    std::lock_guard lock(store_);
    copy.version = Version(1 + committed_[member]);
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (committed_holder_[key] != member) continue;
      Identity identity;
      identity.kind = "account";
      identity.platform = "shop";
      identity.key = KeyOf(key);
      copy.identities.push_back(std::move(identity));
    }
    return MakeMemberDocument(copy);
  }

  MemberDocumentRef ReadHolder(std::size_t key) {
    std::uint64_t member = kNobody;
    {
      std::lock_guard lock(store_);
      member = committed_holder_[key];
    }
    if (member == kNobody) return {};
    // As a store's one snapshot would: only if it still holds it.
    MemberDocumentRef document = Read(member);
    return document->Holds(KeyOf(key)) ? document : MemberDocumentRef();
  }

  CommitFloor floor;
  std::unique_ptr<MemberCache> cache = MakeNearCache({.bytes = kNearCacheBytesMin}, floor);
  std::atomic<std::uint64_t> hits = 0;

 private:
  static void RaiseTo(std::atomic<std::int64_t>& target, std::int64_t version) {
    std::int64_t before = target.load();
    while (before < version + 1 && !target.compare_exchange_weak(before, version + 1)) {
    }
  }
  std::int64_t MovesOf(std::size_t key) {
    std::lock_guard lock(store_);
    return moves_committed_[key];
  }
  std::uint64_t HolderOf(std::size_t key) {
    std::lock_guard lock(store_);
    return committed_holder_[key];
  }

  std::mutex store_;
  std::array<std::int64_t, kMembers> committed_{};
  std::array<std::uint64_t, kKeys> committed_holder_ = [] {
    std::array<std::uint64_t, kKeys> nobody{};
    nobody.fill(kNobody);
    return nobody;
  }();
  std::array<std::int64_t, kKeys> moves_committed_{};
  std::array<std::mutex, kKeys> key_locks_;
  std::array<std::atomic<std::int64_t>, kMembers> acknowledged_{};
};

TEST(NearCacheRace, IsExactUnderMovesAndEviction) {
  World world;
  std::atomic<int> readers_left = kReaders;
  {
    std::vector<std::jthread> threads;
    for (int w = 0; w < kWriters; ++w) {
      threads.emplace_back([&world, &readers_left, w] {
        SeededRandom random(static_cast<std::uint64_t>(w));
        while (readers_left > 0) {
          world.Move(random.Below(kKeys), random.Below(kMembers + kMembers / 4) % (kMembers + 1));
        }
      });
    }
    for (int r = 0; r < kReaders; ++r) {
      threads.emplace_back([&world, &readers_left, r] {
        SeededRandom random(static_cast<std::uint64_t>(100 + r));
        for (int i = 0; i < kReads; ++i) {
          world.Get(random.Below(kMembers));
          world.Resolve(random.Below(kKeys));
        }
        --readers_left;
      });
    }
  }
  for (std::size_t round = 0; round < 2; ++round) {  // when all is quiet there is one right answer
    for (std::size_t key = 0; key < kKeys; ++key) world.Resolve(key);
    for (std::size_t member = 0; member < kMembers; ++member) world.Get(member);
  }
  EXPECT_GT(world.hits.load(), 0U);
  EXPECT_GT(world.cache->ReadStats().evictions, 0U);
}

// The narrowest window: between a fill's question to the floor and its insertion, a whole commit may pass. Were the two
// not under the lock that Erase takes, the fill would put back what the commit has replaced, and the writer would find
// it.
TEST(NearCacheRace, NoFillSurvivesACommitThatItMissed) {
  constexpr int kFills = 200'000;
  const std::array members = {MemberId(1)};
  CommitFloor floor;
  const auto cache = MakeNearCache({.bytes = kNearCacheBytesMin}, floor);
  std::atomic<std::int64_t> committed = 1;
  std::atomic<int> offered = 0;
  std::vector<std::jthread> fillers;
  for (int i = 0; i < 2; ++i) {
    fillers.emplace_back([&] {
      Member member;
      member.id = members[0];
      while (offered++ < kFills) {
        const CommitSequence as_of = floor.Now();
        member.version = Version(committed.load());
        cache->Fill(members[0], MakeMemberDocument(member), as_of);
      }
    });
  }
  std::int64_t found_stale = 0;
  for (std::int64_t version = 2; offered < kFills; ++version) {
    floor.Begin(members, {});
    cache->Erase(members, {});
    committed = version;
    floor.End(members, {});
    if (const auto found = cache->Find(members[0])) found_stale += (*found)->version().value() < version;
  }
  EXPECT_EQ(found_stale, 0);
}

}  // namespace
}  // namespace muster::near_cache_race_test
