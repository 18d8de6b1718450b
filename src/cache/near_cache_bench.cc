#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "cache/near_cache.h"

namespace muster {
namespace {

constexpr std::int64_t kMany = 1'000'000;

// Ids as allocated ones are: not dense.
std::int64_t IdOf(std::int64_t number) {
  return static_cast<std::int64_t>(Mix64(static_cast<std::uint64_t>(number)) >> 1);
}

IdentityKey KeyOf(std::int64_t id) {
  IdentityKey key;
  SeededRandom(static_cast<std::uint64_t>(id)).Fill(key.bytes);
  return key;
}

// About 600 bytes of JSON.
MemberDocumentRef Document(std::int64_t id) {
  Member member;
  member.id = MemberId(id);
  member.display_name = std::string(400, 'n');
  Identity identity;
  identity.kind = "account";
  identity.platform = "shop";
  identity.key = KeyOf(id);
  member.identities.push_back(std::move(identity));
  return MakeMemberDocument(member);
}

// What one would write first.
class MutexedMap {
 public:
  std::optional<MemberDocumentRef> Find(MemberId id) {
    std::lock_guard lock(mutex_);
    const auto found = members_.find(id);
    if (found == members_.end()) return std::nullopt;
    return found->second;
  }
  void Fill(MemberId id, const MemberDocumentRef& document) {
    std::lock_guard lock(mutex_);
    members_[id] = document;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<MemberId, MemberDocumentRef> members_;
};

struct Filled {
  CommitFloor floor;
  std::unique_ptr<MemberCache> near = MakeNearCache({.bytes = std::int64_t{2} << 30}, floor);
  MutexedMap map;

  Filled() {
    for (std::int64_t number = 1; number <= kMany; ++number) {
      const MemberDocumentRef document = Document(IdOf(number));
      near->FillHolder(document->keys()[0], document, floor.Now());
      map.Fill(document->id(), document);
    }
    MUSTER_CHECK(near->ReadStats().entries == static_cast<std::uint64_t>(kMany));
  }
};

Filled& TheFilled() {
  static Filled filled;
  return filled;
}

// `range` members are asked for at random: 1,000 stay in the processor's caches, 1,000,000 do not. The document's first
// line is read, as whoever answers with it does.
template <typename Find>
void RunFinds(benchmark::State& state, Find find) {
  SeededRandom random(static_cast<std::uint64_t>(state.thread_index()) + 1);
  const auto range = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    const auto found = find(static_cast<std::int64_t>(1 + random.Below(range)));  // a number
    benchmark::DoNotOptimize((*found)->json().data());
  }
}

void NearFind(benchmark::State& state) {
  MemberCache& near = *TheFilled().near;
  RunFinds(state, [&](std::int64_t number) { return near.Find(MemberId(IdOf(number))); });
}
BENCHMARK(NearFind)->Arg(1000)->Arg(kMany)->Threads(1)->Threads(2);

void MapFind(benchmark::State& state) {
  MutexedMap& map = TheFilled().map;
  RunFinds(state, [&](std::int64_t number) { return map.Find(MemberId(IdOf(number))); });
}
BENCHMARK(MapFind)->Arg(1000)->Arg(kMany)->Threads(1)->Threads(2);

void NearFindHolder(benchmark::State& state) {
  MemberCache& near = *TheFilled().near;
  std::vector<IdentityKey> keys;
  for (std::int64_t i = 0; i < state.range(0); ++i) keys.push_back(KeyOf(IdOf(1 + i)));
  RunFinds(state, [&](std::int64_t number) { return near.FindHolder(keys[static_cast<std::size_t>(number - 1)]); });
}
BENCHMARK(NearFindHolder)->Arg(1000)->Arg(kMany);

void NearFindUnknown(benchmark::State& state) {
  MemberCache& near = *TheFilled().near;
  std::int64_t number = kMany;
  for (auto _ : state) benchmark::DoNotOptimize(near.Find(MemberId(IdOf(++number))));
}
BENCHMARK(NearFindUnknown);

// A full cache: every fill evicts.
void NearFillAndEvict(benchmark::State& state) {
  CommitFloor floor;
  const auto near = MakeNearCache({.bytes = std::int64_t{64} << 20}, floor);
  std::int64_t id = 0;
  for (; near->ReadStats().evictions == 0; ++id) near->Fill(MemberId(id + 1), Document(id + 1), floor.Now());
  std::vector<MemberDocumentRef> documents;
  for (std::int64_t i = 0; i < 200'000; ++i) documents.push_back(Document(id + i + 1));
  std::size_t next = 0;
  for (auto _ : state) {
    const MemberDocumentRef& document = documents[next++ % documents.size()];
    near->Fill(document->id(), document, floor.Now());
  }
}
BENCHMARK(NearFillAndEvict);

// Ranks 1 to `size` with probability in proportion to rank^-exponent, by inversion of the cumulated sums.
class Zipf {
 public:
  Zipf(std::size_t size, double exponent) : sums_(size) {
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) sums_[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
  }
  std::int64_t Draw(Random& random) const {
    const double at = static_cast<double>(random.Next() >> 11) * 0x1p-53 * sums_.back();
    return std::ranges::lower_bound(sums_, at) - sums_.begin() + 1;
  }

 private:
  std::vector<double> sums_;
};

class Lru {
 public:
  explicit Lru(std::size_t size) : size_(size) {}
  bool Use(std::int64_t id) {
    if (const auto found = index_.find(id); found != index_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    if (index_.size() == size_) {
      index_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(id);
    index_[id] = order_.begin();
    return false;
  }

 private:
  std::size_t size_;
  std::list<std::int64_t> order_;
  std::unordered_map<std::int64_t, std::list<std::int64_t>::iterator> index_;
};

// Zipf 0.99 over 400,000 members; the cache has room for one in `range`. LRU gets as many entries as the near cache
// ended with.
void HitRate(benchmark::State& state) {
  constexpr std::size_t kMembers = 400'000;
  constexpr int kReads = 2'000'000;
  static const Zipf kZipf(kMembers, 0.99);
  for (auto _ : state) {
    CommitFloor floor;
    const auto bytes = static_cast<std::int64_t>(kMembers * 600) / state.range(0);
    const auto near = MakeNearCache({.bytes = std::max(bytes, kNearCacheBytesMin)}, floor);
    SeededRandom random(1);
    std::uint64_t hits = 0;
    for (int i = 0; i < kReads; ++i) {
      const std::int64_t id = kZipf.Draw(random);
      if (near->Find(MemberId(id))) {
        hits += i >= kReads / 2;
      } else {
        near->Fill(MemberId(id), Document(id), floor.Now());
      }
    }
    Lru lru(near->ReadStats().entries);
    SeededRandom again(1);
    std::uint64_t lru_hits = 0;
    for (int i = 0; i < kReads; ++i) lru_hits += lru.Use(kZipf.Draw(again)) && i >= kReads / 2;
    state.counters["entries"] = static_cast<double>(near->ReadStats().entries);
    state.counters["near"] = static_cast<double>(hits) / (kReads / 2);
    state.counters["lru"] = static_cast<double>(lru_hits) / (kReads / 2);
  }
}
BENCHMARK(HitRate)->Arg(100)->Arg(20)->Arg(5)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace muster
