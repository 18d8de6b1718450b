// The model's readers and writers (models/cache_fill.pml) on a real Redis, interleaved by a seed: no read that begins
// after an acknowledged write of version v answers lower than v.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cache/redis/keys.h"
#include "cache/redis/testing/redis_fixture.h"

namespace muster {
namespace {

using testing::CenterDocument;
using testing::RedisCenters;
using testing::SharedRedis;

constexpr int kSubjects = 3;
constexpr int kIdentity = 2;  // that one is an identity: bound in its odd versions, unbound in the even ones
constexpr int kViews = 2;
constexpr int kSteps = 500;

// The store of one of them: a primary, and a replica that lags as it likes.
struct StoredSubject {
  std::int64_t committed = 1, replica = 1, acknowledged = 1;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) { centers_.BeginAndUse(Epoch(1)); }

  void Run() {
    for (int step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) {
      DoSomething();
      // So that commands of both connections mix in every way.
      if (Chance(2)) centers_.loop.RunTurn(Duration(Chance(2) ? 1000 : 0));
    }
    Drain();
  }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t hits() const { return hits_; }
  std::uint64_t fills() { return centers_.Counter("fills", 0) + centers_.Counter("fills", 1); }

 private:
  using Later = std::move_only_function<void()>;

  bool Chance(std::uint64_t one_in) { return random_.Below(one_in) == 0; }
  MemberId Id(int member) const { return MemberId(1000 + member); }
  static IdentityKey Key() { return IdentityKey{.bytes = {1, 2, 3, 4}}; }

  void DoSomething() {
    const int member = static_cast<int>(random_.Below(kSubjects));
    const int view = static_cast<int>(random_.Below(kViews));
    const std::uint64_t dice = random_.Below(100);
    if (dice < 30) return Read(member, view);
    if (dice < 36) return Write(member, view);
    if (dice < 76) return RunLater();
    if (dice < 79) return Forget(member);
    if (dice < 87) return Repair();
    StoredSubject& stored = stored_[static_cast<std::size_t>(member)];
    stored.replica = std::min(stored.committed, stored.replica + 1);
  }

  // Something that a reader or writer has still to do.
  void RunLater() {
    if (later_.empty()) return;
    const auto at = static_cast<std::ptrdiff_t>(random_.Below(later_.size()));
    Later work = std::move(later_[static_cast<std::size_t>(at)]);
    later_.erase(later_.begin() + at);
    work();
  }

  void Read(int member, int view) {
    const std::int64_t must = stored_[static_cast<std::size_t>(member)].acknowledged;
    ++under_way_;
    ++reads_;
    if (member == kIdentity) return ReadIdentity(view, must);
    centers_.view(view).Get(Id(member), Deadline(), [this, member, view, must](MemberLookup found) {
      if (found.kind == LookupKind::kHit) {
        ++hits_;
        return Answer(found.member ? found.member->version().value() : 0, must);
      }
      later_.push_back([this, member, view, must, found = std::move(found)] { ReadStore(member, view, must, found); });
    });
  }

  void ReadIdentity(int view, std::int64_t must) {
    centers_.view(view).FindHolder(Key(), Deadline(), [this, view, must](const HolderLookup& found) {
      if (found.kind != LookupKind::kHit) {
        later_.push_back([this, view, must, found] { ReadHolder(view, must, found); });
        return;
      }
      ++hits_;
      AnswerHolder(found.holder.has_value(), must);
    });
  }

  void ReadHolder(int view, std::int64_t must, const HolderLookup& found) {
    const StoredSubject& stored = stored_[kIdentity];
    const bool asks_primary = found.kind == LookupKind::kUnusable || found.has_changed_lately || Chance(4);
    const bool is_bound = (asks_primary ? stored.committed : stored.replica) % 2 == 1;
    if (found.kind == LookupKind::kMiss && found.token != FillToken(0) && !Chance(5)) {
      later_.push_back([this, view, is_bound, asks_primary, token = found.token] {
        const auto holder = is_bound ? std::optional(Id(0)) : std::nullopt;
        centers_.view(view).FillHolder(Key(), holder, asks_primary, token);
      });
    }
    AnswerHolder(is_bound, must);
  }

  // That somebody holds it is a hint, which his own entry has to confirm.
  void AnswerHolder(bool is_bound, std::int64_t must) {
    --under_way_;
    const bool was_unbound_since = must % 2 == 0 || stored_[kIdentity].committed > must;
    EXPECT_TRUE(is_bound || was_unbound_since) << "nobody, though it had been bound";
  }

