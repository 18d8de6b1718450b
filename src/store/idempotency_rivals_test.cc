// The same request at two processes at once: whoever sends it again does not wait for the first to end.

#include <gtest/gtest.h>

#include "store/binding_steps.h"
#include "store/merge_fixture.h"

namespace muster::idempotency_rivals_test {
namespace {

constexpr std::size_t kStepsMax = 200;  // more than any of these requests has, waiting for others included

struct World : MergeWorld {
  using MergeWorld::MergeWorld;
  std::optional<OperationsUnderWay::Entry> third;  // an operation that does not end
};

class IdempotencyRivalsTest : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  struct Process {
    MemberWriter& writer;
    MemberMerger& merger;
  };
  // A request as one of the processes makes it.
  using Request = std::function<Result<Member>(World&, const Process&, WriteContext)>;
  using Act = std::function<void(World&)>;

  static WriteContext Keyed(const World& world, bool& replayed) {
    WriteContext context = world.Context();
    RequestHash key;
    key.bytes.fill(1);
    RequestHash content;
    content.bytes.fill(2);
    context.idempotency = Idempotency{.key = key, .fingerprint = content, .replayed = &replayed};
    return context;
  }
  static std::uint32_t last() { return GetParam() - 1; }

  // Before each step of the request in one process, another one does the same; and then something else happens. Both
  // are answered alike, and it is done once. Before the other one was there, `refusal` may be right.
  void Race(const Act& prepare, const Request& request, const Act& then, std::optional<Reason> refusal) {
    for (std::size_t step = 0; step < kStepsMax; ++step) {
      SCOPED_TRACE(step);
      World world({GetParam(), MemoryShardStore::Runs::kOnce});
      prepare(world);
      std::optional<Result<Member>> other;
      bool other_replayed = false;
      world.shards.ActBefore(step, [&] {
        other = request(world, {world.other(), world.other_merger()}, Keyed(world, other_replayed));
        then(world);
      });
      bool replayed = false;
      const Result<Member> one = request(world, {*world.writer, *world.merger}, Keyed(world, replayed));
      world.shards.Disarm();
      if (!other) return;  // it has no such step
      ASSERT_TRUE(*other) << other->error().message;
      if (!one && one.error().reason == refusal) continue;
      ASSERT_TRUE(one) << one.error().message;
      EXPECT_EQ(one->id, (*other)->id);
      EXPECT_EQ(one->version, (*other)->version);
      EXPECT_NE(replayed, other_replayed);
      world.SettleAll();
      world.Check(false);
    }
    ADD_FAILURE() << "the request has more steps than were tried";
  }
};

INSTANTIATE_TEST_SUITE_P(Databases, IdempotencyRivalsTest, ::testing::Values(1U, 4U));

const auto kNothing = [](World&) {};

TEST_P(IdempotencyRivalsTest, ARegistrationUnderAnAllocatedId) {
  Race(kNothing,
       [](World& world, const Process& process, WriteContext context) {
         Member wanted;
         wanted.identities = {world.IdentityAt(0, 1), world.IdentityAt(last(), 2)};
         return world.Finish(process.writer.Register(wanted, false, std::move(context)));
       },
       kNothing, {});
}

// The holder of its identity is asked for, and gives it up before the id is looked at.
TEST_P(IdempotencyRivalsTest, ARegistrationUnderAGivenIdWhoseIdentityBecomesFree) {
  Race([](World& world) { world.Make(last(), 7, {world.IdentityAt(last(), 1)}); },
       [](World& world, const Process& process, WriteContext context) {
         if (&process.writer != world.writer.get()) {
           EXPECT_TRUE(world.Finish(
               process.writer.Unbind(world.IdAt(last(), 7), world.IdentityAt(last(), 1).key, world.Context())));
         }
         Member wanted = contract::PlainMember(world.IdAt(0, 1));
         wanted.identities = {world.IdentityAt(last(), 1)};
         return world.Finish(process.writer.Register(wanted, true, std::move(context)));
       },
       kNothing, Reason::kIdentityTaken);
}

// While a third one's reservation is waited for, the commit is rehearsed: after the first one's, the condition is
// wrong.
TEST_P(IdempotencyRivalsTest, ABindUnderACondition) {
  Race(
      [](World& world) {
        const Member member = world.Make(0, 0);
        const Member rival = world.Make(last(), 1);
        const OperationId operation = world.ids.NextOperationId();
        world.third.emplace(&world.shards.operations, operation);
        world.PutLookup(world.IdentityAt(last(), 1).key, LookupRow{rival.id, operation});
      },
      [](World& world, const Process& process, WriteContext context) {
        context.expected_version = Version(1);
        return world.Finish(process.writer.Bind(world.IdAt(0, 0), world.IdentityAt(last(), 1), std::move(context)));
      },
      kNothing, {});
}

TEST_P(IdempotencyRivalsTest, ABindOfAMemberThatIsClosedThen) {
  Race([](World& world) { world.Make(0, 0); },
       [](World& world, const Process& process, WriteContext context) {
         return world.Finish(process.writer.Bind(world.IdAt(0, 0), world.IdentityAt(last(), 1), std::move(context)));
       },
       [](World& world) { EXPECT_TRUE(world.Finish(world.other().Close(world.IdAt(0, 0), world.Context()))); }, {});
}

TEST_P(IdempotencyRivalsTest, AMergeUnderACondition) {
  Race(
      [](World& world) {
        world.Make(0, 0);
        world.Make(last(), 1, {world.IdentityAt(0, 1), world.IdentityAt(last(), 2)});
      },
      [](World& world, const Process& process, WriteContext context) {
        context.expected_version = Version(1);
        return world.Finish(process.merger.Merge(world.IdAt(0, 0), world.IdAt(last(), 1), false, std::move(context)));
      },
      kNothing, {});
}

TEST_P(IdempotencyRivalsTest, AnUnmergeUnderACondition) {
  Race(
      [](World& world) {
        world.Make(0, 0);
        world.Make(last(), 1, {world.IdentityAt(0, 1), world.IdentityAt(last(), 2)});
        EXPECT_TRUE(world.Merge(world.IdAt(0, 0), world.IdAt(last(), 1)));
      },
      [](World& world, const Process& process, WriteContext context) {
        context.expected_version = Version(2);
        return world.Finish(process.merger.Unmerge(world.IdAt(0, 0), world.IdAt(last(), 1), false, std::move(context)));
      },
      kNothing, {});
}

}  // namespace
}  // namespace muster::idempotency_rivals_test
