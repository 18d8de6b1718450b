// Requests that are sent again, with their Idempotency-Key.

#include <gtest/gtest.h>

#include "store/binding_fixture.h"

namespace muster {
namespace {

class IdempotencyTest : public ::testing::TestWithParam<Shape>, public BindingWorld {
 protected:
  IdempotencyTest() : BindingWorld(GetParam()) {}

  static RequestHash HashOf(std::uint8_t number) {
    RequestHash hash;
    hash.bytes.fill(number);
    hash.bytes[kAnswerOwnerBytes + 1] = static_cast<std::uint8_t>(number * 7);  // of another shard
    return hash;
  }
  WriteContext Keyed(std::uint8_t key, std::uint8_t content = 1) {
    replayed_ = false;
    WriteContext context = Context();
    context.idempotency = Idempotency{.key = HashOf(key), .fingerprint = HashOf(content), .replayed = &replayed_};
    return context;
  }
  std::uint32_t last() const { return memory.database_count() - 1; }

  bool replayed_ = false;
};

INSTANTIATE_TEST_SUITE_P(Databases, IdempotencyTest,
                         ::testing::Values(Shape{1, MemoryShardStore::Runs::kOnce},
                                           Shape{1, MemoryShardStore::Runs::kTwice},
                                           Shape{4, MemoryShardStore::Runs::kOnce},
                                           Shape{4, MemoryShardStore::Runs::kTwice}),
                         [](const auto& shape) {
                           return std::to_string(shape.param.databases) +
                                  (shape.param.runs == MemoryShardStore::Runs::kTwice ? "Twice" : "Once");
                         });

TEST_P(IdempotencyTest, ARegistrationIsDoneOnce) {
  for (std::uint8_t key = 1; key < 9; ++key) {
    Member wanted;
    wanted.city = "Suzhou";
    wanted.identities = {IdentityAt(0, key), IdentityAt(last(), 100U + key)};
    const Result<Member> first = Finish(writer->Register(wanted, false, Keyed(key)));
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_FALSE(replayed_);
    clock.Advance(std::chrono::hours(1));
    const Result<Member> second = Finish(writer->Register(wanted, false, Keyed(key)));
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_TRUE(replayed_);
    EXPECT_EQ(*second, *first);
  }
  Check(true);
}

TEST_P(IdempotencyTest, EveryVerbAnswersWhatItAnsweredThen) {
  const Member member = Make(0, 0, {IdentityAt(last(), 1)});
  const auto twice = [&](std::uint8_t key, const std::function<Task<Result<Member>>(WriteContext)>& write) {
    SCOPED_TRACE(static_cast<int>(key));
    const Result<Member> first = Finish(write(Keyed(key)));
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_FALSE(replayed_);
    const Result<Member> second = Finish(write(Keyed(key)));
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_TRUE(replayed_);
    EXPECT_EQ(*second, *first);
  };
  const Result<Member> seen = *Find(member.id);
  twice(1, [&](WriteContext context) {
    MemberPatch patch;
    patch.fields = {"city"};
    patch.values.city = "Wuxi";
    context.expected_version = seen->version;  // is no more by the second time
    return writer->Update(member.id, patch, context);
  });
  twice(2, [&](WriteContext context) { return writer->Bind(member.id, IdentityAt(last(), 2), context); });
  twice(3, [&](WriteContext context) { return writer->Unbind(member.id, IdentityAt(last(), 1).key, context); });
  twice(4, [&](WriteContext context) { return writer->Close(member.id, context); });
  // Each of them happened once.
  EXPECT_EQ(Find(member.id)->version, Version(5));
  Check(true);
}

TEST_P(IdempotencyTest, AKeyWithOtherContentIsRefused) {
  const Member member = Make(0, 0);
  ASSERT_TRUE(Finish(writer->Bind(member.id, IdentityAt(last(), 1), Keyed(1, 1))));
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, IdentityAt(last(), 2), Keyed(1, 2)))),
            Reason::kIdempotencyMismatch);
  EXPECT_EQ(ReasonOf(Finish(writer->Close(member.id, Keyed(1, 3)))), Reason::kIdempotencyMismatch);
  EXPECT_EQ(Find(member.id)->version, Version(2));
  Check(true);
}

