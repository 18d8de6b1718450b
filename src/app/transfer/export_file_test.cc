#include "app/transfer/export_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <future>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class ExportFileTest : public ::testing::Test {
 protected:
  static Outcome<void> Export(const std::string& path, std::string_view content) {
    MUSTER_ASSIGN(ExportFile file, ExportFile::Open(path));
    MUSTER_TRY(file.Write(content));
    return file.Finish();
  }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  static std::string Read(const std::string& path) { return ReadSmallFile(path, 1 << 20).value(); }

  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-export-test").value());
};

TEST_F(ExportFileTest, AppearsWhenItIsWholeAndPrivate) {
  ASSERT_TRUE(WriteFileDurably(Path("out"), "old", 0644));
  {
    auto file = ExportFile::Open(Path("out"));
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->Write("ne"));
    ASSERT_TRUE(file->Write("w"));
    EXPECT_EQ(Read(Path("out")), "old");
    ASSERT_TRUE(file->Finish());
  }
  EXPECT_EQ(Read(Path("out")), "new");
  struct stat status{};
  ASSERT_EQ(stat(Path("out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  {
    auto file = ExportFile::Open(Path("out"));
    ASSERT_TRUE(file->Write("half"));
  }
  EXPECT_EQ(Read(Path("out")), "new");
  EXPECT_FALSE(FileExists(Path("out.tmp")));
}

TEST_F(ExportFileTest, WritesWhereSymbolicLinksLeadAndKeepsThem) {
  std::filesystem::create_directory(Path("d"));
  std::filesystem::create_symlink("d/second", Path("first"));
  std::filesystem::create_symlink("target", Path("d/second"));
  for (const char* content : {"one", "two"}) {  // leading to nothing, then to a file
    ASSERT_TRUE(Export(Path("first"), content));
    EXPECT_EQ(Read(Path("d/target")), content);
    EXPECT_TRUE(std::filesystem::is_symlink(Path("first")));
    EXPECT_TRUE(std::filesystem::is_symlink(Path("d/second")));
  }
}

TEST_F(ExportFileTest, APipeIsWrittenInto) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  auto read = std::async(std::launch::async, [&] { return Read(Path("pipe")); });
  ASSERT_TRUE(Export(Path("pipe"), "members"));
  EXPECT_EQ(read.get(), "members");
  EXPECT_TRUE(std::filesystem::is_fifo(Path("pipe")));
  EXPECT_FALSE(FileExists(Path("pipe.tmp")));
}

TEST_F(ExportFileTest, ADeviceStaysOne) {
  std::filesystem::create_symlink("/dev/null", Path("null"));
  EXPECT_TRUE(Export(Path("null"), "members"));
  EXPECT_TRUE(std::filesystem::is_symlink(Path("null")));
  EXPECT_FALSE(Export("/dev/full", "members"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(ExportFileTest, WhatCannotBeWrittenIsNamed) {
  EXPECT_THAT(ExportFile::Open(directory_.path()).error().message, HasSubstr("Is a directory"));
  EXPECT_THAT(ExportFile::Open(Path("none/out")).error().message, HasSubstr(Path("none/out")));
  std::filesystem::create_symlink("loop", Path("loop"));
  EXPECT_THAT(ExportFile::Open(Path("loop")).error().message, HasSubstr("symbolic links"));
}

}  // namespace
}  // namespace muster