  void ReadStore(int member, int view, std::int64_t must, const MemberLookup& found) {
    const StoredSubject& stored = stored_[static_cast<std::size_t>(member)];
    const bool asks_primary = found.kind == LookupKind::kUnusable || Chance(4);
    std::int64_t got = asks_primary ? stored.committed : stored.replica;
    if (Version(got) < found.floor) got = stored.committed;
    if (found.kind == LookupKind::kMiss && found.token != FillToken(0) && !Chance(5)) {
      later_.push_back([this, member, view, got, token = found.token] {
        centers_.view(view).Fill(Id(member), CenterDocument(Id(member).value(), got), token);
      });
    }
    Answer(got, must);
  }

  void Answer(std::int64_t got, std::int64_t must) {
    --under_way_;
    EXPECT_GE(got, must) << "an answer from before an acknowledged write";
  }

  void Write(int member, int view) {
    ++under_way_;
    const std::int64_t version = ++stored_[static_cast<std::size_t>(member)].committed;
    later_.push_back([this, member, view, version] { Tell(member, view, version); });
  }

  void Tell(int member, int view, std::int64_t version) {
    TouchedEntries touched;
    if (member == kIdentity) {
      touched.keys.push_back(Key());
    } else {
      touched.members.emplace_back(Id(member), Version(version));
    }
    centers_.view(view).Invalidate(touched, Deadline(), [this, member, view, version](const Invalidation& told) {
      const bool is_told = told.kind == InvalidationKind::kDone || told.kind == InvalidationKind::kBypassed;
      if (!is_told) {
        // All processes hear at once of what the topology says: that part is another model's.
        if (centers_.state.epoch == told.epoch && centers_.state.mode != CacheMode::kBypass) {
          centers_.state = {.epoch = Epoch(told.epoch.value() + 1), .mode = CacheMode::kBypass};
        }
        later_.push_back([this, member, view, version] { Tell(member, view, version); });
        return;
      }
      later_.push_back([this, member, version] {
        --under_way_;
        std::int64_t& acknowledged = stored_[static_cast<std::size_t>(member)].acknowledged;
        acknowledged = std::max(acknowledged, version);
      });
    });
  }

  // Redis loses a value, a lease, or (now and then) everything.
  void Forget(int member) {
    const redis::Keys keys(centers_.options.prefix);
    const redis::Subject subject = member == kIdentity ? redis::Subject::Of(Key()) : redis::Subject::Of(Id(member));
    if (Chance(30)) {
      SharedRedis().Run({"FLUSHALL"});
    } else if (Chance(2)) {
      SharedRedis().Run({"DEL", keys.Value(centers_.state.epoch, subject)});
    } else {
      SharedRedis().Run({"DEL", keys.Lease(centers_.state.epoch, subject)});
    }
  }

  // BYPASS → WARMING under a new epoch → ON once the replica has what was committed by then.
  void Repair() {
    CacheState& state = centers_.state;
    if (state.mode == CacheMode::kBypass && Chance(3)) {
      state = {.epoch = Epoch(state.epoch.value() + 1), .mode = CacheMode::kWarming};
      needed_.clear();
    } else if (state.mode == CacheMode::kWarming && needed_.empty()) {
      if (const auto begun = centers_.Begin(state.epoch); begun) {
        for (const StoredSubject& stored : stored_) needed_.push_back(stored.committed);
      }
    } else if (state.mode == CacheMode::kWarming) {
      const bool has_all = std::ranges::equal(stored_, needed_, std::ranges::greater_equal(), &StoredSubject::replica);
      if (has_all) state.mode = CacheMode::kOn;
    }
  }

  void Drain() {
    EXPECT_TRUE(centers_.RunUntil([&] {
      RunLater();
      return (under_way_ == 0 && later_.empty()) || ::testing::Test::HasFailure();
    }));
    for (int i = 0; i < 5; ++i) centers_.loop.RunTurn(Duration(1000));
  }

  SeededRandom random_;
  RedisCenters centers_{RedisCenters::Options({SharedRedis().endpoint()}), kViews};
  std::array<StoredSubject, kSubjects> stored_;
  std::vector<Later> later_;
  std::vector<std::int64_t> needed_;  // what the replica must have of each before the cache is ON
  int under_way_ = 0;
  std::uint64_t reads_ = 0, hits_ = 0;
};

TEST(RedisInterleavings, NoReadAnswersLessThanWasAcknowledgedBeforeIt) {
  const char* const given = std::getenv("MUSTER_SEED");
  const std::uint64_t first = given != nullptr ? std::stoull(given) : 1;
  const std::uint64_t count = given != nullptr ? 1 : 12;
  std::uint64_t hits = 0, fills = 0, reads = 0;
  for (std::uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("replay with MUSTER_SEED=" + std::to_string(seed) + " and --gtest_filter=RedisInterleavings.*");
    World world(seed);
    world.Run();
    hits += world.hits();
    fills += world.fills();
    reads += world.reads();
  }
  EXPECT_GT(hits * 20, reads) << "it seldom hits, so it tries little";
  EXPECT_GT(fills, count * 5);
}

}  // namespace
}  // namespace muster
