#include "store/log_gather.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace {
std::atomic<int> g_writes{0};
// The write after this many fails as on a full disk; negative: none does.
std::atomic<int> g_full_after{-1};
}  // namespace

// SQLite writes with this function; here its calls are counted, and can fail.
extern "C" ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t at) {
  ++g_writes;
  if (g_full_after.load() >= 0 && g_full_after.fetch_sub(1) == 0) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_pwrite64, descriptor, bytes, count, at);
}

namespace muster {
namespace {

class LogGatherTest : public ::testing::Test {
 protected:
  LogGatherTest() : path_(directory_.path() + "/test.db"), writer_(*Database::Open(path_, Database::Mode::kCreate)) {
    Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");
    Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB NOT NULL)");
    begin_ = *writer_.Prepare("BEGIN IMMEDIATE");
    commit_ = *writer_.Prepare("COMMIT");
    insert_ = *writer_.Prepare("INSERT INTO t(body) VALUES(zeroblob(?1))");
  }
  void Execute(const std::string& sql) {
    const Result<void> done = writer_.Execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  void Insert(std::int64_t bytes) { ASSERT_TRUE(insert_.Bind(1, bytes).Run()); }
  // Through SQLite's own layer, as every reader has it.
  std::string AsAReaderSees(const std::string& sql) {
    Database reader = *Database::Open(path_, Database::Mode::kRead);
    Statement statement = *reader.Prepare(sql);
    EXPECT_TRUE(*statement.Step());
    return statement.Text(0);
  }

  testing::TemporaryDirectory directory_;
  std::string path_;
  Database writer_;
  Statement begin_, commit_, insert_;
};

TEST_F(LogGatherTest, ACommitIsOneWriteAndVisibleToOthers) {
  ASSERT_TRUE(begin_.Run());
  for (int i = 0; i < 10; ++i) Insert(3000);
  const int before = g_writes;
  ASSERT_TRUE(writer_.CommitGathered(commit_));
  EXPECT_EQ(g_writes - before, 1);
  EXPECT_EQ(AsAReaderSees("SELECT count(*) FROM t"), "10");
}

TEST_F(LogGatherTest, CommitsOfEverySizeArriveWhole) {
  std::int64_t bytes = 0;
  // Around the pieces of 64 KiB in which a commit is written, and around the 1 MiB that is gathered at most.
  for (const std::int64_t size :
       {1, 4'000, 60'000, 65'000, 66'000, 131'000, 132'000, 1'040'000, 1'050'000, 5'000'000}) {
    ASSERT_TRUE(begin_.Run());
    Insert(size);
    ASSERT_TRUE(writer_.CommitGathered(commit_));
    bytes += size;
    EXPECT_EQ(AsAReaderSees("SELECT sum(length(body)) FROM t"), std::to_string(bytes));
    EXPECT_EQ(AsAReaderSees("PRAGMA integrity_check"), "ok");
  }
}

// With a tiny page cache SQLite writes pages before the commit, reads them back, and writes them again.
TEST_F(LogGatherTest, PagesSpilledBeforeTheCommitAreNotConfused) {
  Execute("PRAGMA cache_size = 10");
  for (int round = 1; round <= 3; ++round) {
    ASSERT_TRUE(begin_.Run());
    for (int i = 0; i < 300; ++i) Insert(3000);
    Execute("UPDATE t SET body = zeroblob(3500)");
    ASSERT_TRUE(writer_.CommitGathered(commit_));
    EXPECT_EQ(AsAReaderSees("SELECT sum(length(body)) FROM t"), std::to_string(round * 300 * 3500));
    EXPECT_EQ(AsAReaderSees("PRAGMA integrity_check"), "ok");
  }
}

TEST_F(LogGatherTest, ARolledBackTransactionLeavesNothing) {
  Execute("PRAGMA cache_size = 10");
  ASSERT_TRUE(begin_.Run());
  for (int i = 0; i < 300; ++i) Insert(3000);
  Execute("ROLLBACK");
  ASSERT_TRUE(begin_.Run());
  Insert(100);
  ASSERT_TRUE(writer_.CommitGathered(commit_));
  EXPECT_EQ(AsAReaderSees("SELECT sum(length(body)) FROM t"), "100");
  EXPECT_EQ(AsAReaderSees("PRAGMA integrity_check"), "ok");
}

// Each write of a large commit fails once: the commit then says so, nobody sees any of it, and the next one succeeds.
TEST_F(LogGatherTest, AWriteThatFailsFailsTheCommit) {
  for (int fails_at = 0;; ++fails_at) {
    ASSERT_TRUE(begin_.Run());
    Insert(200'000);
    g_full_after = fails_at;
    const Result<void> committed = writer_.CommitGathered(commit_);
    const bool failed = g_full_after.exchange(-1) < 0;
    if (!failed) {
      EXPECT_TRUE(committed);
      EXPECT_GE(fails_at, 4) << "200 kB are four pieces";
      break;
    }
    ASSERT_FALSE(committed) << fails_at;
    EXPECT_EQ(committed.error().reason, Reason::kWritesUnavailable);
    if (writer_.InTransaction()) Execute("ROLLBACK");
    EXPECT_EQ(AsAReaderSees("SELECT count(*) FROM t"), std::to_string(fails_at));
    ASSERT_TRUE(begin_.Run());
    Insert(10);
    ASSERT_TRUE(writer_.CommitGathered(commit_));
    EXPECT_EQ(AsAReaderSees("SELECT count(*) FROM t"), std::to_string(fails_at + 1));
  }
  EXPECT_EQ(AsAReaderSees("PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace muster
