#include "app/transfer/importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "app/files.h"
#include "app/temporary_directory.h"
#include "app/transfer/import_state.h"

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kRange = 10'000'000;  // distance between reserved ranges

// A server that remembers which operation brought which line: what makes repeated batches exact. Lines that begin with
// "bad" are rejected. Shared by all connections.
struct FakeServer {
  std::mutex mutex;
  std::string installation = "one";
  std::int64_t next_range = kRange;
  std::set<std::int64_t> ranges;                // that were given
  std::map<std::int64_t, std::string> members;  // operation → line
  std::set<std::string> good;                   // bad ones that are not rejected any more
  std::uint64_t body_bytes_max = 1 << 20;
  std::uint64_t batches = 0;
  // What the n-th batch (from 1) gets instead of an answer: a status; 0 for no answer at all. With `after` the batch is
  // written all the same, as when the connection breaks before the answer.
  struct Fault {
    int status = 503;
    bool after = false;
  };
  int refuses_to_reserve = 0;  // with this status, once
  std::function<std::optional<Fault>(std::uint64_t)> fault = [](std::uint64_t) { return std::nullopt; };

  HttpReply Import(std::int64_t range, std::uint64_t first_line, std::string_view text) {
    std::string results;
    std::uint64_t imported = 0;
    std::uint64_t already_in = 0;
    std::uint64_t rejected = 0;
    if (!ranges.contains(range)) {
      return {
          .status = 400,
          .headers = {},
          .body =
              R"({"code":"INVALID_ARGUMENT","detail":"not given","errors":[{"field":"rangeStart","description":"not given"}]})"};
    }
    for (std::uint64_t line = first_line; !text.empty(); ++line) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string content(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (content.empty()) continue;
      if (content.starts_with("bad") && !good.contains(content)) {
        ++rejected;
        results += (results.empty() ? "" : ",") + std::string("{\"line\":") + std::to_string(line) +
                   R"(,"code":"IDENTITY_TAKEN","detail":"taken"})";
        continue;
      }
      const auto [at, inserted] = members.emplace(range + static_cast<std::int64_t>(line), content);
      EXPECT_EQ(at->second, content) << "one number for two lines";
      ++imported;
      if (!inserted) ++already_in;
    }
    return {.status = 200,
            .headers = {},
            .body = "{\"imported\":" + std::to_string(imported) + ",\"alreadyIn\":" + std::to_string(already_in) +
                    ",\"rejected\":" + std::to_string(rejected) + ",\"results\":[" + results + "]}"};
  }

  std::multiset<std::string> Lines() {
    std::multiset<std::string> lines;
    for (const auto& [operation, line] : members) lines.insert(line);
    return lines;
  }
};

class FakeService final : public ImportService {
 public:
  explicit FakeService(FakeServer& server) : server_(server) {}
  Outcome<std::string> Installation() override { return server_.installation; }
  Outcome<HttpReply> Reserve(std::uint64_t lines) override {
    std::lock_guard lock(server_.mutex);
    if (const int status = std::exchange(server_.refuses_to_reserve, 0))
      return HttpReply{.status = status, .headers = {}, .body = "{}"};
    EXPECT_LT(lines, static_cast<std::uint64_t>(kRange));
    server_.ranges.insert(server_.next_range);
    const std::int64_t start = std::exchange(server_.next_range, server_.next_range + kRange);
    return HttpReply{.status = 200, .headers = {}, .body = R"({"rangeStart":")" + std::to_string(start) + "\"}"};
  }
  Outcome<HttpReply> Send(std::int64_t range_start, std::uint64_t first_line, std::string_view text) override {
    std::lock_guard lock(server_.mutex);
    const auto fault = server_.fault(++server_.batches);
    if (text.size() > server_.body_bytes_max) {
      return HttpReply{.status = 413, .headers = {}, .body = R"({"code":"BODY_TOO_LARGE","detail":"large"})"};
    }
    if (!fault || fault->after) {
      HttpReply reply = server_.Import(range_start, first_line, text);
      if (!fault) return reply;
    }
    if (fault->status == 0) return Fails(ExitCode::kUnavailable, "no answer");
    return HttpReply{.status = fault->status, .headers = {}, .body = R"({"code":"OVERLOADED","detail":"busy"})"};
  }

 private:
  FakeServer& server_;
};

class ImporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.input = directory_.path() + "/members.jsonl";
    options_.rejects_file = directory_.path() + "/rejects.jsonl";
    options_.limits = {.bytes = 64, .lines = 3, .lines_a_range = 10};
    options_.retry = {.attempts_max = 4, .first_delay = Duration(1), .delay_max = Duration(10)};
    options_.save_every = Duration(0);
  }
  void WriteInput(const std::string& content) { ASSERT_TRUE(WriteFileDurably(options_.input, content, 0600)); }
  // `count` lines, every seventh of which is bad, with a blank one now and then.
  std::string MakeLines(int count) {
    std::string lines;
    for (int i = 1; i <= count; ++i)
      lines += i % 11 == 0 ? "\n" : (i % 7 == 0 ? "bad " : "member ") + std::to_string(i) + "\n";
    return lines;
  }
  Outcome<ImportSummary> Run() {
    return RunImport(options_, [this] { return std::make_unique<FakeService>(server_); }, clock_, {});
  }
  // The server is gone after so many batches.
  void LoseAnswersAfter(std::uint64_t batches) {
    server_.fault = [batches](std::uint64_t batch) {
      return batch > batches ? std::optional(FakeServer::Fault{.status = 0}) : std::nullopt;
    };
  }
  std::string Rejects() const { return ReadSmallFile(options_.rejects_file, 1 << 20).value(); }
  std::string StatePath() const { return ImportStatePath(options_.input); }

  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-import-test").value());
  FakeServer server_;
  SystemClock clock_;
  ImportOptions options_;
};

TEST_F(ImporterTest, AnEmptyInputImportsNothing) {
  WriteInput("");
  const auto summary = Run();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->lines, 0U);
  EXPECT_FALSE(FileExists(StatePath()));
}

TEST_F(ImporterTest, EveryLineArrivesOnceAndRejectsAreInOrder) {
  WriteInput("member 1\nbad 2\n\nmember 4\nbad 5");
  options_.limits.lines = 1;
  const auto summary = Run();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->lines, 5U);
  EXPECT_EQ(summary->imported, 2U);
  EXPECT_EQ(summary->rejected, 2U);
  EXPECT_EQ(server_.Lines(), (std::multiset<std::string>{"member 1", "member 4"}));
  EXPECT_EQ(Rejects(),
            RejectJson({2, "IDENTITY_TAKEN", "taken", "bad 2"}) + RejectJson({5, "IDENTITY_TAKEN", "taken", "bad 5"}));
  EXPECT_FALSE(FileExists(StatePath()));
}

TEST_F(ImporterTest, LinesKeepTheirNumbersAcrossRanges) {
  WriteInput(MakeLines(35));
  ASSERT_TRUE(Run());
  EXPECT_EQ(server_.next_range, kRange * 5);  // four ranges of ten lines
  EXPECT_THAT(Rejects(), HasSubstr(R"({"line":28,"code":"IDENTITY_TAKEN","detail":"taken","text":"bad 28"})"));
}

TEST_F(ImporterTest, FaultsThatPassAreRetriedUnderTheSameNumbers) {
  server_.refuses_to_reserve = 503;
  WriteInput(MakeLines(60));
  server_.fault = [](std::uint64_t batch) -> std::optional<FakeServer::Fault> {
    if (batch % 3 == 1) return FakeServer::Fault{.status = batch % 2 == 0 ? 503 : 0, .after = batch % 4 == 1};
    return std::nullopt;
  };
  const auto summary = Run();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(server_.members.size(), summary->imported);
  EXPECT_EQ(summary->lines, 60U);
}

TEST_F(ImporterTest, AServerThatStaysAwayEndsItWithWhatToDo) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(5);
  const auto summary = Run();
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ExitCode::kUnavailable);
  EXPECT_THAT(summary.error().message, HasSubstr("run the same command again to go on"));
  EXPECT_TRUE(FileExists(StatePath()));
}

