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
#include "store/doctor_fixture.h"

namespace muster {
namespace {

using testing::DoctorTest;
using ::testing::HasSubstr;

// What somebody reads who may read all of a directory and write none of it, as from a mounted snapshot.
class ReadOnlyDirectoryTest : public DoctorTest {
 protected:
  ~ReadOnlyDirectoryTest() override { chmod(harness_.directory.path().c_str(), 0755); }

  // Copies the files with what is in the write-ahead log of an open store, and examines the copy.
  std::string ExamineCopyOfOpenStore(bool with_shared_memory) {
    const testing::TemporaryDirectory copy;
    MUSTER_CHECK(harness_.Open().has_value());
    Member& member = members_[5];
    member.version = Version(member.version.value() + 1);
    Write(member, ChangeType::kUpdated);
    for (const auto& entry : std::filesystem::directory_iterator(harness_.directory.path())) {
      const std::string name = entry.path().filename().string();
      if (name == "lock" || (!with_shared_memory && name.ends_with("-shm"))) continue;
      std::filesystem::copy_file(entry.path(), copy.path() + "/" + name);
    }
    std::string said = ExamineReadOnly(copy.path());
    chmod(copy.path().c_str(), 0755);
    return said;
  }

  // "121 changes, 0 findings", or why it was refused. Root may write everywhere, so a child without its rights looks.
  std::string ExamineReadOnly(const std::string& directory) {
    constexpr uid_t kNobody = 65534;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (getuid() == 0) MUSTER_CHECK(chown(entry.path().c_str(), kNobody, kNobody) == 0);
      MUSTER_CHECK(chmod(entry.path().c_str(), 0444) == 0);
    }
    MUSTER_CHECK(chmod(directory.c_str(), 0555) == 0);
    int ends[2];
    MUSTER_CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    MUSTER_CHECK(child >= 0);
    if (child == 0) {
      if (getuid() == 0 && setuid(kNobody) != 0) _exit(3);
      const auto examination = ExamineStore(directory, harness_.keyring, nullptr);
      const std::string said = !examination ? examination.error().message
                                            : std::to_string(examination->changes) + " changes, " +
                                                  std::to_string(examination->findings_total) + " findings";
      _exit(write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 1);
    }
    close(ends[1]);
    std::string said(4096, '\0');
    const ssize_t size = read(ends[0], said.data(), said.size());
    close(ends[0]);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    said.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return said;
  }
};

INSTANTIATE_TEST_SUITE_P(Files, ReadOnlyDirectoryTest, ::testing::Values(1, 4));

TEST_P(ReadOnlyDirectoryTest, IsExaminedAndLeftAsItIs) {
  const auto files = [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(harness_.directory.path())) names.insert(entry.path());
    return names;
  };
  const std::set<std::string> before = files();
  EXPECT_EQ(ExamineReadOnly(harness_.directory.path()), "120 changes, 0 findings");
  EXPECT_EQ(files(), before);
}

TEST_P(ReadOnlyDirectoryTest, NeedsNoLogWhenThereIsNone) {
  for (std::size_t file = 0; file < static_cast<std::size_t>(GetParam()); ++file) {
    Sql(file, "PRAGMA wal_checkpoint(TRUNCATE)");  // and the last connection to write takes the log away
    ASSERT_FALSE(std::filesystem::exists(Path(file) + "-shm"));
  }
  EXPECT_EQ(ExamineReadOnly(harness_.directory.path()), "120 changes, 0 findings");
}

TEST_P(ReadOnlyDirectoryTest, IsRefusedWhileAServerUsesIt) {
  ASSERT_TRUE(harness_.Open());
  EXPECT_THAT(ExamineReadOnly(harness_.directory.path()), HasSubstr("in use by another muster"));
}

TEST_P(ReadOnlyDirectoryTest, WhatIsInTheLogIsReadOrRefusedAndNeverOverlooked) {
  EXPECT_EQ(ExamineCopyOfOpenStore(true), "121 changes, 0 findings");
  harness_.store.reset();
  EXPECT_THAT(ExamineCopyOfOpenStore(false), HasSubstr("copy the directory with all of its files"));
}

TEST(ImmutableTest, PathsMayHoldWhatAUriReserves) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a ?b#c%20&d=é.db";
  ASSERT_TRUE(Database::Open(path, Database::Mode::kCreate)->Execute("CREATE TABLE t(a); INSERT INTO t VALUES(7)"));
  EXPECT_EQ(Database::Open(path, Database::Mode::kReadImmutable)->ReadInteger("SELECT a FROM t"), 7);
}

}  // namespace
}  // namespace muster
