// What the leaf of the route tree does beyond its contract: statements are shared, and a group that is down fails its
// own reads alone. Walks over many lookup rows.

#include "store/mariadb/reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"
#include "store/mariadb/archive.h"
#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb {
namespace {

using testing::MariadbHarness;

void Put(ShardStore& shards, const Member& member) {
  for (const Identity& identity : member.identities) {
    ASSERT_TRUE(contract::RunAndWait(shards, shards.DatabaseOf(identity.key), [&](ShardTransaction& rows) {
      return rows.WriteLookup(identity.key, LookupRow{member.id, OperationId(1)});
    }));
  }
  ASSERT_TRUE(contract::RunAndWait(shards, shards.DatabaseOf(member.id), [&](ShardTransaction& rows) {
    return rows.WriteMember(member, contract::ChangeOf(member));
  }));
}

TEST(MariadbReader, AThousandReadsTakeAFewStatements) {
  MariadbHarness harness(2);
  harness.options.changes_poll_ms = 10'000;  // the relay's statements count, too
  harness.MustOpen();
  for (std::int64_t id = 1; id <= 40; ++id) {
    Member member = contract::PlainMember(MemberId(id));
    member.identities.push_back(testing::MakeIdentity(static_cast<std::uint64_t>(id)));
    Put(harness.store->shards(), member);
  }
  ASSERT_TRUE(harness.WaitForStream());
  testing::PostedLoop loop;
  const auto reader = *harness.store->MakeReader(loop);
  const auto selects = [&] {
    return harness.server.ReadInteger(
        "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'COM_STMT_EXECUTE'");
  };
  const std::int64_t before = selects();
  int found = 0;
  int answered = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t number = i % 50 + 1;  // ten of them are nobody
    const auto count = [&, number](const Result<MemberAnswer>& answer) {
      ++answered;
      ASSERT_TRUE(answer);
      EXPECT_EQ(static_cast<bool>(answer->member), number <= 40);
      if (answer->member) ++found;
    };
    if (i % 2 == 0) {
      reader->Get(MemberId(number), {}, count);
    } else {
      reader->Resolve(testing::MakeIdentity(static_cast<std::uint64_t>(number)).key, {}, count);
    }
  }
  ASSERT_TRUE(loop.RunUntil([&] { return answered == 1000; }));
  EXPECT_EQ(found, 800);
  EXPECT_LE(selects() - before, 40) << "lookup rows and members of two groups, in a few turns";
}

TEST(MariadbReader, WhereNoneShareEachReadHasItsStatement) {
  MariadbHarness harness(1);
  harness.options.changes_poll_ms = 10'000;
  harness.options.reads_per_turn = 1;
  harness.MustOpen();
  Put(harness.store->shards(), contract::PlainMember(MemberId(1)));
  ASSERT_TRUE(harness.WaitForStream());
  testing::PostedLoop loop;
  const auto reader = *harness.store->MakeReader(loop);
  constexpr std::int64_t kReads = 200;
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < kReads; ++i) {
    reader->Get(MemberId(1), {},
                [&](const Result<MemberAnswer>& answer) { found += answer && answer->member ? 1 : 0; });
  }
  ASSERT_TRUE(loop.RunUntil([&] { return found == kReads; }));
  const RouteDescription description = reader->Describe();
  EXPECT_THAT(description.counters, ::testing::Contains(::testing::Pair("turns", kReads)));
}

TEST(MariadbReader, AGroupThatIsDownFailsItsOwnReadsAlone) {
  testing::MariadbServer other;
  MariadbHarness harness(2);
  const std::string lent = harness.options.groups[1].database;
  harness.options.groups[1] = {.primary = other.address(), .replicas = {}, .database = other.TakeDatabase()};
  harness.options.connect_timeout_ms = 1'000;
  harness.gives_back = false;
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  const MemberId here = contract::MemberIn(shards, 0, 0);
  const MemberId there = contract::MemberIn(shards, 1, 0);
  Put(shards, contract::PlainMember(here));
  Put(shards, contract::PlainMember(there));
  testing::PostedLoop loop;
  const auto reader = *harness.store->MakeReader(loop);
  other.Kill();
  std::optional<Result<MemberAnswer>> answers[2];
  reader->Get(here, {}, [&](Result<MemberAnswer> answer) { answers[0].emplace(std::move(answer)); });
  reader->Get(there, {}, [&](Result<MemberAnswer> answer) { answers[1].emplace(std::move(answer)); });
  ASSERT_TRUE(loop.RunUntil([&] { return answers[0] && answers[1]; }));
  ASSERT_TRUE(*answers[0]);
  EXPECT_TRUE((*answers[0])->member);
  ASSERT_FALSE(*answers[1]);
  EXPECT_EQ(answers[1]->error().reason, Reason::kOverloaded);
  harness.store->Close();
  harness.options.groups[1] = {.primary = "", .replicas = {}, .database = lent};
}

TEST(MariadbArchive, AWalkOverManyLookupsByRangesIsTheSameAsBySorting) {
  MariadbHarness harness(2);
  harness.MustOpen();
  ShardStore& shards = harness.store->shards();
  std::vector<IdentityKey> keys;
  for (std::uint32_t index = 0; index < 300; ++index) keys.push_back(contract::KeyIn(shards, 1, index));
  // Neighbours in one range, and its ends.
  for (const std::uint8_t last : std::initializer_list<std::uint8_t>{0, 1, 0xFE, 0xFF}) {
    IdentityKey key;
    key.bytes.fill(last);
    key.bytes[0] = 0x80;
    key.bytes[1] = 0x01;
    keys.push_back(key);
  }
  ASSERT_TRUE(contract::RunAndWait(shards, 1, [&](ShardTransaction& rows) -> Result<void> {
    for (const IdentityKey& key : keys) MUSTER_TRY(rows.WriteLookup(key, LookupRow{MemberId(1), OperationId(1)}));
    return {};
  }));
  std::ranges::sort(keys);
  std::vector<SessionSettings> sessions;
  for (const auto& group : harness.options.groups) {
    SessionSettings& session = sessions.emplace_back();
    session.place = GroupPlace::Fixed(*Endpoint::Parse(group.primary));
    session.account.user = "root";
    session.database = group.database;
  }
  Archive archive(sessions, FixedShards(ShardMap::Spread(2)), harness.keyring, harness.random);
  for (const std::int64_t sorted_rows_max : {std::int64_t{0}, std::int64_t{1'000'000}}) {
    archive.SortUpTo(sorted_rows_max);
    for (const std::size_t limit : {std::size_t{7}, std::size_t{1000}}) {
      std::vector<IdentityKey> walked;
      for (IdentityKey after{};;) {
        const auto page = archive.ScanLookups(1, after, limit);
        ASSERT_TRUE(page) << page.error().message;
        for (const auto& entry : *page) walked.push_back(entry.key);
        if (page->size() < limit) break;
        after = page->back().key;
      }
      EXPECT_EQ(walked, keys) << "sorted up to " << sorted_rows_max << ", in pages of " << limit;
    }
  }
}

}  // namespace
}  // namespace muster::mariadb