TEST_P(IdempotencyTest, ARefusedRequestMayBeCorrected) {
  const Member member = Make(0, 0);
  Make(last(), 1, {IdentityAt(last(), 1)});
  EXPECT_EQ(ReasonOf(Finish(writer->Bind(member.id, IdentityAt(last(), 1), Keyed(1, 1)))), Reason::kIdentityTaken);
  EXPECT_TRUE(Finish(writer->Bind(member.id, IdentityAt(last(), 2), Keyed(1, 2))));
  EXPECT_FALSE(replayed_);
  Check(true);
}

// Who may not have its answer kept is told before anything is written, also where that would be in several databases.
TEST_P(IdempotencyTest, WhatHasNoRoomForItsAnswerWritesNothing) {
  const Member member = Make(0, 0);
  const Member other = Make(last(), 1, {IdentityAt(last(), 1)});
  Member wanted;
  wanted.identities = {IdentityAt(0, 3), IdentityAt(last(), 4)};
  ASSERT_TRUE(Finish(writer->Register(wanted, false, Keyed(1))));
  memory.KeepNoMoreAnswers();
  const auto refused = [&](std::uint8_t key, std::size_t transactions, const auto& write) {
    const std::size_t before = shards.runs();
    EXPECT_EQ(ReasonOf(Finish(write(Keyed(key)))), Reason::kRateLimited) << static_cast<int>(key);
    EXPECT_LE(shards.runs() - before, transactions) << static_cast<int>(key);
  };
  refused(2, 1, [&](WriteContext context) { return writer->Bind(member.id, IdentityAt(last(), 2), context); });
  refused(3, 1, [&](WriteContext context) { return writer->Unbind(other.id, IdentityAt(last(), 1).key, context); });
  refused(4, 1, [&](WriteContext context) {
    Member another;
    another.identities = {IdentityAt(0, 5), IdentityAt(last(), 6)};
    return writer->Register(another, false, context);
  });
  // It looks at the source first, and, refused, whether the other process has answered meanwhile.
  refused(5, 3, [&](WriteContext context) { return merger->Merge(member.id, other.id, false, context); });
  EXPECT_EQ(Find(member.id)->version, Version(1));
  EXPECT_EQ(Find(other.id)->version, Version(1));
  EXPECT_TRUE(Finish(writer->Register(wanted, false, Keyed(1)))) << "what is kept is answered";
  EXPECT_TRUE(replayed_);
  Check(true);
}

// The answer to the first is lost, at whatever step.
TEST_P(IdempotencyTest, ALostAnswerIsFoundAgain) {
  for (const FaultyShardStore::Fault fault :
       {FaultyShardStore::Fault::kUnknownKept, FaultyShardStore::Fault::kUnknownLost}) {
    for (std::size_t step = 0; step < 8; ++step) {
      SCOPED_TRACE(step);
      BindingWorld world(GetParam());
      WriteContext context = world.Context();
      context.idempotency = Idempotency{.key = HashOf(1), .fingerprint = HashOf(2), .replayed = &replayed_};
      Member wanted;
      wanted.identities = {world.IdentityAt(0, 1), world.IdentityAt(last(), 2)};
      world.shards.FailAt(step, fault);
      const Result<Member> first = world.Finish(world.writer->Register(wanted, false, context));
      world.shards.Disarm();
      const Result<Member> second = world.Finish(world.writer->Register(wanted, false, context));
      ASSERT_TRUE(second) << second.error().message;
      if (first) EXPECT_EQ(*first, *second);
      std::size_t members = 0;
      for (std::uint32_t database = 0; database < world.memory.database_count(); ++database) {
        members += world.memory.Members(database).size();
      }
      EXPECT_EQ(members, 1U);
      world.Check(false);
    }
  }
}

TEST_P(IdempotencyTest, AnswersAreForgottenInTime) {
  const Member member = Make(0, 0);
  ASSERT_TRUE(Finish(writer->Bind(member.id, IdentityAt(last(), 1), Keyed(1))));
  clock.Advance(std::chrono::hours(23));
  EXPECT_EQ(*Finish(ForgetAnswers(shards, clock.Now(), 0, std::chrono::hours(24))), 0U);
  clock.Advance(std::chrono::hours(2));
  EXPECT_EQ(*Finish(ForgetAnswers(shards, clock.Now(), 0, std::chrono::hours(24))), 1U);
  ASSERT_TRUE(Finish(writer->Unbind(member.id, IdentityAt(last(), 1).key, Keyed(1, 9))));
  EXPECT_FALSE(replayed_);
}

}  // namespace
}  // namespace muster
