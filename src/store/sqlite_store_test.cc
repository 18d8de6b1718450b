// Opening a data directory: making it, finding it again, and refusing what is not as it was left.

#include "store/sqlite_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "base/encoding.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/testing/members.h"
#include "store/data_directory.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::MakeIdentity;
using testing::StoreHarness;
using testing::TemporaryDirectory;

Result<void> WriteMember(ShardStore& shards, const Member& member, ChangeType type = ChangeType::kRegistered) {
  return contract::RunAndWait(shards, shards.DatabaseOf(member.id), [&](ShardTransaction& transaction) {
    return transaction.WriteMember(member, contract::ChangeOf(member, type));
  });
}

class SqliteStoreTest : public ::testing::TestWithParam<int> {
 protected:
  SqliteStoreTest() : harness_({.files = GetParam()}) {}

  std::string Path(std::int64_t index) { return DataFilePath(harness_.directory.path(), index); }
  std::int64_t last_file() { return GetParam() - 1; }
  void OpenAndClose() {
    ASSERT_TRUE(harness_.Open());
    harness_.store.reset();
  }
  void Write(std::int64_t file, const std::string& sql) {
    Database database = *Database::Open(Path(file), Database::Mode::kWrite);
    ASSERT_TRUE(database.Execute(sql));
  }
  // Opening fails with INTERNAL; what it says.
  std::string Refusal() {
    const Result<void> opened = harness_.Open();
    EXPECT_FALSE(opened);
    if (opened) return {};
    EXPECT_EQ(opened.error().reason, Reason::kInternal);
    return opened.error().message;
  }

  StoreHarness harness_;
};

INSTANTIATE_TEST_SUITE_P(Files, SqliteStoreTest, ::testing::Values(1, 4));

TEST_P(SqliteStoreTest, MakesItsFilesForThisUserAlone) {
  ASSERT_TRUE(harness_.Open());
  ASSERT_TRUE(WriteMember(harness_.store->shards(), contract::PlainMember(MemberId(1))));
  for (const auto& entry : std::filesystem::directory_iterator(harness_.directory.path())) {
    struct stat status;
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U) << entry.path();
  }
  EXPECT_EQ(CountDataFiles(harness_.directory.path()), GetParam());
}

TEST_P(SqliteStoreTest, MakesTheDirectoryToo) {
  const Result<std::unique_ptr<SqliteStore>> store = [&] {
    harness_.metrics = std::make_unique<MetricRegistry>();
    return SqliteStore::Open(harness_.directory.path() + "/a/b", harness_.options, harness_.Dependencies());
  }();
  EXPECT_TRUE(store) << store.error().message;
}

TEST_P(SqliteStoreTest, WhatWasWrittenIsThereAgain) {
  constexpr std::int64_t kMembers = 40;
  ASSERT_TRUE(harness_.Open());
  for (std::int64_t id = 1; id <= kMembers; ++id) {
    Member member = contract::PlainMember(MemberId(id));
    member.identities.push_back(MakeIdentity(static_cast<std::uint64_t>(id)));
    ASSERT_TRUE(WriteMember(harness_.store->shards(), member));
  }
  ASSERT_TRUE(
      WriteMember(harness_.store->shards(), contract::PlainMember(MemberId(7), Version(2)), ChangeType::kUpdated));
  EXPECT_EQ(harness_.store->CountMembers(), kMembers);
  ASSERT_TRUE(harness_.Open());
  EXPECT_EQ(harness_.store->CountMembers(), kMembers);

  std::vector<Member> members;
  MemberId after(0);
  for (;;) {  // in pages, across files
    const auto page = harness_.store->archive().ScanMembers(after, 7);
    ASSERT_TRUE(page);
    members.insert(members.end(), page->begin(), page->end());
    if (page->size() < 7) break;
    after = page->back().id;
  }
  ASSERT_EQ(members.size(), static_cast<std::size_t>(kMembers));
  for (std::int64_t id = 1; id <= kMembers; ++id) {
    const Member& member = members[static_cast<std::size_t>(id - 1)];
    EXPECT_EQ(member.id, MemberId(id));
    EXPECT_EQ(member.version, Version(id == 7 ? 2 : 1));
    EXPECT_EQ(member.identities.size(), id == 7 ? 0U : 1U);
  }
}

TEST_P(SqliteStoreTest, ClosingEmptiesTheLog) {
  OpenAndClose();
  for (const auto& entry : std::filesystem::directory_iterator(harness_.directory.path())) {
    const std::string name = entry.path().filename().string();
    EXPECT_FALSE(name.ends_with("-wal") && entry.file_size() > 0) << name;
  }
}

TEST_P(SqliteStoreTest, RefusesASecondOpenerAndNamesTheFirst) {
  ASSERT_TRUE(harness_.Open());
  MetricRegistry metrics;
  SqliteDependencies dependencies = harness_.Dependencies();
  dependencies.metrics = &metrics;
  const auto second = SqliteStore::Open(harness_.directory.path(), harness_.options, dependencies);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, AllOf(HasSubstr("in use"), HasSubstr(std::to_string(getpid()))));
  EXPECT_TRUE(WriteMember(harness_.store->shards(), contract::PlainMember(MemberId(1))))
      << "the first is not disturbed";
}

