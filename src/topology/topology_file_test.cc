#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "topology/topology.h"
#include "topology/topology_store_contract.h"

namespace muster {
namespace {

using testing::HasSubstr;

// A place for a topology, removed at the end.
class TopologyPlace {
 public:
  TopologyPlace() {
    std::string name = std::filesystem::temp_directory_path() / "muster-topology-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ / "topology.json";
  }
  TopologyPlace(const TopologyPlace&) = delete;
  ~TopologyPlace() { std::filesystem::remove_all(directory_); }

 protected:
  std::filesystem::path directory_;
  std::filesystem::path path_;
};

class FileFactory : private TopologyPlace {
 public:
  TopologyStore& store() { return *store_; }
  TopologyStore& other() { return *other_; }

 private:
  const std::unique_ptr<TopologyStore> store_ = OpenTopologyFile(path_).value();
  const std::unique_ptr<TopologyStore> other_ = OpenTopologyFile(path_).value();
};

INSTANTIATE_TYPED_TEST_SUITE_P(File, TopologyStoreContract, FileFactory);

class TopologyFileTest : public testing::Test, protected TopologyPlace {
 protected:
  std::unique_ptr<TopologyStore> Open() const {
    auto store = OpenTopologyFile(path_);
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }

  void Write(std::string_view text, mode_t mode = 0600) const {
    std::ofstream(path_) << text;
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
  }

  std::string Content() const {
    std::ostringstream content;
    content << std::ifstream(path_).rdbuf();
    return content.str();
  }

  static mode_t ModeOf(const std::filesystem::path& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  }

  static Result<void> AddCaller(TopologyDocument& document, const std::string& name) {
    document.callers.push_back({.name = name, .create_time = Timestamp(std::chrono::seconds(1))});
    return {};
  }
};

TEST_F(TopologyFileTest, NobodyWritesAMissingFileByReading) {
  EXPECT_TRUE(Open()->Read());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(TopologyFileTest, AnErrorOfTheChangeLeavesTheFileAlone) {
  auto store = Open();
  ASSERT_TRUE(store->Update([](TopologyDocument& document) { return AddCaller(document, "a"); }));
  const std::string before = Content();
  EXPECT_FALSE(store->Update([](TopologyDocument&) -> Result<void> { return Fail(Reason::kStateConflict, "no"); }));
  EXPECT_EQ(Content(), before);
}

TEST_F(TopologyFileTest, AChangeThatBreaksTheFormatStoresNothing) {
  auto store = Open();
  ASSERT_TRUE(store->Update([](TopologyDocument& document) { return AddCaller(document, "a"); }));
  const std::string before = Content();
  EXPECT_FALSE(store->Update([](TopologyDocument& document) { return AddCaller(document, "a"); })) << "the name twice";
  EXPECT_EQ(Content(), before);
}

TEST_F(TopologyFileTest, OnlyTheOwnerMayReadAndWrite) {
  const mode_t mask = ::umask(0);
  ASSERT_TRUE(Open()->Update([](TopologyDocument& document) { return AddCaller(document, "a"); }));
  ::umask(mask);
  EXPECT_EQ(ModeOf(path_), 0600U);
  EXPECT_EQ(ModeOf(path_.string() + ".lock"), 0600U);
}

TEST_F(TopologyFileTest, RefusesAFileThatOthersMayTouch) {
  ASSERT_TRUE(Open()->Update([](TopologyDocument& document) { return AddCaller(document, "a"); }));
  for (const mode_t mode : {0644U, 0620U, 0602U}) {
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    const auto refused = OpenTopologyFile(path_);
    ASSERT_FALSE(refused) << mode;
    EXPECT_THAT(refused.error().message, HasSubstr("chmod 600 " + path_.string()));
  }
}

TEST_F(TopologyFileTest, RefusesAMalformedFileAndLeavesItAlone) {
  Write("{\"format\":1,\n\"revision\":}");
  const auto opened = OpenTopologyFile(path_);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr(path_.string() + ":2:"));
  EXPECT_EQ(Content(), "{\"format\":1,\n\"revision\":}");
}

TEST_F(TopologyFileTest, AFileThatWasBrokenLaterIsNotOverwritten) {
  auto store = Open();
  ASSERT_TRUE(store->Update([](TopologyDocument& document) { return AddCaller(document, "a"); }));
  Write("{}");
  EXPECT_FALSE(store->Read());
  EXPECT_FALSE(store->Update([](TopologyDocument& document) { return AddCaller(document, "b"); }));
  EXPECT_EQ(Content(), "{}");
}

TEST_F(TopologyFileTest, RefusesWhatIsNoFile) {
  std::filesystem::create_directory(path_);
  const auto opened = OpenTopologyFile(path_);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("not a regular file"));
}

TEST_F(TopologyFileTest, RefusesAnEnormousFile) {
  Write("");
  std::filesystem::resize_file(path_, (16 << 20) + 1);
  const auto opened = OpenTopologyFile(path_);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("larger than"));
}