// Interrupted at any batch, in any way, and run again: as if it had not been.
TEST_F(ImporterTest, AnInterruptedImportEndsAsIfItHadNotBeen) {
  const std::string input = MakeLines(60);
  WriteInput(input);
  ASSERT_TRUE(Run());
  const auto expected_lines = server_.Lines();
  const std::string expected_rejects = Rejects();
  for (const std::uint64_t gone_at : {1, 2, 3, 7, 13, 20}) {
    for (const bool after : {false, true}) {
      std::filesystem::remove(options_.rejects_file);
      server_.members.clear();
      server_.batches = 0;
      server_.fault = [=](std::uint64_t batch) {
        return batch >= gone_at ? std::optional(FakeServer::Fault{.status = 0, .after = after}) : std::nullopt;
      };
      std::uint64_t interruptions = 0;
      while (!Run()) {
        ++interruptions;
        ASSERT_TRUE(FileExists(StatePath()));
        // The server is back for a while, longer each time.
        const std::uint64_t until = server_.batches + 5 * interruptions;
        server_.fault = [=](std::uint64_t batch) {
          return batch > until ? std::optional(FakeServer::Fault{.status = 0, .after = after}) : std::nullopt;
        };
        ASSERT_LT(interruptions, 50U);
      }
      EXPECT_GE(interruptions, 1U);
      EXPECT_EQ(server_.Lines(), expected_lines) << gone_at;
      EXPECT_EQ(Rejects(), expected_rejects) << gone_at;
      EXPECT_FALSE(FileExists(StatePath()));
    }
  }
}

TEST_F(ImporterTest, AnOlderStateIsMadeGoodByTheNumbers) {
  // As after kill -9: all ranges are known, since they are saved before they are used, but the prefix is from some time
  // before, and the reject file has more than it says.
  WriteInput(MakeLines(60));
  ASSERT_TRUE(Run());
  const auto expected_lines = server_.Lines();
  const std::string expected_rejects = Rejects();
  std::filesystem::remove(options_.rejects_file);
  server_.members.clear();
  server_.batches = 0;
  LoseAnswersAfter(15);
  ASSERT_FALSE(Run());
  ImportState state = LoadImportState(StatePath()).value().value();
  ASSERT_GT(state.lines, 20U);
  state.Rewind();
  ASSERT_TRUE(SaveImportState(StatePath(), state));
  server_.fault = [](std::uint64_t) { return std::nullopt; };
  const auto summary = Run();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(server_.Lines(), expected_lines);
  EXPECT_EQ(Rejects(), expected_rejects);
}

// A backup of the server's data, made when some lines were in, and restored when the client is told of more.
TEST_F(ImporterTest, ARestoredBackupIsNoticedAndMadeGood) {
  options_.limits = {.bytes = 1000, .lines = 3, .lines_a_range = 150};
  constexpr std::uint64_t kBatches = 100;  // more than are remembered
  WriteInput(MakeLines(static_cast<int>(3 * kBatches)));
  ASSERT_TRUE(Run());
  const auto expected_lines = server_.Lines();
  const std::string expected_rejects = Rejects();
  for (const std::uint64_t backup_at : {1, 2, 10, 50, 55, 70, 80}) {
    server_.members.clear();
    server_.ranges.clear();
    server_.batches = 0;
    std::filesystem::remove(options_.rejects_file);
    std::set<std::int64_t> ranges;
    std::map<std::int64_t, std::string> members;
    server_.fault = [&](std::uint64_t batch) {
      if (batch == backup_at) {
        ranges = server_.ranges;
        members = server_.members;
      }
      return batch > 90 ? std::optional(FakeServer::Fault{.status = 0}) : std::nullopt;
    };
    ASSERT_FALSE(Run());
    ASSERT_GT(LoadImportState(StatePath()).value()->lines, 3 * 80U);
    server_.ranges = ranges;
    server_.members = members;
    server_.fault = [](std::uint64_t) { return std::nullopt; };
    const auto noticed = Run();
    ASSERT_FALSE(noticed) << backup_at;
    EXPECT_EQ(noticed.error().code, ExitCode::kFailure);
    EXPECT_THAT(noticed.error().message, AllOf(HasSubstr("from a backup"), HasSubstr("Run the same command again")));
    const auto summary = Run();
    ASSERT_TRUE(summary) << summary.error().message;
    EXPECT_EQ(server_.Lines(), expected_lines) << backup_at;
    EXPECT_EQ(Rejects(), expected_rejects) << backup_at;
  }
}

