#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>

#include "store/merge_fixture.h"

// Merging when something fails, crashes or gets in between, at every step. The source, the survivor and the identities
// live in four databases, so that every step is a transaction of its own:
//
//   0 look at the giver  1 look at the taker  2 mark the giver  3 take: the commit  4, 5 pass lookup rows on
//   6 finish the giver  7 unmark the taker

namespace muster::merge_fault_test {
namespace {

using Fault = FaultyShardStore::Fault;
constexpr Shape kFour{4, MemoryShardStore::Runs::kOnce};
constexpr std::size_t kSteps = 8;
constexpr std::size_t kTake = 3;
constexpr std::array kFaults = {Fault::kOverloaded,  Fault::kUnavailable, Fault::kUnknownLost,
                                Fault::kUnknownKept, Fault::kCrashBefore, Fault::kCrashAfter};

// A world of its own for each fault at each step.
struct Scene : MergeWorld {
  Scene()
      : MergeWorld(kFour),
        a(IdentityAt(2, 0)),
        b(IdentityAt(3, 0)),
        source(Make(1, 0, {a, b}).id),
        survivor(Make(0, 0).id) {}

  // All that readers see tells the same story; answers whether it is merged.
  bool IsMerged() {
    const bool merged = reader.Get(source)->state == MemberState::kMerged;
    const MemberId holder = merged ? survivor : source;
    EXPECT_EQ(reader.Holder(a.key), holder);
    EXPECT_EQ(reader.Holder(b.key), holder);
    EXPECT_EQ(reader.Get(survivor)->identities.size(), merged ? 2U : 0U);
    EXPECT_EQ(reader.Get(source)->identities.size(), merged ? 0U : 2U);
    return merged;
  }

