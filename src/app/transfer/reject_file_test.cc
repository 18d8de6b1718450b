#include "app/transfer/reject_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

class RejectFileTest : public ::testing::Test {
 protected:
  std::string Content() const { return ReadSmallFile(path_, 1 << 20).value(); }
  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-reject-test").value());
  const std::string path_ = directory_.path() + "/rejects.jsonl";
};

TEST_F(RejectFileTest, ARejectIsALineOfJson) {
  EXPECT_EQ(RejectJson({.line = 17, .code = "IDENTITY_TAKEN", .detail = "taken", .text = R"({"id":"1"})"}),
            "{\"line\":17,\"code\":\"IDENTITY_TAKEN\",\"detail\":\"taken\",\"text\":\"{\\\"id\\\":\\\"1\\\"}\"}\n");
}

TEST_F(RejectFileTest, BytesThatAreNotUtf8AreReplacedAndTheRestKept) {
  EXPECT_THAT(RejectJson({.line = 1, .text = "苏\xFF州\xE8\x8B"}),
              HasSubstr("\"text\":\"苏\xEF\xBF\xBD州\xEF\xBF\xBD\xEF\xBF\xBD\""));
}

TEST_F(RejectFileTest, GoesOnWhereTheStateSaysAndCutsOffTheRest) {
  std::uint64_t size = 0;
  {
    RejectFile file = std::move(RejectFile::Open(path_, 0).value());
    ASSERT_TRUE(file.Append({.line = 1, .code = "A"}));
    size = file.size();
    ASSERT_TRUE(file.Append({.line = 2, .code = "LOST"}));
    ASSERT_TRUE(file.Sync());
  }
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  {
    RejectFile file = std::move(RejectFile::Open(path_, size).value());
    ASSERT_TRUE(file.Append({.line = 2, .code = "B"}));
  }
  EXPECT_EQ(Content(), RejectJson({.line = 1, .code = "A"}) + RejectJson({.line = 2, .code = "B"}));
}

TEST_F(RejectFileTest, AFileThatLostWhatItHadIsRefused) {
  ASSERT_TRUE(WriteFileDurably(path_, "short", 0600));
  EXPECT_THAT(RejectFile::Open(path_, 6).error().message, HasSubstr("shorter"));
  EXPECT_EQ(Content(), "short");
}

TEST_F(RejectFileTest, WithoutAPathEverythingIsDropped) {
  RejectFile file = std::move(RejectFile::Open("", 0).value());
  EXPECT_TRUE(file.Append({.line = 1}));
  EXPECT_TRUE(file.Sync());
  EXPECT_EQ(file.size(), 0U);
}

TEST_F(RejectFileTest, WhatCannotBeWrittenIsAFailure) {
  EXPECT_FALSE(RejectFile::Open(directory_.path() + "/no/such/directory", 0));
  RejectFile full = std::move(RejectFile::Open("/dev/full", 0).value());
  EXPECT_THAT(full.Append({.line = 1}).error().message, HasSubstr("No space left"));
}

}  // namespace
}  // namespace muster
