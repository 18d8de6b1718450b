#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lab/full_disk_image.h"
#include "lab/lab_directory.h"
#include "lab/process_keeper.h"
#include "lab/testing/temporary_place.h"

namespace muster::lab {
namespace {

// The library in programs of the system.
class FullDiskTest : public ::testing::Test {
 protected:
  FullDiskTest() {
    MUSTER_CHECK(WriteLabFile(place_.path() + "/full-disk.so", std::string(FullDiskImage())).has_value());
    std::ofstream(place_.path() + "/file") << "0123456789";
  }
  void Fill() { std::ofstream(place_.path() + "/full") << ""; }
  // What the script says and how it ends.
  std::string Run(const std::string& script) {
    std::filesystem::remove(place_.path() + "/log");
    MUSTER_CHECK(keeper_
                     .Start("shell", {.command = {"/bin/bash", "-c", script},
                                      .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C",
                                                      "LD_PRELOAD=" + place_.path() + "/full-disk.so",
                                                      "MUSTER_LAB_DISK_IS_FULL=" + place_.path() + "/full"},
                                      .directory = place_.path(),
                                      .log = place_.path() + "/log"})
                     .has_value());
    EXPECT_TRUE(keeper_.WaitForEnd("shell", std::chrono::seconds(30)));
    return ReadLabFile(place_.path() + "/log").value_or("?") + keeper_.LookAt("shell").end;
  }
  std::string File() const { return ReadLabFile(place_.path() + "/file").value_or("?"); }

  const testing::TemporaryPlace place_;
  ProcessKeeper keeper_{NullLogger()};
};

// A program that appends to the file, or to a new one. (The shell would write to its standard output, which is taken
// for a log, and programs with C's streams past the library.)
std::string Appending(const std::string& file) {
  return "/usr/bin/python3 -c 'import os; os.write(os.open(\"" + file +
         "\", os.O_WRONLY | os.O_APPEND | os.O_CREAT), b\"more\")'";
}

TEST_F(FullDiskTest, WithoutTheFlagEverythingIsAsUsual) {
  EXPECT_EQ(Run(Appending("file")), "exit code 0");
  EXPECT_EQ(File(), "0123456789more");
}

TEST_F(FullDiskTest, AFileDoesNotGrow) {
  Fill();
  const std::string said = Run(Appending("file"));
  EXPECT_NE(said.find("No space left on device"), std::string::npos) << said;
  EXPECT_EQ(File(), "0123456789");
}

TEST_F(FullDiskTest, ANewFileStaysEmpty) {
  Fill();
  EXPECT_NE(Run(Appending("new")).find("No space left on device"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(place_.path() + "/new"), 0u);
}

TEST_F(FullDiskTest, WhatIsThereCanBeWrittenOver) {
  Fill();
  const std::string write = "/usr/bin/python3 -c 'import os; f = os.open(\"file\", os.O_WRONLY); ";
  EXPECT_EQ(Run(write + "os.pwrite(f, b\"abc\", 7)'"), "exit code 0");
  EXPECT_EQ(File(), "0123456abc");
  EXPECT_EQ(Run(write + "os.lseek(f, 2, 0); os.writev(f, [b\"x\", b\"y\"])'"), "exit code 0");
  EXPECT_EQ(File(), "01xy456abc");
  for (const char* const grows : {"os.pwrite(f, b\"abcd\", 7)'", "os.lseek(f, 9, 0); os.writev(f, [b\"x\", b\"y\"])'",
                                  "os.pwritev(f, [b\"xy\"], 9)'", "os.posix_fallocate(f, 0, 11)'"}) {
    EXPECT_NE(Run(write + grows).find("No space left on device"), std::string::npos) << grows;
    EXPECT_EQ(File(), "01xy456abc") << grows;
  }
}

TEST_F(FullDiskTest, PipesAndTheLogGoOn) {
  Fill();
  EXPECT_EQ(Run("echo through a pipe | cat; echo complaint >&2"), "through a pipe\ncomplaint\nexit code 0");
}

TEST_F(FullDiskTest, WhenThereIsRoomAgainItGrows) {
  Fill();
  EXPECT_EQ(Run("until " + Appending("new") + " 2>/dev/null; do rm full; done"), "exit code 0");
  EXPECT_EQ(std::filesystem::file_size(place_.path() + "/new"), 4u);
}

}  // namespace
}  // namespace muster::lab