TEST_F(ImporterTest, DataFromBeforeTheImportIsRefusedWithWhatToDo) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(5);
  ASSERT_FALSE(Run());
  const auto ranges = std::exchange(server_.ranges, {});
  const auto members = std::exchange(server_.members, {});
  server_.fault = [](std::uint64_t) { return std::nullopt; };
  for (int i = 0; i < 2; ++i) {
    const auto refused = Run();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, AllOf(HasSubstr("before the import began"), HasSubstr(StatePath())));
    EXPECT_TRUE(server_.members.empty());
  }
  // The newer data is put back after all.
  server_.ranges = ranges;
  server_.members = members;
  EXPECT_TRUE(Run());
}

TEST_F(ImporterTest, ALossIsToldFromLinesThatWereRejected) {
  // Batches in which nothing was imported stand last: the loss is before them.
  std::string lines = "member 1\nmember 2\nmember 3\n";
  for (int i = 0; i < 300; ++i) lines += "bad " + std::to_string(i) + "\n";
  WriteInput(lines);
  options_.limits.lines_a_range = 1000;
  LoseAnswersAfter(90);
  ASSERT_FALSE(Run());
  server_.fault = [](std::uint64_t) { return std::nullopt; };
  server_.members.erase(server_.members.begin());
  const auto noticed = Run();
  ASSERT_FALSE(noticed);
  EXPECT_THAT(noticed.error().message, HasSubstr("lacks 1 of the 3 members that were in of lines 1 to 3"));
}

TEST_F(ImporterTest, WhatWasRejectedStaysSoWhenTheObstacleHasGone) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(8);
  options_.connections = 1;
  ASSERT_FALSE(Run());
  const std::multiset<std::string> first = server_.Lines();
  ASSERT_THAT(Rejects(), HasSubstr("bad 7"));
  server_.good = {"bad 7", "bad 14"};
  LoseAnswersAfter(50);
  ASSERT_TRUE(Run());
  EXPECT_THAT(server_.Lines(), Not(Contains("bad 7")));
  EXPECT_THAT(server_.Lines(), Not(Contains("bad 14")));
  EXPECT_THAT(Rejects(), AllOf(HasSubstr("bad 7"), HasSubstr("bad 14")));
}

// A server that is just coming up answers 503 for a moment.
TEST_F(ImporterTest, TheLookForALossIsTriedAgain) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(5);
  ASSERT_FALSE(Run());
  const std::uint64_t before = server_.batches;
  server_.fault = [before](std::uint64_t batch) {
    return batch <= before + 2 ? std::optional(FakeServer::Fault{.status = batch == before + 1 ? 503 : 0})
                               : std::nullopt;
  };
  EXPECT_TRUE(Run());
}

TEST_F(ImporterTest, ARefusalOfAnotherKindIsNoLoss) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(5);
  ASSERT_FALSE(Run());
  server_.fault = [](std::uint64_t) { return FakeServer::Fault{.status = 400}; };
  const auto refused = Run();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, Not(HasSubstr("backup")));
  server_.fault = [](std::uint64_t) { return std::nullopt; };
  EXPECT_TRUE(Run());
}

TEST_F(ImporterTest, RefusalsEndItAtOnce) {
  WriteInput(MakeLines(10));
  server_.fault = [](std::uint64_t) { return FakeServer::Fault{.status = 403}; };
  options_.connections = 1;
  const auto summary = Run();
  ASSERT_FALSE(summary);
  EXPECT_EQ(server_.batches, 1U);
}

TEST_F(ImporterTest, BatchesThatAreTooLargeAreHalvedAndLinesThatAreAreRejected) {
  WriteInput("member 1\nmember 2\nmember 33333333333333333333\nmember 4\nmember 5\n");
  server_.body_bytes_max = 20;
  options_.limits = {.bytes = 1000, .lines = 100};
  const auto summary = Run();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(server_.Lines(), (std::multiset<std::string>{"member 1", "member 2", "member 4", "member 5"}));
  EXPECT_THAT(Rejects(), HasSubstr(R"({"line":3,"code":"BODY_TOO_LARGE")"));
}