TEST_F(TopologyFileTest, SaysSoWhenTheDirectoryIsMissing) {
  auto store = OpenTopologyFile(directory_ / "none" / "topology.json");
  ASSERT_TRUE(store);
  const auto updated = (*store)->Update([](TopologyDocument& document) { return AddCaller(document, "a"); });
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().reason, Reason::kWritesUnavailable);
  EXPECT_THAT(updated.error().message, HasSubstr("nothing was changed"));
}

// What a writer leaves that dies between writing and renaming.
TEST_F(TopologyFileTest, ALeftoverOfACrashIsIgnoredAndReplaced) {
  auto store = Open();
  ASSERT_TRUE(store->Update([](TopologyDocument& document) { return AddCaller(document, "a"); }));
  const std::string leftover = path_.string() + ".tmp";
  std::ofstream(leftover) << std::string(100'000, 'x');
  ASSERT_EQ(::chmod(leftover.c_str(), 0666), 0);
  EXPECT_EQ((*Open()->Read())->callers.size(), 1U);
  ASSERT_TRUE(store->Update([](TopologyDocument& document) { return AddCaller(document, "b"); }));
  EXPECT_EQ((*Open()->Read())->callers.size(), 2U);
  EXPECT_EQ(ModeOf(path_), 0600U);
  EXPECT_FALSE(std::filesystem::exists(leftover));
}

// The child's exit code: 0 when all its updates succeeded. No gtest in the child.
pid_t ForkUpdater(const std::string& path, int number, int updates, int report) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  auto store = OpenTopologyFile(path);
  if (!store) ::_exit(1);
  for (int i = 0; i < updates; ++i) {
    auto updated = (*store)->Update([&](TopologyDocument& document) -> Result<void> {
      document.callers.push_back({.name = "c" + std::to_string(number) + "-" + std::to_string(i),
                                  .create_time = Timestamp(std::chrono::seconds(1))});
      return {};
    });
    if (!updated) ::_exit(2);
    const std::int64_t revision = (*updated)->revision;
    if (report >= 0 && ::write(report, &revision, sizeof revision) != sizeof revision) ::_exit(3);
  }
  ::_exit(0);
}

TEST_F(TopologyFileTest, ProcessesLoseNoUpdate) {
  constexpr int kProcesses = 4;
  constexpr int kUpdates = 25;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) children.push_back(ForkUpdater(path_, p, kUpdates, -1));
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  const auto read = Open()->Read();
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->revision, kProcesses * kUpdates);
  EXPECT_EQ((*read)->callers.size(), static_cast<std::size_t>(kProcesses * kUpdates));
}

// Killed at any moment, a writer leaves a file that reads, with all it has heard acknowledged, and no lock.
TEST_F(TopologyFileTest, AKilledWriterLosesNothingAcknowledged) {
  for (int round = 0; round < 20; ++round) {
    std::array<int, 2> channel{};
    ASSERT_EQ(::pipe(channel.data()), 0);
    const pid_t child = ForkUpdater(path_, round, 1'000'000, channel[1]);
    ::close(channel[1]);
    std::int64_t acknowledged = 0;
    for (int i = 0; i <= round % 4; ++i) {
      ASSERT_EQ(::read(channel[0], &acknowledged, sizeof acknowledged), static_cast<ssize_t>(sizeof acknowledged));
    }
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    std::int64_t later = 0;
    while (::read(channel[0], &later, sizeof later) == static_cast<ssize_t>(sizeof later)) acknowledged = later;
    ::close(channel[0]);
    const auto read = Open()->Read();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_GE((*read)->revision, acknowledged);
    EXPECT_LE((*read)->revision, acknowledged + 1) << "only the one under way may have happened unheard";
    EXPECT_EQ((*read)->callers.size(), static_cast<std::size_t>((*read)->revision));
  }
}

}  // namespace
}  // namespace muster
