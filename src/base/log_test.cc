#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LogTest : public testing::Test {
 protected:
  LogTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "muster-log-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    folder_ = pattern;
    options_.file = folder_ / "muster.log";
    options_.clock = &clock_;
  }
  ~LogTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Logger> Make() {
    auto made = MakeLogger(options_);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? *std::move(made) : nullptr;
  }

  // The lines of the file; a logger that is gone has written all of its own.
  std::vector<std::string> Lines() const {
    std::ifstream file(options_.file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  std::filesystem::path folder_;
  ManualClock clock_{Timestamp(std::chrono::seconds(1'767'323'045))};
  LogOptions options_;
};

TEST_F(LogTest, WritesWhatIsLoggedInOrder) {
  {
    auto logger = Make();
    logger->Info("server ready", {{"address", "127.0.0.1:7400"}});
    clock_.Advance(std::chrono::milliseconds(5));
    logger->Error("store failed");
    EXPECT_EQ(logger->dropped(), 0U);
  }
  EXPECT_THAT(Lines(), ElementsAre("time=2026-01-02T03:04:05Z level=info event=\"server ready\" address=127.0.0.1:7400",
                                   "time=2026-01-02T03:04:05.005Z level=error event=\"store failed\""));
}

TEST_F(LogTest, WritesJsonWhenAsked) {
  options_.format = LogFormat::kJson;
  {
    Make()->Warning("slow", {{"duration_ms", 12}});
  }
  EXPECT_THAT(Lines(),
              ElementsAre(R"({"time":"2026-01-02T03:04:05Z","level":"warning","event":"slow","duration_ms":12})"));
}

TEST_F(LogTest, LevelsBelowTheOneAskedAreSilent) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    std::filesystem::remove(options_.file);
    options_.level = level;
    {
      auto logger = Make();
      logger->Debug("a");
      logger->Info("b");
      logger->Warning("c");
      logger->Error("d");
    }
    EXPECT_EQ(Lines().size(), 4U - static_cast<std::size_t>(level));
  }
}

TEST_F(LogTest, AppendsToTheFileThatIsThere) {
  {
    Make()->Info("first");
  }
  {
    Make()->Info("second");
  }
  EXPECT_EQ(Lines().size(), 2U);
}

TEST_F(LogTest, TheFileIsNotForEveryone) {
  {
    Make()->Info("first");
  }
  const auto permissions = std::filesystem::status(options_.file).permissions();
  EXPECT_EQ(permissions & std::filesystem::perms::others_all, std::filesystem::perms::none);
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  {
    auto logger = Make();
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&logger, t] {
        for (int i = 0; i < kEach; ++i) logger->Info("counted", {{"number", t * kEach + i}});
      });
    }
    threads.clear();
    EXPECT_EQ(logger->dropped(), 0U);
  }
  std::set<std::string> distinct;
  for (const std::string& line : Lines()) {
    EXPECT_THAT(line, testing::StartsWith("time=2026-01-02T03:04:05Z level=info event=counted number="));
    distinct.insert(line);
  }
  EXPECT_EQ(distinct.size(), static_cast<std::size_t>(kThreads * kEach));
}

// The sink is a pipe that nobody reads: logging goes on, older lines give way, and every line is either written or
// counted.
TEST_F(LogTest, ASlowSinkLosesOlderLinesAndCountsThem) {
  ASSERT_EQ(::mkfifo(options_.file.c_str(), 0600), 0);
  const int pipe = ::open(options_.file.c_str(), O_RDWR | O_CLOEXEC);  // both ends: opening to write does not wait
  ASSERT_GE(pipe, 0);
  const int capacity = ::fcntl(pipe, F_SETPIPE_SZ, 4096);
  ASSERT_GE(capacity, 0);
  options_.waiting_bytes_max = 2000;
  constexpr std::uint64_t kLogged = 10'000;

  auto logger = Make();
  const std::string text(100, 'x');
  for (std::uint64_t i = 0; i < kLogged; ++i) logger->Info("counted", {{"text", text}, {"number", i}});
  const std::uint64_t dropped = logger->dropped();
  // What is not dropped waits, is being written, or is in the pipe.
  const auto kept_bytes = 2 * options_.waiting_bytes_max + static_cast<std::uint64_t>(capacity);
  EXPECT_GE(dropped, kLogged - kept_bytes / text.size());

  std::string received;
  std::jthread reader([&] {
    char buffer[4096];
    while (received.find("event=last") == std::string::npos) {
      const ssize_t count = ::read(pipe, buffer, sizeof buffer);
      if (count <= 0) return;
      received.append(buffer, static_cast<std::size_t>(count));
    }
  });
  logger->Info("last");
  const std::uint64_t dropped_in_all = logger->dropped();
  logger.reset();
  reader.join();
  ::close(pipe);

  EXPECT_EQ(static_cast<std::uint64_t>(std::ranges::count(received, '\n')) + dropped_in_all, kLogged + 1);
  EXPECT_THAT(received, HasSubstr("number=9999\n"));
}

