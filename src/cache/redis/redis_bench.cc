// Gets of the center's cache through one connection on one loop, against redis-benchmark -P 1 on the same server:
//   redis-benchmark -p PORT -P 1 -c 50 -n 300000 -d 700 -t get
// The floor: Gets with 64 under way at least as fast as it (engines.md: 1.07 of that with a server around it).

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "cache/redis/testing/redis_fixture.h"
#include "domain/document_sealer.h"
#include "domain/synthetic_members.h"

namespace muster {
namespace {

constexpr std::int64_t kMembers = 1000;

MemberDocumentRef Synthetic(std::int64_t id) {
  static KeyedHash hash{SecretKey{}};
  Member member = SyntheticMembers(1).Make(static_cast<std::uint64_t>(id), hash);
  member.id = MemberId(id);
  return MakeMemberDocument(member);
}

testing::RedisCenters& FilledCenter() {
  static testing::RedisCenters& centers = []() -> testing::RedisCenters& {
    static testing::RedisCenters made(testing::RedisCenters::Options({testing::SharedRedis().endpoint()}), 1);
    made.BeginAndUse(Epoch(1));
    for (std::int64_t id = 1; id <= kMembers; ++id) {
      const MemberLookup miss = made.Get(id);
      made.view(0).Fill(MemberId(id), Synthetic(id), miss.token);
    }
    std::printf("the server is at port %d\n", testing::SharedRedis().port());
    return made;
  }();
  return centers;
}

// As many gets under way as the argument says; an answer starts the next one.
void Gets(benchmark::State& state) {
  testing::RedisCenters& centers = FilledCenter();
  const auto under_way_max = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t answered = 0, begun = 0, hits = 0;
  const auto begin = [&] {
    const std::int64_t id = 1 + static_cast<std::int64_t>(begun++ % kMembers);
    centers.view(0).Get(MemberId(id), Deadline(), [&](const MemberLookup& found) {
      ++answered;
      if (found.kind == LookupKind::kHit) ++hits;
    });
  };
  for (auto _ : state) {
    while (begun - answered < under_way_max) begin();
    centers.loop.RunTurn(Duration(100'000));
  }
  while (answered < begun) centers.loop.RunTurn(Duration(100'000));
  state.SetItemsProcessed(static_cast<std::int64_t>(answered));
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(answered);
}
BENCHMARK(Gets)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();

void Invalidations(benchmark::State& state) {
  testing::RedisCenters& centers = FilledCenter();
  const auto under_way_max = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t answered = 0, begun = 0;
  for (auto _ : state) {
    while (begun - answered < under_way_max) {
      const auto id = 1'000'000 + static_cast<std::int64_t>(begun++ % kMembers);
      centers.view(0).Invalidate({.members = {{MemberId(id), Version(1)}}}, Deadline(),
                                 [&](const Invalidation&) { ++answered; });
    }
    centers.loop.RunTurn(Duration(100'000));
  }
  while (answered < begun) centers.loop.RunTurn(Duration(100'000));
  state.SetItemsProcessed(static_cast<std::int64_t>(answered));
}
BENCHMARK(Invalidations)->Arg(1)->Arg(64)->UseRealTime();

void SealDocument(benchmark::State& state) {
  SystemRandom random;
  const Keyring keyring = Keyring::Generate(random);
  DocumentSealer sealer(keyring, random);
  const MemberDocumentRef document = Synthetic(1);
  std::string sealed;
  for (auto _ : state) {
    sealed.clear();
    sealer.Seal(*document, sealed);
    benchmark::DoNotOptimize(sealed.data());
  }
  state.counters["bytes"] = static_cast<double>(sealed.size());
}
BENCHMARK(SealDocument);

void OpenDocument(benchmark::State& state) {
  SystemRandom random;
  const Keyring keyring = Keyring::Generate(random);
  DocumentSealer sealer(keyring, random);
  const MemberDocumentRef document = Synthetic(1);
  std::string sealed;
  sealer.Seal(*document, sealed);
  for (auto _ : state) {
    auto opened = sealer.Open(document->id(), document->version(), sealed);
    benchmark::DoNotOptimize(opened->get());
  }
}
BENCHMARK(OpenDocument);

}  // namespace
}  // namespace muster
