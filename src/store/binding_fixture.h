#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/ports/shard_store_testing.h"
#include "store/binding.h"
#include "store/memory_shard_store.h"
#include "store/sweeper.h"

// What the tests of the binding protocol share: the memory twin behind a store that fails on demand, and a checker.

namespace muster {

// Passes everything to the memory twin, except what a test asks for at the n-th Run (from 0) since it was armed.
class FaultyShardStore : public ShardStore, public ShardUpkeep {
 public:
  enum class Fault : std::uint8_t {
    kOverloaded,   // refused; nothing happened
    kUnavailable,  // refused; nothing happened
    kUnknownLost,  // OUTCOME_UNKNOWN, and it was not committed
    kUnknownKept,  // OUTCOME_UNKNOWN, and it was committed
    kCrashBefore,  // the process ends: not committed, no answer, and nothing of it runs after
    kCrashAfter,   // the process ends: committed, no answer, and nothing of it runs after
  };

  explicit FaultyShardStore(MemoryShardStore& inner) : inner_(inner) {}

  void FailAt(std::size_t run, Fault fault) { faults_[runs_ + run] = fault; }
  // Calls `act` just before the n-th Run: another writer that gets in between.
  void ActBefore(std::size_t run, std::function<void()> act) { acts_[runs_ + run] = std::move(act); }
  void Disarm() {
    faults_.clear();
    acts_.clear();
    crashed_ = false;
  }
  std::size_t runs() const { return runs_; }
  OperationsUnderWay* under_way() override { return &operations; }
  bool crashed() const { return crashed_; }

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override { return inner_.DatabaseOf(shard); }
  Timestamp Now(std::uint32_t database) const override { return inner_.Now(database); }
  Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                               std::size_t limit) override {
    if (scan_fails || (scan_fails_later && after != IdentityKey{})) return Fail(Reason::kInternal, "the scan failed");
    return inner_.ScanLookups(database, after, limit);
  }
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) override {
    return inner_.ScanMarked(database, after, limit);
  }
  void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) override {
    inner_.ForgetOperations(database, before, operations.Oldest(), std::move(done));
  }
  void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) override {
    inner_.ForgetAnswers(database, before, std::move(done));
  }

  void Run(std::uint32_t database, Transaction transaction, Done done) override {
    if (crashed_) return;
    const std::size_t run = runs_++;
    if (auto act = acts_.extract(run)) act.mapped()();
    const auto fault = faults_.extract(run);
    if (!fault) return inner_.Run(database, std::move(transaction), std::move(done));
    switch (fault.mapped()) {
      case Fault::kOverloaded:
        return done(Fail(Reason::kOverloaded, "the queue is full"));
      case Fault::kUnavailable:
        return done(Fail(Reason::kWritesUnavailable, "the disk is full"));
      case Fault::kUnknownLost:
        return done(Fail(Reason::kOutcomeUnknown, "the answer was lost"));
      case Fault::kUnknownKept:
        inner_.Run(database, std::move(transaction), [](const Result<void>&) {});
        return done(Fail(Reason::kOutcomeUnknown, "the answer was lost"));
      case Fault::kCrashAfter:
        inner_.Run(database, std::move(transaction), [](const Result<void>&) {});
        [[fallthrough]];
      case Fault::kCrashBefore:
        crashed_ = true;
        return;
    }
  }

  bool scan_fails = false;
  bool scan_fails_later = false;  // at every row but the first
  OperationsUnderWay operations;  // of this process, which has the databases for itself

 private:
  MemoryShardStore& inner_;
  std::size_t runs_ = 0;
  std::map<std::size_t, Fault> faults_;
  std::map<std::size_t, std::function<void()>> acts_;
  bool crashed_ = false;
};

struct Shape {
  std::uint32_t databases;
  MemoryShardStore::Runs runs;
};

// A directory over `shape.databases` databases, with one writer.
class BindingWorld {
 public:
  explicit BindingWorld(const Shape& shape)
      : memory(std::vector<const Clock*>(shape.databases, &clock), shape.runs),
        shards(memory),
        ids(clock, 1, 0),
        catalog(IdentityCatalog::Default()),
        writer(MakeBindingWriter(Dependencies())),
        merger(MakeBindingMerger(Dependencies())) {}

  // Runs a task that needs nobody else. Empty: the process crashed on the way.
  template <typename T>
  std::optional<T> Attempt(Task<T> task) {
    task.Start();
    if (!task.done()) {
      EXPECT_TRUE(shards.crashed()) << "the task waits for something that will not come";
      return std::nullopt;
    }
    return task.TakeValue();
  }
  template <typename T>
  T Finish(Task<T> task) {
    std::optional<T> value = Attempt(std::move(task));
    EXPECT_TRUE(value.has_value());
    return std::move(*value);
  }