TEST_F(ImporterTest, AChangedInputIsRefused) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(5);
  ASSERT_FALSE(Run());
  WriteInput(MakeLines(61));
  const auto summary = Run();
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ExitCode::kFailure);
  EXPECT_THAT(summary.error().message, HasSubstr("has changed"));
  EXPECT_THAT(summary.error().message, HasSubstr(StatePath()));
}

TEST_F(ImporterTest, AChangeOfOneByteIsNotGoneOnWithButACopyIs) {
  const std::string content = MakeLines(600);
  WriteInput(content);
  LoseAnswersAfter(5);
  ASSERT_FALSE(Run());
  server_.fault = [](std::uint64_t) { return std::nullopt; };
  std::string changed = content;
  changed[content.size() / 2] = '#';
  WriteInput(changed);
  EXPECT_THAT(Run().error().message, HasSubstr("has changed"));
  WriteInput(content);  // another file, of another time
  const auto summary = Run();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->lines, 600U);
  EXPECT_GT(summary->resumed_lines, 0U);
}

TEST_F(ImporterTest, RejectsAreNotWrittenOverTheInputOrTheState) {
  const std::string content = MakeLines(5);
  WriteInput(content);
  const std::string symbolic = directory_.path() + "/symbolic";
  const std::string hard = directory_.path() + "/hard";
  std::filesystem::create_symlink(options_.input, symbolic);
  std::filesystem::create_hard_link(options_.input, hard);
  for (const std::string& name : {options_.input, symbolic, hard, StatePath()}) {
    options_.rejects_file = name;
    const auto summary = Run();
    ASSERT_FALSE(summary) << name;
    EXPECT_EQ(summary.error().code, ExitCode::kUsage);
    EXPECT_THAT(summary.error().message, HasSubstr(name));
  }
  EXPECT_EQ(ReadSmallFile(options_.input, 1 << 20).value(), content);
  EXPECT_TRUE(server_.members.empty());
}

TEST_F(ImporterTest, EarlierRejectsAreNotWrittenOver) {
  WriteInput(MakeLines(20));
  ASSERT_TRUE(Run());
  const std::string earlier = Rejects();
  ASSERT_NE(earlier, "");
  server_.batches = 0;
  const auto summary = Run();
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ExitCode::kUsage);
  EXPECT_THAT(summary.error().message, HasSubstr("move it away"));
  EXPECT_EQ(Rejects(), earlier);
  EXPECT_EQ(server_.batches, 0U);
  ASSERT_TRUE(WriteFileDurably(options_.rejects_file, "", 0600));
  EXPECT_TRUE(Run()) << "an empty one holds nothing";
}

TEST_F(ImporterTest, WithoutAPlaceForItsStateItSaysHowToDoWithoutOne) {
  WriteInput(MakeLines(5));
  std::filesystem::create_directory(StatePath() + ".tmp");  // as in a directory that may not be written to
  const auto summary = Run();
  ASSERT_FALSE(summary);
  EXPECT_THAT(summary.error().message, HasSubstr("muster import - < " + options_.input));
  EXPECT_THAT(summary.error().message, Not(HasSubstr("same command")));
  EXPECT_TRUE(server_.members.empty());
  EXPECT_FALSE(FileExists(StatePath()));
}

TEST_F(ImporterTest, AnotherInstallationOrRejectFileIsRefused) {
  WriteInput(MakeLines(60));
  LoseAnswersAfter(5);
  ASSERT_FALSE(Run());
  server_.installation = "two";
  EXPECT_THAT(Run().error().message, HasSubstr("another installation"));
  server_.installation = "one";
  options_.rejects_file = "";
  EXPECT_EQ(Run().error().code, ExitCode::kUsage);
}

TEST_F(ImporterTest, WhatIsNotAFileIsRefused) {
  options_.input = directory_.path();
  EXPECT_THAT(Run().error().message, HasSubstr("is a directory"));
  options_.input = directory_.path() + "/missing";
  EXPECT_THAT(Run().error().message, HasSubstr("No such file"));
}

TEST_F(ImporterTest, AFullDiskUnderTheRejectsEndsIt) {
  WriteInput("bad 1\n");
  options_.rejects_file = "/dev/full";
  const auto summary = Run();
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ExitCode::kFailure);
}

}  // namespace
}  // namespace muster
