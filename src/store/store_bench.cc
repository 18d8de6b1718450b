// What the store costs, beside what SQLite does on its own in the same run. Give --benchmark_min_time=0 for one pass.
//
//   PointRead/N         one member by id through the reader, N reads a turn, all pages in memory
//   PointResolve/N      the same by identity key
//   RawInsert           the rows of 1,000 members with two identities, prepared, in one transaction
//   StoreInsert         1,000 registrations queued at once, which check before they write
//   RawSingle           one member row a transaction
//   LockStepRegister/N  N clients that each send the next registration when the last one is answered

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/bounded_queue.h"
#include "base/check.h"
#include "domain/id_allocator.h"
#include "domain/member_document.h"
#include "domain/synthetic_members.h"
#include "store/columns.h"
#include "store/data_directory.h"
#include "store/member_codec.h"
#include "store/schema.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

using testing::StoreHarness;
using testing::TemporaryDirectory;
using testing::TurnLoop;

constexpr std::size_t kBatch = 1'000;
constexpr std::int64_t kReadMembers = 50'000;

// Members with a phone and a unionid and ids in the order of time.
class MemberSource {
 public:
  Member Next() {
    Member member = synthetic_.Make(index_++, hash_);
    member.identities.resize(2);
    member.id = ids_.NextMemberId();
    member.created_by = ids_.NextOperationId();
    for (Identity& identity : member.identities) identity.bound_by = member.created_by;
    return member;
  }

 private:
  SystemClock clock_;
  SyntheticMembers synthetic_{1};
  KeyedHash hash_{testing::TestKeyring().hash_key()};
  IdAllocator ids_{clock_, 0, 0};
  std::uint64_t index_ = 0;
};

Change RegistrationOf(const Member& member) {
  return {.member_id = member.id,
          .version = member.version,
          .type = ChangeType::kRegistered,
          .time = member.create_time,
          .caller = "bench",
          .request_id = "00000000-0000-0000-0000-000000000000",
          .fields = {},
          .identities = {{member.identities[0].kind, member.identities[0].platform, member.identities[0].key},
                         {member.identities[1].kind, member.identities[1].platform, member.identities[1].key}}};
}

Result<void> Register(ShardTransaction& transaction, const Member& member) {
  MUSTER_ASSIGN(const std::optional<Member> existing, transaction.ReadMember(member.id));
  if (existing) return Fail(Reason::kMemberExists, "exists");
  for (const Identity& identity : member.identities) {
    MUSTER_ASSIGN(const std::optional<LookupRow> row, transaction.ReadLookup(identity.key));
    if (row) return Fail(Reason::kIdentityTaken, "taken");
  }
  MUSTER_TRY(transaction.WriteMember(member, RegistrationOf(member)));
  for (const Identity& identity : member.identities) {
    MUSTER_TRY(transaction.WriteLookup(identity.key, LookupRow{member.id, member.created_by}));
  }
  return {};
}

// Counts down from any thread.
class Latch {
 public:
  explicit Latch(std::size_t count) : count_(count) {}
  void CountDown() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) zero_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    zero_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  std::size_t count_;
};

void RegisterAll(ShardStore& shards, const std::vector<Member>& members) {
  Latch latch(members.size());
  for (const Member& member : members) {
    shards.Run(
        0, [&member](ShardTransaction& transaction) { return Register(transaction, member); },
        [&latch](const Result<void>& result) {
          MUSTER_CHECK(result.has_value());
          latch.CountDown();
        });
  }
  latch.Wait();
}

std::vector<Member> TakeBatch(MemberSource& source) {
  std::vector<Member> members;
  while (members.size() < kBatch) members.push_back(source.Next());
  return members;
}

