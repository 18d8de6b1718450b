#include "store/binding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "store/binding_fixture.h"

namespace muster {
namespace {

using Fault = FaultyShardStore::Fault;

// The verbs as callers see them, whatever the number of databases.
class BindingTest : public ::testing::TestWithParam<Shape>, public BindingWorld {
 protected:
  BindingTest() : BindingWorld(GetParam()) {}
  std::uint32_t last() const { return memory.database_count() - 1; }
  // An identity that lives in another database than database 0, when there is one.
  Identity Far(std::uint32_t index) const { return IdentityAt(last(), index); }
  Identity Near(std::uint32_t index) const { return IdentityAt(0, 100 + index); }

  Result<Member> Register(Member member, WriteContext context) {
    return Finish(writer->Register(std::move(member), false, std::move(context)));
  }
  Result<Member> Import(Member member, WriteContext context) {
    return Finish(writer->Register(std::move(member), true, std::move(context)));
  }
  Result<Member> Bind(MemberId id, const Identity& identity) { return Finish(writer->Bind(id, identity, Context())); }
  Result<Member> Unbind(MemberId id, const IdentityKey& key) { return Finish(writer->Unbind(id, key, Context())); }
  Result<Member> Close(MemberId id) { return Finish(writer->Close(id, Context())); }
  WriteContext By(std::int64_t operation) const {
    WriteContext context = Context();
    context.operation_id = OperationId(operation);
    return context;
  }
};

INSTANTIATE_TEST_SUITE_P(Databases, BindingTest,
                         ::testing::Values(Shape{1, MemoryShardStore::Runs::kOnce},
                                           Shape{1, MemoryShardStore::Runs::kTwice},
                                           Shape{4, MemoryShardStore::Runs::kOnce},
                                           Shape{4, MemoryShardStore::Runs::kTwice}),
                         [](const auto& shape) {
                           return std::to_string(shape.param.databases) +
                                  (shape.param.runs == MemoryShardStore::Runs::kTwice ? "Twice" : "Once");
                         });

TEST_P(BindingTest, RegisterMakesTheMemberItsLookupsAndItsHistory) {
  Member wanted;
  wanted.display_name = "Li Lei";
  wanted.version = Version(77);
  wanted.state = MemberState::kClosed;
  wanted.merged_into = MemberId(5);
  wanted.identities = {Far(1), Near(1), Far(0)};
  const Result<Member> made = Register(wanted, Context());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_GT(made->id, MemberId(0));
  EXPECT_EQ(made->version, Version(1)) << "only an import keeps it";
  EXPECT_EQ(made->state, MemberState::kActive);
  EXPECT_EQ(made->merged_into, MemberId(0));
  EXPECT_EQ(made->create_time, clock.Now());
  EXPECT_EQ(made->update_time, clock.Now());
  EXPECT_NE(made->created_by, OperationId(0));
  ASSERT_EQ(made->identities.size(), 3U);
  for (std::size_t index = 0; index < 3; ++index) {
    EXPECT_EQ(made->identities[index].key, wanted.identities[index].key) << "the order is the caller's";
    EXPECT_EQ(made->identities[index].bind_time, clock.Now());
    EXPECT_NE(made->identities[index].bound_by, OperationId(0));
  }
  EXPECT_EQ(Find(made->id), *made);

  const std::vector<Change> history = memory.History(made->id);
  ASSERT_EQ(history.size(), 1U);
  EXPECT_EQ(history[0].type, ChangeType::kRegistered);
  EXPECT_EQ(history[0].caller, "test");
  EXPECT_EQ(history[0].request_id, "request");
  EXPECT_EQ(history[0].identities.size(), 3U);
  EXPECT_EQ(history[0].identities[0], (Change::IdentityRef{"account", "app", wanted.identities[0].key}));
  Check(true);
}

TEST_P(BindingTest, OneTransactionNeedsNoOperationRow) {
  ASSERT_TRUE(Import(
      [&] {
        Member member = contract::PlainMember(IdAt(0, 0));
        member.identities = {IdentityAt(0, 0), IdentityAt(0, 1)};
        return member;
      }(),
      Context()));
  EXPECT_EQ(memory.CountOperations(0), 0U);
  EXPECT_EQ(shards.runs(), 1U) << "all rows live in one database";
  ASSERT_TRUE(Bind(IdAt(0, 0), Far(5)));
  EXPECT_EQ(memory.CountOperations(0), last() == 0 ? 0U : 1U);
  Check(true);
}

}  // namespace
}  // namespace muster