TEST_P(SqliteStoreTest, RefusesASecondOpenerWhenTheLockFileWasDeleted) {
  ASSERT_TRUE(harness_.Open());
  std::filesystem::remove(harness_.directory.path() + "/lock");
  MetricRegistry metrics;
  SqliteDependencies dependencies = harness_.Dependencies();
  dependencies.metrics = &metrics;
  const auto second = SqliteStore::Open(harness_.directory.path(), harness_.options, dependencies);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

TEST_P(SqliteStoreTest, RefusesANewerSchema) {
  OpenAndClose();
  Write(last_file(), "UPDATE meta SET value = '99' WHERE name = 'schema_version'");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("schema version 99"), HasSubstr("newer muster"),
                               HasSubstr(std::filesystem::path(Path(last_file())).filename().string())));
}

TEST_P(SqliteStoreTest, RefusesAnotherNumberOfFiles) {
  OpenAndClose();
  harness_.options.files = GetParam() + 1;
  EXPECT_THAT(Refusal(), HasSubstr("set store.sqlite.files to " + std::to_string(GetParam())));
  harness_.options.files = GetParam();
  EXPECT_TRUE(harness_.Open()) << "and leaves all as it was";
}

TEST_P(SqliteStoreTest, RefusesFilesOfAnotherInstallation) {
  StoreHarness other({.files = GetParam()});
  ASSERT_TRUE(other.Open());
  other.store.reset();
  OpenAndClose();
  const std::string foreign = DataFilePath(other.directory.path(), last_file());
  std::filesystem::copy_file(foreign, Path(last_file()), std::filesystem::copy_options::overwrite_existing);
  if (GetParam() == 1) {
    EXPECT_TRUE(harness_.Open()) << "a single file is an installation of its own";
  } else {
    EXPECT_THAT(Refusal(), AllOf(HasSubstr("another installation"), HasSubstr("one backup")));
  }
}

TEST_P(SqliteStoreTest, RefusesAMissingFile) {
  OpenAndClose();
  if (GetParam() == 1) return;  // nothing is left that could miss it
  std::filesystem::remove(Path(last_file()));
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("muster-" + std::to_string(last_file()) + ".db"), HasSubstr("missing")));
}

TEST_P(SqliteStoreTest, RefusesAFileUnderAnothersName) {
  if (GetParam() == 1) return;
  OpenAndClose();
  std::filesystem::rename(Path(1), Path(1) + ".tmp");
  std::filesystem::rename(Path(2), Path(1));
  std::filesystem::rename(Path(1) + ".tmp", Path(2));
  EXPECT_THAT(Refusal(), HasSubstr("under another name"));
}

TEST_P(SqliteStoreTest, RefusesAFileThatIsNoDatabase) {
  OpenAndClose();
  std::ofstream(Path(last_file()), std::ios::trunc) << std::string(8192, 'x');
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(Path(last_file())), HasSubstr("damaged"), HasSubstr("muster doctor")));
}

TEST_P(SqliteStoreTest, RefusesAnEmptyFile) {
  OpenAndClose();
  std::filesystem::resize_file(Path(last_file()), 0);
  EXPECT_THAT(Refusal(), HasSubstr("not a data file of muster"));
}

TEST_P(SqliteStoreTest, RefusesATruncatedFile) {
  OpenAndClose();
  std::filesystem::resize_file(Path(last_file()), std::filesystem::file_size(Path(last_file())) - 4096);
  EXPECT_THAT(Refusal(), HasSubstr("damaged"));
}

TEST_P(SqliteStoreTest, RefusesAnotherProgramsDatabaseAndLeavesItAlone) {
  OpenAndClose();
  std::filesystem::remove(Path(last_file()));
  {
    Database foreign = *Database::Open(Path(last_file()), Database::Mode::kCreate);
    ASSERT_TRUE(foreign.Execute("CREATE TABLE bookmarks(url)"));
  }
  const auto before = std::filesystem::last_write_time(Path(last_file()));
  EXPECT_THAT(Refusal(), HasSubstr("not a data file of muster"));
  EXPECT_EQ(std::filesystem::last_write_time(Path(last_file())), before);
}

TEST_P(SqliteStoreTest, RefusesAnotherKeyring) {
  OpenAndClose();
  harness_.keyring = Keyring::Generate(harness_.random);
  EXPECT_THAT(Refusal(), HasSubstr("keyring"));
}

TEST_P(SqliteStoreTest, RefusesAKindThatIsComparedOtherwise) {
  OpenAndClose();
  std::vector<IdentityKind> kinds(harness_.catalog.kinds().begin(), harness_.catalog.kinds().end());
  for (IdentityKind& kind : kinds) {
    if (kind.name == "phone") kind.normaliser = Normaliser::kOpaque;
  }
  harness_.catalog = *IdentityCatalog::Make(std::move(kinds), {}, "CN");
  EXPECT_THAT(Refusal(), HasSubstr("\"phone\" was declared"));
}

