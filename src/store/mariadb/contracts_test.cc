// The contracts of the store's ports on MariaDB: with one group, and with two, which are databases of one server.

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <vector>

#include "domain/ports/change_feed_contract.h"
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

  ChangeFeed& feed() {
    EXPECT_TRUE(harness_.WaitForStream());
    return harness_.store->change_feed();
  }
  std::vector<Change> Stream(std::uint32_t database) {
    std::vector<Change> changes;
    for (const ChangeEvent& event : contract::ReadChanges(feed(), 100)) {
      if (shards().DatabaseOf(event.member_id) != database) continue;
      // An event says which row of the history it is; the rest is there.
      const auto history = archive().ListHistory(event.member_id, Version(event.version.value() + 1), 1);
      EXPECT_TRUE(history && history->size() == 1);
      const Change& change = changes.emplace_back(history->front());
      EXPECT_EQ(change.version, event.version);
      EXPECT_EQ(change.type, event.type);
      EXPECT_EQ(change.time, event.time);
    }
    return changes;
  }
  // Between groups the order is that of the copying, so each is waited for.
  void Commit(const Member& member, ChangeType type) {
    Write(member, contract::ChangeOf(member, type));
    if (kGroups > 1) EXPECT_TRUE(harness_.WaitForStream());
  }
  // The newest stays, and what is not known yet to be out of its outbox.
  void ExpireSome() {
    EXPECT_TRUE(testing::WaitUntil([this] {
      std::promise<Result<std::uint64_t>> forgotten;
      harness_.store->change_keeper().ForgetChanges(
          0, Timestamp::max(), INT64_MAX, [&](Result<std::uint64_t> count) { forgotten.set_value(std::move(count)); });
      const Result<std::uint64_t> count = forgotten.get_future().get();
      EXPECT_TRUE(count);
      return count.value_or(0) > 0;
    }));
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
INSTANTIATE_TYPED_TEST_SUITE_P(Mariadb, ChangeFeedContract, Groups);

}  // namespace
}  // namespace muster::mariadb_contracts_test
