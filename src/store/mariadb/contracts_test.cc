// The contracts of the store's ports on MariaDB: with one group, and with two, which are databases of one server.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "domain/ports/import_ranges_contract.h"
#include "domain/ports/member_archive_contract.h"
#include "domain/ports/member_reader_contract.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/ports/shard_store_merges_contract.h"
#include "domain/ports/shard_upkeep_contract.h"
#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb_contracts_test {
namespace {

// Counts what is under way, so that a test can run a loop until nothing is.
class CountingReader final : public MemberReader {
 public:
  explicit CountingReader(MemberReader& below) : below_(below) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    below_.Get(id, options, Count(std::move(reply)));
  }
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    below_.Resolve(key, options, Count(std::move(reply)));
  }
  RouteDescription Describe() const override { return below_.Describe(); }
  bool idle() const { return under_way_ == 0; }

 private:
  MemberReply Count(MemberReply reply) {
    ++under_way_;
    return [this, reply = std::move(reply)](Result<MemberAnswer> answer) mutable {
      reply(std::move(answer));
      --under_way_;
    };
  }

  MemberReader& below_;
  int under_way_ = 0;
};

template <int kGroups>
class MariadbFactory {
 public:
  MariadbFactory() : harness_(kGroups, testing::SharedMariadb(), &clock_) {
    harness_.MustOpen();
    reader_ = harness_.store->MakeReader(loop_).value();
    counting_ = std::make_unique<CountingReader>(*reader_);
  }
  ~MariadbFactory() { harness_.store->Close(); }
  MariadbFactory(const MariadbFactory&) = delete;

  ShardStore& shards() { return harness_.store->shards(); }
  ShardUpkeep& upkeep() { return harness_.store->shard_upkeep(); }
  MemberArchive& archive() { return harness_.store->archive(); }
  ImportRanges& ranges() { return harness_.store->import_ranges(); }
  MemberReader& reader() { return *counting_; }
  ManualClock& clock() { return clock_; }
  std::uint32_t database_count() { return kGroups; }
  void RunLoop() {
    EXPECT_TRUE(loop_.RunUntil([this] { return counting_->idle(); }));
  }

  std::vector<Change> History(MemberId id) {
    auto changes = archive().ListHistory(id, Version(INT64_MAX), 1000);
    EXPECT_TRUE(changes);
    std::ranges::reverse(*changes);
    return *changes;
  }

  // As a relay will find them: for one member in the order of its commits.
  std::vector<Change> Stream(std::uint32_t database) {
    const auto rows = harness_.server.Connect(harness_.Database(database))
                          ->Query(
                              "SELECT member_id, version, type, time FROM `change` WHERE position IS NULL "
                              "ORDER BY sequence");
    EXPECT_TRUE(rows);
    std::vector<Change> changes;
    for (const auto& row : *rows) {
      // A change row says which row of the history it is; the rest is there.
      const Version version(mariadb::NumberIn(row[1]));
      const auto history = archive().ListHistory(MemberId(mariadb::NumberIn(row[0])), Version(version.value() + 1), 1);
      EXPECT_TRUE(history && history->size() == 1);
      const Change& change = changes.emplace_back(history->front());
      EXPECT_EQ(change.version, version);
      EXPECT_EQ(static_cast<std::int64_t>(change.type), mariadb::NumberIn(row[2]));
      EXPECT_EQ(change.time.time_since_epoch().count(), mariadb::NumberIn(row[3]));
    }
    return changes;
  }

  void Write(const Member& member, const Change& change) {
    Run(shards().DatabaseOf(member.id),
        [&](ShardTransaction& rows) -> Result<void> { return rows.WriteMember(member, change); });
  }
  // As the binding protocol does: reservations, then the member.
  void Put(const Member& member) {
    for (const Identity& identity : member.identities) {
      Run(shards().DatabaseOf(identity.key), [&](ShardTransaction& rows) {
        return rows.WriteLookup(identity.key, LookupRow{member.id, OperationId(member.version.value())});
      });
    }
    Write(member, contract::ChangeOf(member));
  }

 private:
  void Run(std::uint32_t database, ShardStore::Transaction transaction) {
    EXPECT_TRUE(contract::RunAndWait(shards(), database, std::move(transaction)));
  }

  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  testing::MariadbHarness harness_;
  testing::PostedLoop loop_;
  std::unique_ptr<MemberReader> reader_;
  std::unique_ptr<CountingReader> counting_;
};

using Groups = ::testing::Types<MariadbFactory<1>, MariadbFactory<2>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, ShardStoreContract, Groups);
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, ShardStoreMergesContract, Groups);
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, ShardUpkeepContract, Groups);
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, MemberArchiveContract, Groups);
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, ImportRangesContract, Groups);
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, MemberReaderContract, Groups);

}  // namespace
}  // namespace muster::mariadb_contracts_test