  Identity IdentityAt(std::uint32_t database, std::uint32_t index, std::string kind = "account") const {
    Identity identity;
    identity.kind = std::move(kind);
    identity.platform = identity.kind == "account" ? "app" : "";
    identity.key = contract::KeyIn(memory, database, index);
    identity.value = Pii<std::string>("value-" + std::to_string(database) + "-" + std::to_string(index));
    return identity;
  }
  MemberId IdAt(std::uint32_t database, std::uint32_t index) const {
    return contract::MemberIn(memory, database, index);
  }
  // A member at this place, made by import so that its id is known.
  Member Make(std::uint32_t database, std::uint32_t index, std::vector<Identity> identities = {}) {
    Member member = contract::PlainMember(IdAt(database, index));
    member.identities = std::move(identities);
    Result<Member> made = Finish(writer->Register(std::move(member), true, Context()));
    EXPECT_TRUE(made) << made.error().message;
    return std::move(made).value_or(Member{});
  }

  WriteContext Context() const { return {.caller = "test", .request_id = "request"}; }

  std::optional<Member> Find(MemberId id) {
    std::optional<Member> member;
    EXPECT_TRUE(contract::RunAndWait(memory, memory.DatabaseOf(id), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(member, rows.ReadMember(id));
      return {};
    }));
    return member;
  }
  std::optional<LookupRow> FindLookup(const IdentityKey& key) {
    std::optional<LookupRow> row;
    EXPECT_TRUE(contract::RunAndWait(memory, memory.DatabaseOf(key), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(row, rows.ReadLookup(key));
      return {};
    }));
    return row;
  }
  void PutLookup(const IdentityKey& key, std::optional<LookupRow> row) {
    EXPECT_TRUE(contract::RunAndWait(memory, memory.DatabaseOf(key),
                                     [&](ShardTransaction& rows) { return rows.WriteLookup(key, row); }));
  }
  std::optional<OperationOutcome> FindOutcome(MemberId home, OperationId id) {
    std::optional<OperationOutcome> outcome;
    EXPECT_TRUE(contract::RunAndWait(memory, memory.DatabaseOf(home), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(outcome, rows.records().ReadOperation(id));
      return {};
    }));
    return outcome;
  }

  std::uint64_t SweepAll() {
    std::uint64_t freed = 0;
    for (std::uint32_t database = 0; database < memory.database_count(); ++database) {
      IdentityKey after{};
      do {
        const Result<SweepProgress> progress = Finish(SweepLookups(shards, shards, database, after, 3));
        EXPECT_TRUE(progress);
        after = progress->next;
        freed += progress->freed;
      } while (after != IdentityKey{});
    }
    return freed;
  }

  // Settles every move, as the sweeper does.
  void SettleAll() {
    for (std::uint32_t database = 0; database < memory.database_count(); ++database) {
      EXPECT_TRUE(Finish(SweepMoves(shards, shards, database, MemberId(0), 100)));
    }
  }

  // No identity is held twice, and every held one has its lookup row. With `exact`, there is no other lookup row
  // either.
  void Check(bool exact) {
    std::map<IdentityKey, LookupRow> held;
    for (std::uint32_t database = 0; database < memory.database_count(); ++database) {
      for (const Member& member : memory.Members(database)) {
        EXPECT_EQ(memory.History(member.id).back().version, member.version);
        for (const Identity& identity : member.identities) {
          const bool is_first = held.emplace(identity.key, LookupRow{member.id, identity.bound_by}).second;
          EXPECT_TRUE(is_first) << "an identity is held by two members";
        }
      }
    }
    for (const auto& [key, row] : held) EXPECT_EQ(FindLookup(key), row);
    if (!exact) return;
    for (std::uint32_t database = 0; database < memory.database_count(); ++database) {
      const auto entries = memory.ScanLookups(database, {}, 1000);
      ASSERT_TRUE(entries);
      for (const auto& entry : *entries) EXPECT_TRUE(held.contains(entry.key)) << "a lookup row dangles";
    }
  }

  ManualClock clock;
  ManualTimer timer{clock};
  MemoryShardStore memory;
  FaultyShardStore shards;
  IdAllocator ids;
  const IdentityCatalog catalog;
  const std::unique_ptr<MemberWriter> writer;
  const std::unique_ptr<MemberMerger> merger;

 private:
  BindingDependencies Dependencies() {
    return {.shards = &shards, .catalog = &catalog, .ids = &ids, .clock = &clock, .timer = &timer};
  }
};

template <typename T>
Reason ReasonOf(const Result<T>& result) {
  EXPECT_FALSE(result.has_value()) << "succeeded, though a failure is expected";
  return result ? Reason::kInternal : result.error().reason;
}

}  // namespace muster
