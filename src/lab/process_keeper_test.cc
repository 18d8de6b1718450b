#include "lab/process_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "lab/lab_directory.h"
#include "lab/testing/loopback.h"
#include "lab/testing/temporary_place.h"

namespace muster::lab {
namespace {

using testing::AwaitThat;
using testing::TemporaryPlace;

constexpr std::chrono::seconds kKeeperPatience{30};

// Not there, or only waiting to be asked how it ended.
bool IsGone(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  return end == std::string::npos || text[end + 2] == 'Z';
}

class ProcessKeeperTest : public ::testing::Test {
 protected:
  ProcessSpec Shell(const std::string& script) const {
    return {.command = {"/bin/sh", "-c", script},
            .environment = {"PATH=/usr/bin:/bin"},
            .directory = place_.path(),
            .log = place_.path() + "/log"};
  }
  std::string Log() const { return ReadLabFile(place_.path() + "/log").value_or("?"); }
  std::string EndOf(const std::string& name) {
    EXPECT_TRUE(keeper_.WaitForEnd(name, kKeeperPatience));
    return keeper_.LookAt(name).end;
  }

  const TemporaryPlace place_;
  ProcessKeeper keeper_{NullLogger()};
};

TEST_F(ProcessKeeperTest, StartsAndTellsOfTheEnd) {
  ASSERT_TRUE(keeper_.Start("one", Shell("echo said; echo complained >&2; exit 3")));
  EXPECT_EQ(EndOf("one"), "exit code 3");
  EXPECT_FALSE(keeper_.LookAt("one").succeeded);
  EXPECT_EQ(keeper_.LookAt("one").pid, 0);
  EXPECT_EQ(Log(), "said\ncomplained\n");
  ASSERT_TRUE(keeper_.Start("one", Shell("exit 0")));
  EXPECT_EQ(EndOf("one"), "exit code 0");
  EXPECT_TRUE(keeper_.LookAt("one").succeeded);
}

TEST_F(ProcessKeeperTest, OneRunsOnce) {
  const auto pid = keeper_.Start("one", Shell("exec sleep 1000"));
  ASSERT_TRUE(pid);
  EXPECT_EQ(keeper_.LookAt("one").pid, *pid);
  EXPECT_EQ(keeper_.Start("one", Shell("exit 0")).error().reason, Reason::kStateConflict);
  EXPECT_EQ(keeper_.Running(), (std::vector<std::pair<std::string, pid_t>>{{"one", *pid}}));
}

TEST_F(ProcessKeeperTest, AProgramThatIsNotThereEndsAtOnce) {
  ASSERT_TRUE(keeper_.Start("one", {.command = {"/no/such/program"}, .directory = "/", .log = place_.path() + "/log"}));
  EXPECT_EQ(EndOf("one"), "exit code 127");
  const auto refused = keeper_.Start("two", {.command = {"/bin/true"}, .directory = "/", .log = "/no/such/folder/log"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("/no/such/folder/log"));
}

TEST_F(ProcessKeeperTest, KillsWhateverTheProcessWants) {
  ASSERT_TRUE(keeper_.Start("one", Shell("trap '' TERM; echo ready; while :; do sleep 1000; done")));
  ASSERT_TRUE(AwaitThat([&] { return Log() == "ready\n"; }));
  const pid_t pid = keeper_.LookAt("one").pid;
  keeper_.Terminate("one");
  EXPECT_TRUE(keeper_.Kill({"one", "of whom nobody knows"}));
  EXPECT_TRUE(IsGone(pid));
  EXPECT_EQ(keeper_.LookAt("one").end, "signal 9");
}

TEST_F(ProcessKeeperTest, AFrozenProcessStandsStillAndCanBeKilled) {
  ASSERT_TRUE(keeper_.Start("one", Shell("exec sleep 1000")));
  ASSERT_TRUE(keeper_.Freeze({"one"}));
  EXPECT_TRUE(keeper_.LookAt("one").is_frozen);
  keeper_.Thaw("one");
  EXPECT_FALSE(keeper_.LookAt("one").is_frozen);
  ASSERT_TRUE(keeper_.Freeze({"one"}));
  EXPECT_TRUE(keeper_.Kill({"one"}));
  EXPECT_FALSE(keeper_.LookAt("one").is_frozen);
}

TEST_F(ProcessKeeperTest, InputComesFromAFile) {
  std::ofstream(place_.path() + "/input") << "asked\n";
  ProcessSpec spec = Shell("read word; echo \"$word\"; read word || echo nothing");
  spec.input = place_.path() + "/input";
  ASSERT_TRUE(keeper_.Start("one", spec));
  EXPECT_EQ(EndOf("one"), "exit code 0");
  EXPECT_EQ(Log(), "asked\nnothing\n");
}

TEST_F(ProcessKeeperTest, SignalsAreAsInAFreshProcess) {
  ::signal(SIGPIPE, SIG_IGN);
  ASSERT_TRUE(keeper_.Start("one", Shell("grep -E '^Sig(Blk|Ign)' /proc/self/status")));
  EXPECT_EQ(EndOf("one"), "exit code 0");
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_THAT(Log(), ::testing::HasSubstr("SigBlk:\t0000000000000000"));
  // SIGXFSZ alone; the two that the C library keeps for itself are as whoever started this test has them.
  const std::size_t ignored_at = Log().find("SigIgn:\t");
  ASSERT_NE(ignored_at, std::string::npos);
  constexpr std::uint64_t kOfTheLibrary = 0x1'8000'0000;
  EXPECT_EQ(std::stoull(Log().substr(ignored_at + 8), nullptr, 16) & ~kOfTheLibrary, 0x0100'0000u);
}

TEST_F(ProcessKeeperTest, FilesCannotBeWrittenOnAFullDisk) {
  ProcessSpec spec = Shell("echo x > " + place_.path() + "/file && exit 3; exit 4");
  spec.cannot_write = true;
  ASSERT_TRUE(keeper_.Start("one", spec));
  EXPECT_EQ(EndOf("one"), "exit code 4");
  EXPECT_EQ(std::filesystem::file_size(place_.path() + "/file"), 0u);
}

TEST_F(ProcessKeeperTest, TheDiskOfARunningProcessFillsAndEmpties) {
  ASSERT_TRUE(keeper_.Start("one", Shell("while :; do echo x > file || touch refused; done 2>/dev/null")));
  const auto exists = [&](const char* name) { return std::filesystem::exists(place_.path() + "/" + name); };
  ASSERT_TRUE(AwaitThat([&] { return exists("file"); }));
  EXPECT_FALSE(exists("refused"));
  keeper_.SetCannotWrite("one", true);
  EXPECT_TRUE(AwaitThat([&] { return exists("refused"); }));
  keeper_.SetCannotWrite("one", false);
  EXPECT_TRUE(AwaitThat([&] {
    std::filesystem::remove(place_.path() + "/file");
    return AwaitThat([&] { return exists("file"); }) && std::filesystem::file_size(place_.path() + "/file") == 2;
  }));
}

TEST_F(ProcessKeeperTest, ALongLogIsPutAside) {
  const std::string log = place_.path() + "/log";
  std::ofstream(log) << "old";
  std::filesystem::resize_file(log, ProcessKeeper::kLogBytesMax + 1);
  ASSERT_TRUE(keeper_.Start("one", Shell("echo new")));
  EXPECT_EQ(EndOf("one"), "exit code 0");
  EXPECT_EQ(Log(), "new\n");
  EXPECT_TRUE(std::filesystem::exists(log + ".1"));
}

TEST(ProcessKeeper, WhatItStartedEndsWithIt) {
  const TemporaryPlace place;
  pid_t child = 0, grandchild = 0;
  {
    ProcessKeeper keeper(NullLogger());
    // What a process of ours began, and left behind.
    const auto pid = keeper.Start(
        "one", {.command = {"/bin/sh", "-c",
                            "sleep 1000 & echo $! > grandchild.tmp; mv grandchild.tmp grandchild; exec sleep 1000"},
                .environment = {"PATH=/usr/bin:/bin"},
                .directory = place.path(),
                .log = place.path() + "/log"});
    ASSERT_TRUE(pid);
    child = *pid;
    ASSERT_TRUE(AwaitThat([&] { return std::filesystem::exists(place.path() + "/grandchild"); }));
    std::ifstream(place.path() + "/grandchild") >> grandchild;
    ASSERT_GT(grandchild, 0);
  }
  EXPECT_TRUE(IsGone(child));
  EXPECT_TRUE(IsGone(grandchild));
}

TEST(ProcessKeeper, WhatItStartedEndsWhenItsProcessIsKilled) {
  const TemporaryPlace place;
  const std::string told = place.path() + "/pid";
  const pid_t keeping = ::fork();
  if (keeping == 0) {
    ProcessKeeper keeper(NullLogger());
    const auto pid =
        keeper.Start("one", {.command = {"/bin/sleep", "1000"}, .directory = "/", .log = place.path() + "/log"});
    std::ofstream(told + ".tmp") << pid.value_or(0);
    std::rename((told + ".tmp").c_str(), told.c_str());
    for (;;) ::pause();
  }
  ASSERT_TRUE(AwaitThat([&] { return std::filesystem::exists(told); }));
  pid_t kept = 0;
  std::ifstream(told) >> kept;
  ASSERT_GT(kept, 0);
  EXPECT_FALSE(IsGone(kept));
  ::kill(keeping, SIGKILL);
  ::waitpid(keeping, nullptr, 0);
  EXPECT_TRUE(AwaitThat([&] { return IsGone(kept); }));
}

}  // namespace
}  // namespace muster::lab
