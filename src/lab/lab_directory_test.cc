#include "lab/lab_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "lab/testing/loopback.h"
#include "lab/testing/temporary_place.h"

namespace muster::lab {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryPlace;

mode_t ModeOf(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

class LabDirectoryTest : public ::testing::Test {
 protected:
  const TemporaryPlace place_;
  const std::string directory_ = place_.path() + "/deep/lab";
  SystemRandom random_;
};

TEST_F(LabDirectoryTest, IsMadeOnceAndThenAsItWas) {
  EXPECT_FALSE(ReadLayout(directory_)->has_value());
  const auto made = EnsureLayout(directory_, 2, random_);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->groups(), 2);
  EXPECT_EQ(ModeOf(directory_), 0700u);
  for (const int groups : {0, 2}) {
    const auto again = EnsureLayout(directory_, groups, random_);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->groups(), 2);
    EXPECT_EQ(again->first_port(), made->first_port());
  }
  EXPECT_EQ(EnsureLayout(place_.path() + "/other", 0, random_)->groups(), 1);
}

TEST_F(LabDirectoryTest, AnotherNumberOfGroupsIsRefused) {
  ASSERT_TRUE(EnsureLayout(directory_, 1, random_));
  const auto refused = EnsureLayout(directory_, 3, random_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("--purge"));
}

TEST_F(LabDirectoryTest, WhatIsNoLabIsLeftAlone) {
  std::filesystem::create_directories(directory_);
  std::ofstream(directory_ + "/thesis.txt") << "years of work";
  EXPECT_EQ(EnsureLayout(directory_, 1, random_).error().reason, Reason::kInvalidArgument);
  EXPECT_EQ(PurgeDirectory(directory_).error().reason, Reason::kNotFound);
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/thesis.txt"));
}

TEST_F(LabDirectoryTest, ADamagedFileIsRefusedWithItsPlace) {
  ASSERT_TRUE(EnsureLayout(directory_, 1, random_));
  for (const char* const text : {"", "{", R"({"format":1,"groups":1})", R"({"format":2,"groups":1,"firstPort":20000})",
                                 R"({"format":1,"groups":99,"firstPort":20000})"}) {
    ASSERT_TRUE(WriteLabFile(directory_ + "/lab.json", text));
    const auto refused = EnsureLayout(directory_, 0, random_);
    ASSERT_FALSE(refused) << text;
    EXPECT_THAT(refused.error().message, HasSubstr("lab.json"));
  }
}

TEST_F(LabDirectoryTest, SecretsAreMadeOnceAndForThisUserAlone) {
  const auto layout = EnsureLayout(directory_, 1, random_);
  ASSERT_TRUE(EnsureSecrets(*layout, random_));
  const std::string password = *ReadSecret(*layout, "store-password");
  EXPECT_GE(password.size(), 32u);
  ASSERT_TRUE(EnsureSecrets(*layout, random_));
  EXPECT_EQ(*ReadSecret(*layout, "store-password"), password);
  EXPECT_NE(*ReadSecret(*layout, "control-password"), password);
  for (const char* const name : {"store-password", "control-password", "replica-password", "keyring"}) {
    EXPECT_EQ(ModeOf(layout->SecretOf(name)), 0600u) << name;
  }
}

TEST_F(LabDirectoryTest, OneSupervisorHoldsIt) {
  ASSERT_TRUE(EnsureLayout(directory_, 1, random_));
  EXPECT_FALSE(IsLocked(directory_));
  {
    const auto lock = LockDirectory(directory_);
    ASSERT_TRUE(lock);
    EXPECT_TRUE(IsLocked(directory_));
    EXPECT_EQ(LockDirectory(directory_).error().reason, Reason::kStateConflict);
    EXPECT_EQ(PurgeDirectory(directory_).error().reason, Reason::kStateConflict);
  }
  EXPECT_FALSE(IsLocked(directory_));
  EXPECT_TRUE(PurgeDirectory(directory_));
  EXPECT_FALSE(std::filesystem::exists(directory_));
}

TEST_F(LabDirectoryTest, APortInUseIsNotFree) {
  const testing::Listener listener;
  EXPECT_FALSE(IsFreePort(listener.port()));
}

TEST_F(LabDirectoryTest, TheTailOfAFileIsItsEnd) {
  const std::string path = place_.path() + "/file";
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(*ReadLabTail(path, 4), "6789");
  EXPECT_EQ(*ReadLabTail(path, 100), "0123456789");
  EXPECT_FALSE(ReadLabTail(path + ".not", 4));
}

}  // namespace
}  // namespace muster::lab
