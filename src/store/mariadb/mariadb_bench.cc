// What a registration costs on a MariaDB server of its own, with a binlog, and every commit flushed (sync_binlog = 1,
// innodb_flush_log_at_trx_commit = 1), beside what the server does on its own in the same run.
//
//   RawInsert/N         N connections that insert the rows of a member with two identities, prepared, a transaction
//   each LockStepRegister/N  N clients that each send the next registration when the last one is answered

#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "domain/id_allocator.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/synthetic_members.h"
#include "store/columns.h"
#include "store/mariadb/session.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "store/member_codec.h"

namespace muster::mariadb {
namespace {

constexpr std::int64_t kRegistrations = 2'000;

testing::MariadbServer& DurableServer() {
  static testing::MariadbServer server({"--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync",
                                        "--log-bin", "--sync-binlog=1", "--binlog-format=ROW", "--server-id=1",
                                        "--innodb-log-file-size=256M"});
  return server;
}

Member MakeMember(std::atomic<std::uint64_t>& index, IdAllocator& ids) {
  thread_local KeyedHash hash(testing::TestKeyring().hash_key());
  thread_local const SyntheticMembers synthetic(1);
  Member member = synthetic.Make(index++, hash);
  member.identities.resize(2);
  member.id = ids.NextMemberId();
  member.created_by = ids.NextOperationId();
  return member;
}

// Runs kRegistrations, on `clients` threads.
template <typename One>
void Share(std::int64_t clients, One one) {
  std::atomic<std::int64_t> left{kRegistrations};
  std::vector<std::jthread> threads;
  for (std::int64_t client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      while (left.fetch_sub(1) > 0) one(client);
    });
  }
}

void InsertRows(Session& session, MemberCodec& codec, const Member& member) {
  const std::int64_t shard = ShardOf(member.id).value();
  std::string record;
  MUSTER_CHECK(codec.Encode(member, record).has_value());
  MUSTER_CHECK(
      session.insert_member.Bind(1, shard).Bind(2, member.id.value()).Bind(3, 1).Bind(4, record).Run().has_value());
  for (const Identity& identity : member.identities) {
    MUSTER_CHECK(session.insert_lookup.Bind(1, std::int64_t{ShardOf(identity.key).value()})
                     .Bind(2, AsBytes(identity.key))
                     .Bind(3, member.id.value())
                     .Bind(4, 1)
                     .Run()
                     .has_value());
  }
  const std::string detail(60, 'd');
  MUSTER_CHECK(session.insert_history.Bind(1, shard)
                   .Bind(2, member.id.value())
                   .Bind(3, 1)
                   .Bind(4, 1)
                   .Bind(5, 1)
                   .Bind(6, detail)
                   .Run()
                   .has_value());
  MUSTER_CHECK(session.insert_change.Bind(1, shard)
                   .Bind(2, member.id.value())
                   .Bind(3, 1)
                   .Bind(4, 1)
                   .Bind(5, 1)
                   .Run()
                   .has_value());
  MUSTER_CHECK(session.connection->Execute("COMMIT").has_value());
}

void RawInsert(benchmark::State& state) {
  testing::MariadbHarness harness(1, DurableServer());
  harness.MustOpen();
  std::atomic<std::uint64_t> index{0};
  IdAllocator ids(harness.system_clock, 0, 0);
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<MemberCodec> codecs;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    SessionSettings settings;
    settings.place = GroupPlace::Fixed(*Endpoint::Parse(harness.server.address()));
    settings.account.user = "root";
    settings.database = harness.Database(0);
    sessions.push_back(*Session::Open(settings, "bench-" + std::to_string(i)));
    codecs.emplace_back(harness.keyring, harness.random);
  }
  for (auto _ : state) {
    Share(state.range(0), [&](std::int64_t client) {
      const auto at = static_cast<std::size_t>(client);
      InsertRows(*sessions[at], codecs[at], MakeMember(index, ids));
    });
  }
  state.SetItemsProcessed(state.iterations() * kRegistrations);
}

void LockStepRegister(benchmark::State& state) {
  testing::MariadbHarness harness(1, DurableServer());
  harness.options.connections = state.range(0);
  harness.MustOpen();
  std::atomic<std::uint64_t> index{0};
  IdAllocator ids(harness.system_clock, 0, 0);
  for (auto _ : state) {
    Share(state.range(0), [&](std::int64_t) {
      const Member member = MakeMember(index, ids);
      const Result<void> done =
          contract::RunAndWait(harness.store->shards(), 0, [&](ShardTransaction& rows) -> Result<void> {
            for (const Identity& identity : member.identities) {
              MUSTER_ASSIGN(const std::optional<LookupRow> row, rows.ReadLookup(identity.key));
              if (row) return Fail(contract::Refusal());
            }
            MUSTER_TRY(rows.WriteMember(member, contract::ChangeOf(member, ChangeType::kRegistered)));
            for (const Identity& identity : member.identities) {
              MUSTER_TRY(rows.WriteLookup(identity.key, LookupRow{member.id, member.created_by}));
            }
            return {};
          });
      MUSTER_CHECK(done.has_value());
    });
  }
  state.SetItemsProcessed(state.iterations() * kRegistrations);
  harness.store->Close();
}

BENCHMARK(RawInsert)->Arg(1)->Arg(16)->Arg(64)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(LockStepRegister)->Arg(1)->Arg(16)->Arg(64)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace muster::mariadb
