#include "store/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/id_allocator.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/synthetic_members.h"
#include "store/data_directory.h"
#include "store/doctor_fixture.h"
#include "store/doctor_report.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster::doctor_test {
namespace {

using ::testing::Contains;
using testing::DoctorTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kMembers;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
INSTANTIATE_TEST_SUITE_P(Files, DoctorTest, ::testing::Values(1, 4));

TEST_P(DoctorTest, ASoundStoreHasNoFindings) {
  std::uint64_t identities = 0;
  for (const Member& member : members_) identities += member.identities.size();
  std::uint64_t last_done = 0, last_total = 0;
  const auto examination =
      ExamineStore(harness_.directory.path(), harness_.keyring, [&](std::uint64_t done, std::uint64_t total) {
        EXPECT_GE(done, last_done);
        last_done = done;
        last_total = total;
      });
  ASSERT_TRUE(examination);
  EXPECT_THAT(examination->findings, IsEmpty());
  EXPECT_EQ(examination->findings_total, 0U);
  EXPECT_EQ(examination->members, kMembers);
  EXPECT_EQ(examination->identities, identities);
  EXPECT_EQ(examination->lookups, identities);
  EXPECT_EQ(examination->changes, 2 * kMembers);
  EXPECT_EQ(examination->history, 2 * kMembers);
  EXPECT_THAT(examination->members_by_seal_key, ElementsAre(Pair(harness_.keyring.active_seal_id(), kMembers)));
  EXPECT_EQ(last_done, last_total);
}

TEST_P(DoctorTest, ChangesNothing) {
  std::vector<std::string> before;
  const auto read_all = [&] {
    std::vector<std::string> contents;
    for (int file = 0; file < GetParam(); ++file) {
      std::ifstream stream(Path(static_cast<std::size_t>(file)), std::ios::binary);
      contents.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    return contents;
  };
  before = read_all();
  Examine();
  EXPECT_EQ(read_all(), before);
  EXPECT_TRUE(harness_.Open()) << "and leaves no lock";
}

TEST_P(DoctorTest, RefusesADirectoryInUseOrWithoutData) {
  ASSERT_TRUE(harness_.Open());
  EXPECT_THAT(ExamineStore(harness_.directory.path(), harness_.keyring, nullptr).error().message, HasSubstr("in use"));
  const testing::TemporaryDirectory empty;
  EXPECT_THAT(ExamineStore(empty.path(), harness_.keyring, nullptr).error().message, HasSubstr("no muster data"));
  EXPECT_TRUE(std::filesystem::is_empty(empty.path())) << "looking must not leave anything";
}

TEST_P(DoctorTest, FindsADanglingLookupRowAndCallsItHarmless) {
  const IdentityKey key = [&] {
    IdentityKey made;
    made.bytes.fill(0x5A);
    return made;
  }();
  Sql(FileOf(key), "INSERT INTO identity VALUES(" + Quote(key) + ", 7, 1)");
  const Examination examination = Examine();
  ASSERT_EQ(examination.findings.size(), 1U);
  EXPECT_EQ(examination.findings[0].code, "LOOKUP_DANGLING");
  EXPECT_FALSE(examination.findings[0].is_damage);
  EXPECT_EQ(examination.findings[0].subject, "identity " + ToHex(key.bytes));
  EXPECT_THAT(examination.findings[0].detail, HasSubstr("member 7"));
}

TEST_P(DoctorTest, FindsAMissingLookupRow) {
  const IdentityKey key = members_[4].identities[0].key;
  Sql(FileOf(key), "DELETE FROM identity WHERE key = " + Quote(key));
  EXPECT_THAT(Codes(), ElementsAre("LOOKUP_MISSING"));
}

TEST_P(DoctorTest, FindsALookupRowThatLeadsElsewhere) {
  const IdentityKey key = members_[4].identities[0].key;
  Sql(FileOf(key), "UPDATE identity SET member_id = 9 WHERE key = " + Quote(key));
  EXPECT_THAT(Codes(), UnorderedElementsAre("LOOKUP_ELSEWHERE", "LOOKUP_DANGLING"));
}

TEST_P(DoctorTest, FindsALookupRowOfAnotherOperation) {
  const IdentityKey key = members_[4].identities[0].key;
  Sql(FileOf(key), "UPDATE identity SET operation_id = 1 WHERE key = " + Quote(key));
  EXPECT_THAT(Codes(), ElementsAre("LOOKUP_OPERATION_DIFFERS"));
}

TEST_P(DoctorTest, FindsAnIdentityThatIsHeldTwice) {
  Member thief = members_[5];
  thief.version = Version(3);
  thief.identities.push_back(members_[4].identities[0]);
  Replace(thief);
  const Examination examination = Examine();
  ASSERT_EQ(examination.findings.size(), 1U);
  EXPECT_EQ(examination.findings[0].code, "IDENTITY_HELD_TWICE");
  EXPECT_TRUE(examination.findings[0].is_damage);
  EXPECT_THAT(examination.findings[0].detail, HasSubstr("member 5"));
  EXPECT_THAT(examination.findings[0].detail, HasSubstr("member 6"));
}

TEST_P(DoctorTest, FindsAnIdentityThatIsListedTwice) {
  Member member = members_[5];
  member.version = Version(3);
  member.identities.push_back(member.identities[0]);
  Replace(member);
  EXPECT_THAT(Codes(), ElementsAre("IDENTITY_LISTED_TWICE"));
}

TEST_P(DoctorTest, FindsAKeyThatIsNotOfItsValue) {
  Member member = members_[5];
  member.version = Version(3);
  member.identities[0].value = Pii<std::string>("+8613800000000");
  Replace(member);
  const Examination examination = Examine();
  ASSERT_EQ(examination.findings.size(), 1U);
  EXPECT_EQ(examination.findings[0].code, "IDENTITY_KEY_WRONG");
  EXPECT_THAT(examination.findings[0].detail, ::testing::Not(HasSubstr("13800000000")));
}

TEST_P(DoctorTest, FindsAClosedMemberThatHolds) {
  Member member = members_[5];
  member.version = Version(3);
  member.state = MemberState::kClosed;
  Replace(member);
  EXPECT_THAT(Codes(), ElementsAre("MEMBER_CLOSED_HOLDS"));
}

TEST_P(DoctorTest, FindsARecordThatCannotBeRead) {
  const std::size_t identities = members_[5].identities.size();
  Sql(FileOf(MemberId(6)), "UPDATE member SET record = x'FFFF' WHERE id = 6");
  EXPECT_THAT(Codes(), ElementsAre("RECORD_UNREADABLE"));
  EXPECT_EQ(Examine().lookups - Examine().identities, identities);
}

TEST_P(DoctorTest, FindsARecordUnderAnothersId) {
  Sql(FileOf(MemberId(6)), "UPDATE member SET record = (SELECT record FROM member WHERE id <> 6 LIMIT 1) WHERE id = 6");
  EXPECT_THAT(Codes(), ElementsAre("RECORD_UNREADABLE"));
}

TEST_P(DoctorTest, FindsAMemberThatIsGone) {
  Sql(FileOf(MemberId(6)), "DELETE FROM member WHERE id = 6");
  std::vector<std::string> expected(members_[5].identities.size(), "LOOKUP_DANGLING");
  expected.emplace_back("HISTORY_ORPHAN");
  expected.emplace_back("MEMBER_COUNT_DIFFERS");
  EXPECT_THAT(Codes(), ::testing::UnorderedElementsAreArray(expected));
}

TEST_P(DoctorTest, FindsAVersionThatTheHistoryDoesNotKnow) {
  Sql(FileOf(MemberId(6)), "UPDATE member SET version = 9 WHERE id = 6");
  EXPECT_THAT(Codes(), ElementsAre("HISTORY_VERSION_DIFFERS"));
}

TEST_P(DoctorTest, FindsAVersionThatIsMissingFromTheHistory) {
  Member member = members_[5];
  member.version = Version(4);
  Replace(member);
  EXPECT_THAT(Codes(), ElementsAre("HISTORY_GAP"));
}

TEST_P(DoctorTest, FindsAHistoryThatIsGone) {
  Sql(FileOf(MemberId(6)), "DELETE FROM history WHERE member_id = 6");
  EXPECT_THAT(Codes(),
              UnorderedElementsAre("CHANGE_COUNT_DIFFERS", "HISTORY_MISSING", "CHANGE_ORPHAN", "CHANGE_ORPHAN"));
}

TEST_P(DoctorTest, FindsAHoleInTheChangeStream) {
  Sql(FileOf(MemberId(6)),
      "DELETE FROM change WHERE position = (SELECT position FROM change ORDER BY position DESC LIMIT 1 OFFSET 1)");
  EXPECT_THAT(Codes(), WithGap("CHANGE_COUNT_DIFFERS"));
}

TEST_P(DoctorTest, FindsAChangeThatIsNotInTheHistory) {
  Sql(FileOf(MemberId(6)), "UPDATE change SET type = 5 WHERE position = (SELECT min(position) FROM change)");
  EXPECT_THAT(Codes(), ElementsAre("CHANGE_ORPHAN"));
}

TEST_P(DoctorTest, FindsARowOfHistoryThatCannotBeRead) {
  Sql(FileOf(MemberId(6)), "UPDATE history SET detail = x'00' WHERE member_id = 6 AND version = 2");
  EXPECT_THAT(Codes(), ElementsAre("HISTORY_UNREADABLE"));
  Sql(FileOf(MemberId(6)), "UPDATE history SET detail = x'00' WHERE member_id = 6 AND version = 1");
  EXPECT_THAT(Codes(), ElementsAre("HISTORY_UNREADABLE", "HISTORY_UNREADABLE"));
  Sql(FileOf(MemberId(7)), "UPDATE history SET type = 99 WHERE member_id = 7 AND version = 2");
  EXPECT_THAT(Codes(), ::testing::Contains("HISTORY_UNREADABLE").Times(3));
}

TEST_P(DoctorTest, FindsNumbersThatCannotBe) {
  Sql(0, "UPDATE change SET number = 9223372036854775807 WHERE position = (SELECT min(position) FROM change)");
  EXPECT_THAT(Codes(), ElementsAre("NUMBER_WRONG"));
  Sql(0, "UPDATE change SET number = -1 WHERE position = (SELECT min(position) FROM change)");
  EXPECT_THAT(Codes(), ElementsAre("NUMBER_WRONG"));
  Sql(0,
      "UPDATE change SET number = (SELECT number FROM change ORDER BY position LIMIT 1 OFFSET 1) + 1 WHERE position = "
      "(SELECT min(position) FROM change)");
  EXPECT_THAT(Codes(), Contains("NUMBER_WRONG"));
}

TEST_P(DoctorTest, FindsRangesThatCannotBe) {
  const std::int64_t first = *IdAllocator::FirstOfRange(harness_.system_clock.Now(), 0, 0, 100);
  const auto insert = [&](std::int64_t from, std::int64_t lines) {
    Sql(0,
        "INSERT INTO import_range(first, lines) VALUES(" + std::to_string(from) + ", " + std::to_string(lines) + ")");
  };
  insert(first, 100);
  EXPECT_THAT(Codes(), IsEmpty());
  insert(first + 1, 100);
  EXPECT_THAT(Codes(), ElementsAre("IMPORT_RANGE_WRONG"));
  Sql(0, "DELETE FROM import_range");
  insert(first, 0);
  EXPECT_THAT(Codes(), ElementsAre("IMPORT_RANGE_WRONG"));
}

TEST_P(DoctorTest, FindsAnOutcomeThatIsNone) {
  Sql(0, "INSERT INTO operation(id, outcome, time) VALUES(1, 1, 1), (2, 2, 1)");
  EXPECT_THAT(Codes(), IsEmpty());
  Sql(0, "UPDATE operation SET outcome = 3 WHERE id = 2");
  EXPECT_THAT(Codes(), ElementsAre("OUTCOME_UNREADABLE"));
}

TEST_P(DoctorTest, FindsThatTheFirstChangesAreGone) {
  // The first change of a file is the registration of a member: its row goes with it.
  Sql(0,
      "DELETE FROM history WHERE version = 1 AND member_id = (SELECT member_id FROM change WHERE position = (SELECT "
      "min(position) FROM change)); "
      "DELETE FROM change WHERE position = (SELECT min(position) FROM change)");
  EXPECT_THAT(Codes(), WithGap("HISTORY_GAP"));
}

TEST_P(DoctorTest, AHistoryMayBeginWithAnImport) {
  Member member = members_[0];
  member.id = MemberId(1'000);
  member.version = Version(17);
  member.identities.clear();
  Replace(member, ChangeType::kImported);
  EXPECT_THAT(Codes(), IsEmpty());
}

TEST_P(DoctorTest, FindsATableOrAColumnThatIsMissing) {
  const std::size_t last = static_cast<std::size_t>(GetParam()) - 1;
  Sql(last, "DROP TABLE operation");
  EXPECT_THAT(Codes(), ElementsAre("TABLE_MISSING"));
  EXPECT_THAT(Examine().findings[0].detail, HasSubstr("operation"));
  Sql(0, "ALTER TABLE member DROP COLUMN record");
  EXPECT_THAT(Codes(), ElementsAre("TABLE_MISSING", "TABLE_MISSING"));
  EXPECT_THAT(harness_.Open().error().message, HasSubstr("lacks its table member or a column of it"));
}

TEST_P(DoctorTest, SaysOfAnEmptyFileWhatTheServerSays) {
  std::filesystem::resize_file(Path(0), 0);
  const std::string said = ExamineStore(harness_.directory.path(), harness_.keyring, nullptr).error().message;
  EXPECT_THAT(said, HasSubstr("is not a data file of muster, for it is empty"));
  EXPECT_EQ(harness_.Open().error().message, said);
}

TEST_P(DoctorTest, FindsDamagedPagesAndExaminesTheRest) {
  const std::string path = Path(0);
  const std::uintmax_t size = std::filesystem::file_size(path);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size / 4096 / 2 * 4096));
    file << std::string(4096, '\xA5');
  }
  const Examination examination = Examine();
  ASSERT_FALSE(examination.findings.empty());
  EXPECT_TRUE(std::ranges::any_of(examination.findings, [&](const Finding& finding) {
    return finding.code == "FILE_DAMAGED" && finding.subject == path && finding.is_damage;
  }));
}