void StoreInsert(benchmark::State& state) {
  StoreHarness harness;
  MUSTER_CHECK(harness.Open().has_value());
  MemberSource source;
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<Member> members = TakeBatch(source);
    state.ResumeTiming();
    RegisterAll(harness.store->shards(), members);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// The settings that any careful user of SQLite gives it.
Database OpenRaw(const std::string& path) {
  Database database = *Database::Open(path, Database::Mode::kCreate);
  MUSTER_CHECK(
      database.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536").has_value());
  MUSTER_CHECK(Migrate(database, AllMigrations()).has_value());
  return database;
}

void RawInsert(benchmark::State& state) {
  const TemporaryDirectory directory;
  Database database = OpenRaw(directory.path() + "/raw.db");
  Statement member_row = *database.Prepare("INSERT INTO member VALUES(?1, ?2, ?3)");
  Statement identity_row = *database.Prepare("INSERT INTO identity VALUES(?1, ?2, ?3)");
  Statement change_row = *database.Prepare(
      "INSERT INTO change(position, member_id, version, type, time, members, number) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, 1)");
  Statement history_row = *database.Prepare("INSERT INTO history VALUES(?1, ?2, ?3, ?4, ?5)");
  SystemRandom random;
  MemberCodec codec(testing::TestKeyring(), random);
  MemberSource source;
  std::int64_t position = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<Member> members = TakeBatch(source);
    std::vector<std::pair<std::string, std::string>> records(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
      MUSTER_CHECK(codec.Encode(members[i], records[i].first).has_value());
      MUSTER_CHECK(codec.EncodeDetail(RegistrationOf(members[i]), records[i].second).has_value());
    }
    state.ResumeTiming();
    bool done = database.Execute("BEGIN IMMEDIATE").has_value();
    for (std::size_t i = 0; i < members.size(); ++i) {
      const Member& member = members[i];
      const std::int64_t time = member.create_time.time_since_epoch().count();
      done = done && member_row.Bind(1, member.id.value()).Bind(2, 1).BindBlob(3, records[i].first).Run();
      for (const Identity& identity : member.identities) {
        identity_row.BindBlob(1, AsBytes(identity.key)).Bind(2, member.id.value()).Bind(3, identity.bound_by.value());
        done = done && identity_row.Run();
      }
      ++position;
      change_row.Bind(1, position).Bind(2, member.id.value()).Bind(3, 1).Bind(4, 1).Bind(5, time).Bind(6, position);
      done = done && change_row.Run();
      history_row.Bind(1, member.id.value()).Bind(2, 1).Bind(3, 1).Bind(4, time).BindBlob(5, records[i].second);
      done = done && history_row.Run();
    }
    MUSTER_CHECK(done && database.Execute("COMMIT"));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

void RawSingle(benchmark::State& state) {
  const TemporaryDirectory directory;
  Database database = OpenRaw(directory.path() + "/raw.db");
  Statement member_row = *database.Prepare("INSERT INTO member VALUES(?1, ?2, ?3)");
  const std::string record(300, 'r');
  std::int64_t id = 0;
  for (auto _ : state) {
    MUSTER_CHECK(database.Execute("BEGIN IMMEDIATE").has_value());
    MUSTER_CHECK(member_row.Bind(1, ++id).Bind(2, 1).BindBlob(3, record).Run().has_value());
    MUSTER_CHECK(database.Execute("COMMIT").has_value());
  }
  state.SetItemsProcessed(state.iterations());
}

// The clients live on one thread, as connections of one event loop do: answers are handed over to it.
void LockStepRegister(benchmark::State& state) {
  StoreHarness harness;
  MUSTER_CHECK(harness.Open().has_value());
  const auto clients = static_cast<std::size_t>(state.range(0));
  MemberSource source;
  BoundedQueue<std::size_t> answered(clients);
  std::vector<Member> members(clients);
  for (std::size_t client = 0; client < clients; ++client) MUSTER_CHECK(answered.TryPush(std::size_t{client}));
  std::size_t sent = 0;
  for (auto _ : state) {
    for (const std::size_t client : answered.PopSome(clients)) {
      members[client] = source.Next();
      ++sent;
      harness.store->shards().Run(
          0, [&members, client](ShardTransaction& transaction) { return Register(transaction, members[client]); },
          [&answered, client](const Result<void>& result) {
            MUSTER_CHECK(result.has_value() && answered.TryPush(std::size_t{client}));
          });
    }
  }
  for (std::size_t idle = 0; idle < clients;) idle += answered.PopSome(clients).size();
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}

// A store with members, and their ids and keys in an order that has nothing to do with that of the rows.
struct FilledStore {
  FilledStore() {
    MUSTER_CHECK(harness.Open().has_value());
    MemberSource source;
    while (members.size() < kReadMembers) {
      const std::vector<Member> batch = TakeBatch(source);
      RegisterAll(harness.store->shards(), batch);
      for (const Member& member : batch) members.emplace_back(member.id, member.identities[0].key);
    }
    SeededRandom random(7);
    for (std::size_t i = members.size() - 1; i > 0; --i) std::swap(members[i], members[random.Below(i + 1)]);
    // Closing moves the log into the file, so that reads find their pages mapped.
    harness.store->Close();
    MUSTER_CHECK(harness.Open().has_value());
  }

  StoreHarness harness;
  std::vector<std::pair<MemberId, IdentityKey>> members;
};

void ReadTurns(benchmark::State& state, bool resolve) {
  static FilledStore filled;
  TurnLoop loop;
  const auto reader = *filled.harness.store->MakeReader(loop);
  std::size_t next = 0;
  std::uint64_t bytes = 0;
  const auto reply = [&bytes](const Result<MemberAnswer>& answer) { bytes += answer->member->json().size(); };
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      const auto& [id, key] = filled.members[next];
      next = next + 1 == filled.members.size() ? 0 : next + 1;
      if (resolve) {
        reader->Resolve(key, {}, reply);
      } else {
        reader->Get(id, {}, reply);
      }
    }
    loop.RunTurn();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["json_bytes"] = static_cast<double>(bytes) / static_cast<double>(state.iterations() * state.range(0));
}

void PointRead(benchmark::State& state) { ReadTurns(state, false); }
void PointResolve(benchmark::State& state) { ReadTurns(state, true); }

BENCHMARK(RawInsert)->Unit(benchmark::kMillisecond)->Iterations(200)->UseRealTime();
BENCHMARK(StoreInsert)->Unit(benchmark::kMillisecond)->Iterations(200)->UseRealTime();
BENCHMARK(RawSingle)->UseRealTime();
BENCHMARK(LockStepRegister)->Arg(1)->Arg(64)->UseRealTime();
BENCHMARK(PointRead)->Arg(1)->Arg(64);
BENCHMARK(PointResolve)->Arg(1)->Arg(64);

}  // namespace
}  // namespace muster
