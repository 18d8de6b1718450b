#include "base/durable_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace muster {
namespace {

using ::testing::HasSubstr;

class DurableFileTest : public ::testing::Test {
 protected:
  ~DurableFileTest() override { std::filesystem::remove_all(directory_); }
  static std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }

  const std::string directory_ = [] {
    std::string path = (std::filesystem::temp_directory_path() / "muster-durable-file-XXXXXX").string();
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    return path;
  }();
  const std::string path_ = directory_ + "/file";
  const std::string temporary_ = path_ + ".tmp";
};

TEST_F(DurableFileTest, ReplacesContentAndModeWhateverTheUmask) {
  const mode_t before = umask(0777);
  ASSERT_TRUE(ReplaceFile(path_, "old", 0644));
  umask(0);
  ASSERT_TRUE(ReplaceFile(path_, "new", 0600));
  umask(before);
  EXPECT_EQ(Read(path_), "new");
  EXPECT_EQ(ModeOf(path_), 0600U);
  EXPECT_FALSE(std::filesystem::exists(temporary_));
}

TEST_F(DurableFileTest, WhatIsNotPublishedLeavesTheOldContentAndNothingElse) {
  ASSERT_TRUE(ReplaceFile(path_, "old", 0600));
  {
    auto file = DurableFile::Create(temporary_, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->Write("half"));
    const DurableFile moved(std::move(*file));
    EXPECT_EQ(Read(temporary_), "half");
  }
  EXPECT_EQ(Read(path_), "old");
  EXPECT_FALSE(std::filesystem::exists(temporary_));
}

TEST_F(DurableFileTest, WhatACrashLeftIsOverwritten) {
  std::ofstream(temporary_) << "a longer text than the new one";
  ASSERT_TRUE(ReplaceFile(path_, "new", 0600));
  EXPECT_EQ(Read(path_), "new");
  EXPECT_EQ(ModeOf(path_), 0600U);
}

TEST_F(DurableFileTest, FollowsNoSymbolicLinkUnderTheTemporaryName) {
  std::ofstream(directory_ + "/other") << "kept";
  std::filesystem::create_symlink(directory_ + "/other", temporary_);
  const auto replaced = ReplaceFile(path_, "new", 0600);
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().error_number, ELOOP);
  EXPECT_EQ(Read(directory_ + "/other"), "kept");
}

TEST_F(DurableFileTest, FailuresNameTheFileAndWhatTheSystemSays) {
  const auto missing = ReplaceFile(directory_ + "/none/file", "x", 0600);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().Describe(), "cannot write " + directory_ + "/none/file.tmp: No such file or directory");
  std::filesystem::create_directory(path_);
  const auto directory = ReplaceFile(path_, "x", 0600);
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().Describe(), HasSubstr("cannot replace " + path_));
  EXPECT_FALSE(directory.error().is_replaced);
  EXPECT_FALSE(std::filesystem::exists(temporary_));
}

}  // namespace
}  // namespace muster