// A crash while the files are made: whatever is left, the next start ends with a whole installation.
TEST_P(SqliteStoreTest, CompletesACreationThatWasInterrupted) {
  OpenAndClose();
  const std::string unfinished = Path(0) + ".new";
  std::filesystem::rename(Path(0), unfinished);
  if (GetParam() > 1) {
    ASSERT_TRUE(harness_.Open()) << "the last rename is made up for";
    EXPECT_FALSE(std::filesystem::exists(unfinished));
    return;
  }
  std::ofstream(unfinished, std::ios::trunc) << "half a file";
  ASSERT_TRUE(harness_.Open()) << "no file had its name yet: all begins anew";
  EXPECT_FALSE(std::filesystem::exists(unfinished));
}

// Root may write everywhere, so a child without its rights tries.
TEST_P(SqliteStoreTest, RefusesADirectoryThatCannotBeWritten) {
  ASSERT_EQ(chmod(harness_.directory.path().c_str(), 0555), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (getuid() == 0 && setuid(kNobody) != 0) _exit(3);
    const Result<void> opened = harness_.Open();
    const bool refused = !opened && opened.error().message.find("writable") != std::string::npos;
    _exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ASSERT_EQ(chmod(harness_.directory.path().c_str(), 0755), 0);
}

// Everything personal carries a mark; no byte of any file may show it, in the log or out of it.
TEST_P(SqliteStoreTest, NoPersonalValueIsInAnyFile) {
  const std::string mark = "CANARY";
  ASSERT_TRUE(harness_.Open());
  for (std::int64_t id = 1; id <= 50; ++id) {
    Member member = contract::PlainMember(MemberId(id));
    member.real_name = Pii<std::string>(mark + "-name");
    member.display_name = "plain to see";
    Identity identity = MakeIdentity(static_cast<std::uint64_t>(id));
    identity.value = Pii<std::string>(mark + "-value-" + std::to_string(id));
    member.identities.push_back(identity);
    ASSERT_TRUE(contract::RunAndWait(harness_.store->shards(), harness_.store->shards().DatabaseOf(member.id),
                                     [&](ShardTransaction& transaction) -> Result<void> {
                                       Change change = contract::ChangeOf(member, ChangeType::kRegistered);
                                       change.identities = {{identity.kind, identity.platform, identity.key}};
                                       return transaction.WriteMember(member, change);
                                     }));
  }
  const auto scan = [&] {
    bool saw_plain = false;
    for (const auto& entry : std::filesystem::directory_iterator(harness_.directory.path())) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      EXPECT_EQ(bytes.find(mark), std::string::npos) << entry.path();
      saw_plain = saw_plain || bytes.find("plain to see") != std::string::npos;
    }
    EXPECT_TRUE(saw_plain) << "the scan must be able to find something";
  };
  scan();
  harness_.store.reset();
  scan();
}

// Whatever the clock says: it may have gone away and come back.
TEST_P(SqliteStoreTest, NoOutcomeIsForgottenThatItsOperationMayStillAskFor) {
  ASSERT_TRUE(harness_.Open());
  ShardStore& shards = harness_.store->shards();
  ShardUpkeep& upkeep = harness_.store->shard_upkeep();
  ASSERT_TRUE(contract::RunAndWait(shards, 0, [](ShardTransaction& rows) -> Result<void> {
    for (const std::int64_t id : {5, 7, 9})
      MUSTER_TRY(rows.records().WriteOperation(OperationId(id), OperationOutcome::kAborted));
    return {};
  }));
  const Timestamp before = shards.Now(0) + std::chrono::hours(2);
  {
    const OperationsUnderWay::Entry under_way(shards.under_way(), OperationId(7));
    EXPECT_EQ(contract::ForgetAndWait(upkeep, 0, before), 1U);
    EXPECT_EQ(contract::ForgetAndWait(upkeep, 0, before), 0U);
  }
  EXPECT_EQ(contract::ForgetAndWait(upkeep, 0, before), 2U);
}

TEST(DirectoryLockTest, IsFreeAgainWhenItsHolderIsGone) {
  const TemporaryDirectory directory;
  {
    ASSERT_TRUE(DirectoryLock::Acquire(directory.path()));
  }
  const Result<DirectoryLock> lock = DirectoryLock::Acquire(directory.path());
  ASSERT_TRUE(lock);
  EXPECT_FALSE(DirectoryLock::Acquire(directory.path()));
}

TEST(SqliteOptionsTest, AreDeclaredWithBounds) {
  SqliteOptions options;
  OptionRegistry registry;
  options.Declare(registry);
  EXPECT_TRUE(registry.Set("store.sqlite.files", "4", "test"));
  EXPECT_EQ(options.files, 4);
  EXPECT_FALSE(registry.Set("store.sqlite.files", "0", "test"));
  EXPECT_FALSE(registry.Set("store.sqlite.files", "65", "test"));
  EXPECT_TRUE(registry.Set("store.sqlite.writer_cache_bytes", "16MiB", "test"));
  EXPECT_EQ(options.writer_cache_bytes, std::int64_t{16} << 20);
}

}  // namespace
}  // namespace muster
