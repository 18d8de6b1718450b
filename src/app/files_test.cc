#include "app/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  static mode_t ModeOf(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-files-test").value());
};

TEST_F(FilesTest, WritesWithTheModeWhateverTheUmaskAndWhateverWasThere) {
  const mode_t before = umask(0);
  ASSERT_TRUE(WriteFileDurably(Path("a"), "one", 0600));
  EXPECT_EQ(ModeOf(Path("a")), 0600U);
  umask(0777);
  ASSERT_TRUE(WriteFileDurably(Path("a"), "two", 0640));
  umask(before);
  EXPECT_EQ(ModeOf(Path("a")), 0640U);
  EXPECT_EQ(ReadSmallFile(Path("a"), 10).value(), "two");
  EXPECT_FALSE(FileExists(Path("a.tmp")));
}

TEST_F(FilesTest, AWriteThatFailsLeavesWhatWasThere) {
  ASSERT_TRUE(WriteFileDurably(Path("a"), "old", 0600));
  std::filesystem::create_directory(Path("a.tmp"));  // in the way of the temporary file
  const auto written = WriteFileDurably(Path("a"), "new", 0600);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ExitCode::kFailure);
  EXPECT_THAT(written.error().message, HasSubstr(Path("a")));
  EXPECT_EQ(ReadSmallFile(Path("a"), 10).value(), "old");
}

TEST_F(FilesTest, ReadsUpToItsBoundAndNotBeyond) {
  ASSERT_TRUE(WriteFileDurably(Path("a"), std::string(40'000, 'x'), 0600));
  EXPECT_EQ(ReadSmallFile(Path("a"), 40'000).value().size(), 40'000U);
  EXPECT_THAT(ReadSmallFile(Path("a"), 39'999).error().message, HasSubstr("39999"));
  EXPECT_THAT(ReadSmallFile(Path("missing"), 10).error().message, HasSubstr("No such file"));
  EXPECT_FALSE(ReadSmallFile(directory_.path(), 10));
}

TEST_F(FilesTest, RemovesWhatIsThereAndIsContentWithNothing) {
  ASSERT_TRUE(WriteFileDurably(Path("a"), "x", 0600));
  EXPECT_TRUE(RemoveFileDurably(Path("a")));
  EXPECT_FALSE(FileExists(Path("a")));
  EXPECT_TRUE(RemoveFileDurably(Path("a")));
  std::filesystem::create_directory(Path("d"));
  EXPECT_FALSE(RemoveFileDurably(Path("d")));
}

TEST_F(FilesTest, MakesPrivateDirectoriesAndKeepsWhatIsThere) {
  ASSERT_TRUE(MakePrivateDirectory(Path("a/b/c")));
  EXPECT_EQ(ModeOf(Path("a")), 0700U);
  EXPECT_EQ(ModeOf(Path("a/b/c")), 0700U);
  ASSERT_EQ(chmod(Path("a").c_str(), 0755), 0);
  EXPECT_TRUE(MakePrivateDirectory(Path("a")));
  EXPECT_EQ(ModeOf(Path("a")), 0755U);
  ASSERT_TRUE(WriteFileDurably(Path("f"), "", 0600));
  EXPECT_THAT(MakePrivateDirectory(Path("f")).error().message, HasSubstr("is a file"));
  EXPECT_FALSE(MakePrivateDirectory(Path("f/below")));
}

TEST(TemporaryDirectoryTest, GoesWithAllInIt) {
  std::string path;
  {
    const TemporaryDirectory directory = std::move(TemporaryDirectory::Make("muster-temporary-test").value());
    path = directory.path();
    std::filesystem::create_directories(path + "/deep/deeper");
    ASSERT_TRUE(WriteFileDurably(path + "/deep/file", "x", 0600));
  }
  EXPECT_FALSE(FileExists(path));
}

}  // namespace
}  // namespace muster