TEST_F(LogTest, AFullDiskIsCountedAndSurvived) {
  options_.file = "/dev/full";
  auto logger = Make();
  for (int i = 0; i < 5; ++i) logger->Info("lost");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (logger->dropped() < 5 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(logger->dropped(), 5U);
  MetricRegistry metrics;
  ExposeLogMetrics(*logger, metrics);
  EXPECT_THAT(metrics.Expose(), HasSubstr("muster_log_lines_dropped_total 5\n"));
}

// The disk is full in the middle of a line, and then is not any more.
TEST_F(LogTest, ALineThatWasTornEndsBeforeTheNext) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  auto logger = Make();
  const rlimit full{.rlim_cur = 10, .rlim_max = unlimited.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (std::uint64_t lost = 1; lost <= 3; ++lost) {
    logger->Warning("torn");
    while (logger->dropped() < lost && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  logger->Warning("whole");
  EXPECT_EQ(logger->dropped(), 3U);
  logger.reset();
  ::signal(SIGXFSZ, SIG_DFL);
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].size(), 10U);
  EXPECT_THAT(lines[1], HasSubstr("level=warning event=whole"));
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsAnErrorThatSaysWhy) {
  options_.file = folder_ / "missing" / "muster.log";
  const auto made = MakeLogger(options_);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().reason, Reason::kInvalidArgument);
  EXPECT_THAT(made.error().message, HasSubstr(options_.file));
  EXPECT_THAT(made.error().message, HasSubstr("No such file or directory"));
  options_.file = folder_;
  EXPECT_THAT(MakeLogger(options_).error().message, HasSubstr("Is a directory"));
}

// Lines that are not urgent gather; one that is brings them along.
TEST_F(LogTest, AWarningIsWrittenWithoutDelay) {
  auto logger = Make();
  logger->Info("first");
  logger->Warning("second");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (Lines().size() < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("event=first"), HasSubstr("event=second")));
}

TEST_F(LogTest, ReopenGoesOnInANewFile) {
  const std::filesystem::path renamed = folder_ / "muster.log.1";
  {
    auto logger = Make();
    logger->Warning("first");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (Lines().empty() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    std::filesystem::rename(options_.file, renamed);
    logger->Reopen();
    while (!std::filesystem::exists(options_.file) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();  // without a line to write
    }
    EXPECT_TRUE(std::filesystem::exists(options_.file));
    logger->Info("second");
  }
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("event=second")));
  options_.file = renamed;
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("event=first")));
}

TEST_F(LogTest, ReopenThatFailsGoesOnInTheOldFile) {
  const std::filesystem::path folder = folder_ / "logs";
  std::filesystem::create_directory(folder);
  options_.file = folder / "muster.log";
  {
    auto logger = Make();
    std::filesystem::rename(folder, folder_ / "moved");
    logger->Reopen();
    logger->Info("second");
  }
  options_.file = folder_ / "moved" / "muster.log";
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("event=second"), HasSubstr("event=\"the log file cannot be reopened\"")));
}

// A log that nobody reads any more must not keep a server from ending.
TEST_F(LogTest, TheEndDoesNotWaitForAPipeThatNobodyReads) {
  ASSERT_EQ(::mkfifo(options_.file.c_str(), 0600), 0);
  const int pipe = ::open(options_.file.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  const int capacity = ::fcntl(pipe, F_SETPIPE_SZ, 4096);
  ASSERT_GE(capacity, 0);
  auto logger = Make();
  for (int i = 0; i < 1'000; ++i) logger->Info("counted", {{"number", i}});
  logger.reset();
  ::close(pipe);
}

// Neither must one on a terminal that is held (Ctrl-S).
TEST_F(LogTest, TheEndDoesNotWaitForATerminalThatNobodyReads) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) GTEST_SKIP() << "no terminals here";
  options_.file = ::ptsname(terminal);  // NOLINT(concurrency-mt-unsafe): one thread so far
  auto logger = Make();
  ASSERT_NE(logger, nullptr);
  for (int i = 0; i < 10'000; ++i) logger->Info("counted", {{"number", i}});
  logger.reset();
  ::close(terminal);
}

TEST_F(LogTest, APipeWithoutAReaderIsAnError) {
  ASSERT_EQ(::mkfifo(options_.file.c_str(), 0600), 0);
  EXPECT_EQ(MakeLogger(options_).error().reason, Reason::kInvalidArgument);
}

TEST(LogDeathTest, WritesToStandardErrorByDefault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the child starts a thread
  EXPECT_EXIT(
      {
        MakeLogger({}).value()->Info("server ready", {{"threads", 2}});
        std::exit(0);
      },
      testing::ExitedWithCode(0), "time=20.* level=info event=\"server ready\" threads=2");
}

TEST(NullLogger, TakesEverythingAndCountsNothing) {
  NullLogger().Error("nobody hears this", {{"a", 1}});
  EXPECT_EQ(NullLogger().dropped(), 0U);
  EXPECT_EQ(&NullLogger(), &NullLogger());
}

}  // namespace
}  // namespace muster
