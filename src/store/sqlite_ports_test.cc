// The contracts of what a SqliteStore offers beside ShardStore, with one file and with four.

#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "base/check.h"
#include "domain/ports/change_feed_contract.h"
#include "domain/ports/import_ranges_contract.h"
#include "domain/ports/member_archive_contract.h"
#include "domain/ports/member_reader_contract.h"
#include "domain/ports/shard_store_testing.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

template <int kFiles>
class SqliteFactory {
 public:
  SqliteFactory() : harness_({.files = kFiles, .durable = false}, &clock_) {
    MUSTER_CHECK(harness_.Open().has_value());
    reader_ = harness_.store->MakeReader(loop_).value();
  }
  ~SqliteFactory() {
    reader_.reset();
    harness_.store->Close();
  }
  SqliteFactory(const SqliteFactory&) = delete;

  MemberArchive& archive() { return harness_.store->archive(); }
  ImportRanges& ranges() { return harness_.store->import_ranges(); }
  ChangeFeed& feed() { return harness_.store->change_feed(); }
  MemberReader& reader() { return *reader_; }
  ManualClock& clock() { return clock_; }
  void RunLoop() {
    while (!loop_.idle()) loop_.RunTurn();
  }

  void Write(const Member& member, const Change& change) {
    Run(shards().DatabaseOf(member.id),
        [&](ShardTransaction& rows) -> Result<void> { return rows.WriteMember(member, change); });
  }
  void Commit(const Member& member, ChangeType type) { Write(member, contract::ChangeOf(member, type)); }
  // As the binding protocol does: reservations, then the member.
  void Put(const Member& member) {
    for (const Identity& identity : member.identities) {
      Run(shards().DatabaseOf(identity.key), [&](ShardTransaction& rows) {
        return rows.WriteLookup(identity.key, LookupRow{member.id, OperationId(member.version.value())});
      });
    }
    Write(member, contract::ChangeOf(member));
  }
  // The newest of each file stays.
  void ExpireSome() {
    for (std::uint32_t file = 0; file < kFiles; ++file) {
      std::promise<Result<std::uint64_t>> forgotten;
      harness_.store->change_keeper().ForgetChanges(
          file, Timestamp::max(), INT64_MAX,
          [&](Result<std::uint64_t> count) { forgotten.set_value(std::move(count)); });
      EXPECT_TRUE(forgotten.get_future().get());
    }
  }

 private:
  ShardStore& shards() { return harness_.store->shards(); }
  void Run(std::uint32_t database, ShardStore::Transaction transaction) {
    EXPECT_TRUE(contract::RunAndWait(shards(), database, std::move(transaction)));
  }

  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  testing::StoreHarness harness_;
  testing::TurnLoop loop_;
  std::unique_ptr<MemberReader> reader_;
};

using Files = ::testing::Types<SqliteFactory<1>, SqliteFactory<4>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, MemberArchiveContract, Files);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, ImportRangesContract, Files);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, ChangeFeedContract, Files);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, MemberReaderContract, Files);

}  // namespace
}  // namespace muster
