#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "cache/near_cache.h"

namespace muster::near_cache_steps_test {
namespace {

constexpr std::size_t kMembers = 4;
constexpr std::size_t kKeys = 3;
constexpr std::size_t kNobody = kMembers;

IdentityKey KeyOf(std::size_t number) {
  IdentityKey key;
  SeededRandom(number + 1).Fill(key.bytes);
  return key;
}

MemberId IdOf(std::size_t member) { return MemberId(static_cast<std::int64_t>(member) + 1); }

// What is committed. Members exist from their first version on.
struct State {
  std::array<std::int64_t, kMembers> versions{};
  std::array<std::size_t, kKeys> holders = {kNobody, kNobody, kNobody};

  MemberDocumentRef Document(std::size_t member) const {
    if (versions[member] == 0) return {};
    Member copy;
    copy.id = IdOf(member);
    copy.version = Version(versions[member]);
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (holders[key] != member) continue;
      Identity identity;
      identity.kind = "account";
      identity.platform = "shop";
      identity.key = KeyOf(key);
      copy.identities.push_back(std::move(identity));
    }
    return MakeMemberDocument(copy);
  }
  MemberDocumentRef HolderDocument(std::size_t key) const {
    return holders[key] == kNobody ? MemberDocumentRef() : Document(holders[key]);
  }
};

// One process in one thread: writers and fillers take a step at a time, in a random order, so that every interleaving
// of their steps can come. After each step, whatever the cache knows is what is committed at this moment: exact, not
// merely recent.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  void Step() {
    switch (random_.Below(3)) {
      case 0:
        StepWriter(writers_[random_.Below(writers_.size())]);
        break;
      case 1:
        StepFiller(fillers_[random_.Below(fillers_.size())]);
        break;
      default:
        Check();
    }
  }

  void Check() {
    for (std::size_t member = 0; member < kMembers; ++member) {
      if (const auto found = cache_->Find(IdOf(member))) {
        ++answers;
        RC_ASSERT((*found ? (*found)->version().value() : 0) == committed_.versions[member]);
      }
    }
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (const auto found = cache_->FindHolder(KeyOf(key))) {
        ++answers;
        const std::size_t holder = *found ? static_cast<std::size_t>((*found)->id().value() - 1) : kNobody;
        RC_ASSERT(holder == committed_.holders[key]);
        if (*found) RC_ASSERT((*found)->version().value() == committed_.versions[holder]);
      }
    }
  }

  std::uint64_t answers = 0;

 private:
  struct Writer {
    int step = 0;
    std::optional<std::size_t> key;  // which it moves; else it changes a member otherwise
    std::size_t to = 0;
    std::vector<MemberId> members;
    std::vector<IdentityKey> keys;
  };
  struct Filler {
    int step = 0;
    CommitSequence as_of;
    State snapshot;
  };

  void StepWriter(Writer& writer) {
    switch (writer.step) {
      case 0:
        Plan(writer);
        if (writer.members.empty() && writer.keys.empty()) return;
        floor_.Begin(writer.members, writer.keys);
        break;
      case 1:
        cache_->Erase(writer.members, writer.keys);
        break;
      case 2:
        for (const MemberId id : writer.members) ++committed_.versions[static_cast<std::size_t>(id.value() - 1)];
        if (writer.key) committed_.holders[*writer.key] = writer.to;
        break;
      default:
        floor_.End(writer.members, writer.keys);
        if (writer.key) key_is_taken_[*writer.key] = false;
        writer = {};
        return;
    }
    ++writer.step;
  }

  // One writer a key at a time, as the binding protocol has it; members are shared.
  void Plan(Writer& writer) {
    writer.to = random_.Below(kMembers);
    if (random_.Below(2) == 0) {
      writer.members = {IdOf(writer.to)};
      return;
    }
    const std::size_t key = random_.Below(kKeys);
    if (key_is_taken_[key]) return;
    key_is_taken_[key] = true;
    writer.key = key;
    writer.keys = {KeyOf(key)};
    const std::size_t from = committed_.holders[key];
    if (random_.Below(3) == 0) writer.to = kNobody;
    if (from != kNobody) writer.members.push_back(IdOf(from));
    if (writer.to != kNobody && writer.to != from) writer.members.push_back(IdOf(writer.to));
  }

  void StepFiller(Filler& filler) {
    switch (filler.step) {
      case 0:
        filler.as_of = floor_.Now();
        break;
      case 1:
        filler.snapshot = committed_;
        break;
      default:
        if (random_.Below(2) == 0) {
          const std::size_t member = random_.Below(kMembers);
          cache_->Fill(IdOf(member), filler.snapshot.Document(member), filler.as_of);
        } else {
          const std::size_t key = random_.Below(kKeys);
          cache_->FillHolder(KeyOf(key), filler.snapshot.HolderDocument(key), filler.as_of);
        }
        if (random_.Below(3) == 0) filler.step = 0;  // else the same snapshot, ever older
        return;
    }
    ++filler.step;
  }

  SeededRandom random_;
  CommitFloor floor_;
  std::unique_ptr<MemberCache> cache_ = MakeNearCache({.bytes = kNearCacheBytesMin}, floor_);
  State committed_;
  std::array<bool, kKeys> key_is_taken_{};
  std::array<Writer, 3> writers_;
  std::array<Filler, 3> fillers_;
};

RC_GTEST_PROP(NearCacheSteps, WhatIsKnownIsWhatIsCommitted, ()) {
  World world(*rc::gen::arbitrary<std::uint64_t>());
  for (int step = 0; step < 3'000; ++step) world.Step();
  RC_ASSERT(world.answers > 100U);
}

}  // namespace
}  // namespace muster::near_cache_steps_test
