#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/doctor_fixture.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A sound directory with one kept answer and one merge, which each test damages.
class DoctorRecordsTest : public testing::DoctorTest {
 protected:
  DoctorRecordsTest() {
    MUSTER_CHECK(harness_.Open().has_value());
    ShardStore& shards = harness_.store->shards();
    const auto run = [&](MemberId id, auto write) {
      MUSTER_CHECK(contract::RunAndWait(shards, shards.DatabaseOf(id), write).has_value());
    };
    Member source = members_[0];
    // What it held is free again, as far as the doctor can tell.
    for (const Identity& identity : source.identities) {
      MUSTER_CHECK(contract::RunAndWait(shards, shards.DatabaseOf(identity.key), [&](ShardTransaction& transaction) {
                     return transaction.WriteLookup(identity.key, std::nullopt);
                   }).has_value());
    }
    const IdentityKey brought = source.identities[0].key;
    source.identities.clear();
    source.version = Version(3);
    source.state = MemberState::kMerged;
    source.merged_into = target();
    run(source.id, [&](ShardTransaction& transaction) {
      return transaction.WriteMember(source, contract::ChangeOf(source, ChangeType::kUpdated));
    });
    run(target(), [&](ShardTransaction& transaction) {
      return transaction.records().WriteMerge(target(), source.id, MergeRecord{{{brought, OperationId(7)}}});
    });
    run(target(), [&](ShardTransaction& transaction) {
      return transaction.records().WriteAnswer(RequestHash{}, KeptAnswer{{}, members_[1]});
    });
    harness_.store.reset();
  }

  MemberId target() const { return members_[1].id; }
  std::size_t file() { return FileOf(target()); }
};

INSTANTIATE_TEST_SUITE_P(Files, DoctorRecordsTest, ::testing::Values(1, 4));

TEST_P(DoctorRecordsTest, SoundRecordsAreNoFinding) { EXPECT_THAT(Codes(), IsEmpty()); }

TEST_P(DoctorRecordsTest, FindsAnAnswerThatCannotBeRead) {
  Sql(file(), "UPDATE record SET value = x'00' WHERE kind = 1");
  EXPECT_THAT(Codes(), ElementsAre("KEPT_ANSWER_UNREADABLE"));
}

TEST_P(DoctorRecordsTest, FindsAMergeThatCannotBeTakenBack) {
  Sql(file(), "UPDATE record SET value = x'00' WHERE kind = 2");
  EXPECT_THAT(Codes(), ElementsAre("MERGE_RECORD_UNREADABLE"));
  Sql(file(), "UPDATE record SET value = x'', key = x'01' WHERE kind = 2");
  EXPECT_THAT(Codes(), ElementsAre("MERGE_RECORD_UNREADABLE"));
}

TEST_P(DoctorRecordsTest, FindsAMergeOfMembersThatAreNotMerged) {
  Member source = members_[0];
  source.identities.clear();
  source.version = Version(4);
  Replace(source);
  EXPECT_THAT(Codes(), ElementsAre("MERGE_RECORD_STRAY"));
  EXPECT_EQ(Examine().damage_total, 0U);
}

TEST_P(DoctorRecordsTest, FindsAMarkThatIsNone) {
  for (const char* row :
       {"x'00', 0, x''", "x'0000000000000005', 0, x''", "x'0000000000000005', 0, x'7fffffffffffffff'"}) {
    Sql(file(), "INSERT INTO record(kind, key, time, value) VALUES(3, " + std::string(row) + ")");
    EXPECT_THAT(Codes(), ::testing::Contains("MOVE_MARK_UNREADABLE")) << row;
    EXPECT_FALSE(harness_.Open()) << row;
    Sql(file(), "DELETE FROM record WHERE kind = 3");
  }
}

TEST_P(DoctorRecordsTest, FindsARowOfNoKind) {
  Sql(file(), "UPDATE record SET kind = 9 WHERE kind = 1");
  EXPECT_THAT(Codes(), ElementsAre("RECORD_KIND_UNKNOWN"));
}

TEST_P(DoctorRecordsTest, FindsAStartOfTheFeedThatIsWrong) {
  for (const char* value : {"'zz'", "''", "'5x'", "'-1'", "'9223372036854775807'"}) {
    Sql(file(), "UPDATE meta SET value = " + std::string(value) + " WHERE name = 'feed_start'");
    EXPECT_THAT(Codes(), ElementsAre("FEED_START_WRONG")) << value;
  }
  Sql(file(), "DELETE FROM meta WHERE name = 'feed_start'");
  EXPECT_THAT(Codes(), ElementsAre("FEED_START_WRONG"));
}

}  // namespace
}  // namespace muster