  Identity a;
  Identity b;
  MemberId source;
  MemberId survivor;
};

struct Deed {
  std::string name;
  std::function<void(Scene&)> before;
  std::function<Task<Result<Member>>(Scene&, MemberMerger&)> act;
  bool makes_merged;
};

std::vector<Deed> Deeds() {
  const auto merge = [](Scene& scene, MemberMerger& merger) {
    return merger.Merge(scene.survivor, scene.source, false, scene.Context());
  };
  const auto unmerge = [](Scene& scene, MemberMerger& merger) {
    return merger.Unmerge(scene.survivor, scene.source, false, scene.Context());
  };
  const auto merged = [](Scene& scene) { EXPECT_TRUE(scene.Merge(scene.survivor, scene.source)); };
  return {{"merge", [](Scene&) {}, merge, true}, {"unmerge", merged, unmerge, false}};
}

class MergeFaultTest : public ::testing::Test {
 protected:
  // Does the deed with one fault, and `then` on what it leaves.
  void ForEachFault(const std::function<void(Scene&, const Deed&, bool happened)>& then) {
    for (const Deed& deed : Deeds()) {
      for (std::size_t step = 0; step < kSteps; ++step) {
        for (const Fault fault : kFaults) {
          SCOPED_TRACE(deed.name + ", step " + std::to_string(step) + ", fault " +
                       std::to_string(static_cast<int>(fault)));
          Scene scene;
          deed.before(scene);
          scene.shards.FailAt(step, fault);
          const std::optional<Result<Member>> answer = scene.Attempt(deed.act(scene, *scene.merger));
          scene.shards.Disarm();
          const bool happened = scene.IsMerged() == deed.makes_merged;
          if (answer && answer->has_value()) EXPECT_TRUE(happened);
          if (answer && !answer->has_value() && answer->error().reason != Reason::kOutcomeUnknown) {
            EXPECT_FALSE(happened) << answer->error().message;
          }
          if (!answer) EXPECT_EQ(happened, step > kTake || (step == kTake && fault == Fault::kCrashAfter));
          then(scene, deed, happened);
          EXPECT_FALSE(scene.IsMarked());
          (void)scene.SweepAll();
          scene.Check(true);
        }
      }
    }
  }
};

TEST_F(MergeFaultTest, WhatIsLeftIsSettledByTheNextWriterToTheGiver) {
  ForEachFault([](Scene& scene, const Deed& deed, bool happened) {
    MemberPatch patch{.fields = {"city"}, .values = {}};
    patch.values.city = "Suzhou";
    const MemberId giver = deed.makes_merged ? scene.source : scene.survivor;
    const Result<Member> updated = scene.Finish(scene.other().Update(giver, patch, scene.Context()));
    if (happened && deed.makes_merged) {
      EXPECT_EQ(ReasonOf(updated), Reason::kStateConflict);
    } else {
      EXPECT_TRUE(updated);
    }
    EXPECT_EQ(scene.IsMerged(), happened == deed.makes_merged);
    scene.SettleAll();  // a taker's mark, which is in nobody's way
  });
}

TEST_F(MergeFaultTest, WhatIsLeftIsSettledByTheNextMerge) {
  ForEachFault([](Scene& scene, const Deed&, bool) {
    const bool merged = scene.IsMerged();
    const Result<Member> turned =
        scene.Finish(merged ? scene.other_merger().Unmerge(scene.survivor, scene.source, false, scene.Context())
                            : scene.other_merger().Merge(scene.survivor, scene.source, false, scene.Context()));
    EXPECT_TRUE(turned) << turned.error().message;
    EXPECT_EQ(scene.IsMerged(), !merged);
  });
}

TEST_F(MergeFaultTest, ADifferentMemberGetsTheIdentityOnlyOnceItIsUnbound) {
  ForEachFault([](Scene& scene, const Deed&, bool) {
    const MemberId stranger = scene.Make(2, 5).id;
    EXPECT_EQ(ReasonOf(scene.Finish(scene.other().Bind(stranger, scene.a, scene.Context()))), Reason::kIdentityTaken);
    const MemberId holder = *scene.reader.Holder(scene.a.key);
    EXPECT_TRUE(scene.Finish(scene.other().Unbind(holder, scene.a.key, scene.Context())));
    EXPECT_EQ(scene.reader.Holder(scene.a.key), std::nullopt);
    EXPECT_TRUE(scene.Finish(scene.other().Bind(stranger, scene.a, scene.Context())));
    EXPECT_EQ(scene.reader.Holder(scene.a.key), stranger);
    scene.SettleAll();
    EXPECT_EQ(scene.reader.Holder(scene.a.key), stranger);
  });
}

TEST_F(MergeFaultTest, TheSweeperSettlesWhatIsLeft) {
  ForEachFault([](Scene& scene, const Deed&, bool) {
    const bool merged = scene.IsMerged();
    scene.clock.Advance(kOperationAgeMax + std::chrono::seconds(1));
    scene.SettleAll();
    EXPECT_EQ(scene.IsMerged(), merged);
  });
}

// ---- others in between

TEST_F(MergeFaultTest, AnAbortedMergeDoesNotCommit) {
  Scene scene;
  // Somebody loses patience between mark and commit; the merge begins anew.
  scene.shards.ActBefore(
      kTake, [&] { EXPECT_TRUE(scene.Finish(scene.other().Unbind(scene.source, scene.b.key, scene.Context()))); });
  const Result<Member> merged = scene.Merge(scene.survivor, scene.source);
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(KeysOf(*merged), std::vector{scene.a.key});
  EXPECT_EQ(scene.reader.Holder(scene.b.key), std::nullopt);
  EXPECT_FALSE(scene.IsMarked());
  scene.Check(true);
}

TEST_F(MergeFaultTest, CrossingMergesEndWithOne) {
  Scene scene;
  Result<Member> crossing = Fail(Reason::kInternal, "not run");
  scene.shards.ActBefore(kTake, [&] {
    crossing = scene.Finish(scene.other_merger().Merge(scene.source, scene.survivor, false, scene.Context()));
  });
  const Result<Member> merged = scene.Merge(scene.survivor, scene.source);
  EXPECT_NE(merged.has_value(), crossing.has_value());
  EXPECT_FALSE(scene.IsMarked());
  scene.Check(true);
}

TEST_F(MergeFaultTest, AMergeIntoAMemberThatGoesElsewhereIsRefused) {
  Scene scene;
  const MemberId third = scene.Make(2, 5).id;
  scene.shards.ActBefore(kTake, [&] {
    EXPECT_TRUE(scene.Finish(scene.other_merger().Merge(third, scene.survivor, false, scene.Context())));
  });
  EXPECT_EQ(ReasonOf(scene.Merge(scene.survivor, scene.source)), Reason::kStateConflict);
  EXPECT_FALSE(scene.IsMarked());
  EXPECT_EQ(scene.reader.Holder(scene.a.key), scene.source);
  scene.Check(true);
}

TEST_F(MergeFaultTest, WhatWasRefusedMeanwhileLeavesTheSourceAsItWas) {
  Scene scene;
  scene.shards.ActBefore(kTake,
                         [&] { EXPECT_TRUE(scene.Finish(scene.other().Close(scene.survivor, scene.Context()))); });
  const Member before = *scene.Find(scene.source);
  EXPECT_EQ(ReasonOf(scene.Merge(scene.survivor, scene.source)), Reason::kStateConflict);
  EXPECT_EQ(*scene.Find(scene.source), before);
}

TEST_F(MergeFaultTest, BoundAgainWhileItsMergeIsNotFinished) {
  Scene scene;
  scene.shards.FailAt(kTake + 1, Fault::kCrashBefore);
  EXPECT_FALSE(scene.Attempt(scene.merger->Merge(scene.survivor, scene.source, false, scene.Context())));
  scene.shards.Disarm();
  const Result<Member> again = scene.Finish(scene.other().Bind(scene.survivor, scene.a, scene.Context()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->version, Version(2)) << "it held that already";
  EXPECT_TRUE(scene.IsMerged());
  scene.SettleAll();
  scene.Check(true);
}

}  // namespace
}  // namespace muster::merge_fault_test