TEST_P(DoctorTest, FindsRowsInTheWrongFile) {
  if (GetParam() == 1) return;  // there is no wrong file
  const IdentityKey key = members_[0].identities[0].key;
  const std::size_t right = FileOf(key);
  const std::size_t wrong = (right + 1) % static_cast<std::size_t>(GetParam());
  Sql(right, "DELETE FROM identity WHERE key = " + Quote(key));
  Sql(wrong, "INSERT INTO identity VALUES(" + Quote(key) + ", 1, 100)");
  EXPECT_THAT(Codes(), UnorderedElementsAre("LOOKUP_MISSING", "LOOKUP_MISPLACED"));
}

TEST_P(DoctorTest, KeepsTheFirstThousandFindingsAndCountsAll) {
  std::string sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) ";
  // Keys whose first two bytes are zero are of shard 0, which is in the first file.
  sql += "INSERT INTO identity SELECT CAST(x'0000' || randomblob(14) AS BLOB), 1, 1 FROM n";
  Sql(0, sql);
  const Examination examination = Examine();
  EXPECT_EQ(examination.findings.size(), 1000U);
  EXPECT_EQ(examination.findings_total, 1500U);
  EXPECT_EQ(examination.damage_total, 0U);
}

TEST_P(DoctorTest, AnotherKeyringOpensNothing) {
  harness_.keyring = Keyring::Generate(harness_.random);
  const Examination examination = Examine();
  EXPECT_GE(examination.damage_total, kMembers);
  EXPECT_EQ(examination.findings[0].code, "KEYRING_DIFFERS");
  EXPECT_EQ(std::ranges::count(Codes(), "RECORD_UNREADABLE"), kMembers);
}

}  // namespace
}  // namespace muster::doctor_test
