// kill -9 in the middle of commits: what was acknowledged is there, and all fits together.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "domain/id_allocator.h"
#include "domain/synthetic_members.h"
#include "store/binding.h"
#include "store/doctor.h"
#include "store/sqlite_store.h"
#include "store/sqlite_test_support.h"

namespace muster::sqlite_crash_test {
namespace {

using testing::TemporaryDirectory;
using testing::TurnLoop;

constexpr int kRounds = 5;
constexpr int kClients = 8;
constexpr std::uint64_t kSharedIdentities = 6;

template <typename T>
T Wait(Task<T> task) {
  std::promise<T> promise;
  Spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); });
  return promise.get_future().get();
}

// A server's store on a directory that outlives the process.
struct Installation {
  Installation(const std::string& directory, int files)
      : keyring(*Keyring::Load(directory + "/keyring")), hash(keyring.hash_key()) {
    SqliteDependencies dependencies{.keyring = &keyring,
                                    .clock = &clock,
                                    .random = &random,
                                    .logger = &NullLogger(),
                                    .metrics = &metrics,
                                    .floor = &floor,
                                    .cache = nullptr,
                                    .catalog = &catalog};
    auto opened = SqliteStore::Open(directory, {.files = files}, dependencies);
    if (!opened) MUSTER_UNREACHABLE(opened.error().message);
    store = *std::move(opened);
    writer = MakeBindingWriter(
        {.shards = &store->shards(), .catalog = &catalog, .ids = &ids, .clock = &clock, .timer = &timer});
  }

  Keyring keyring;
  KeyedHash hash;
  SystemClock clock;
  SystemRandom random;
  MetricRegistry metrics;
  CommitFloor floor;
  IdentityCatalog catalog = IdentityCatalog::Default();
  IdAllocator ids{clock, 0, static_cast<std::uint16_t>(getpid())};
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<MemberWriter> writer;
  ThreadTimer timer;  // ends first: its thread may just have handed something to the store
};

Identity SharedIdentity(KeyedHash& hash, std::uint64_t number) {
  Identity identity;
  identity.kind = "account";
  identity.platform = "shop";
  identity.value = Pii<std::string>("shared-" + std::to_string(number));
  identity.key = hash.KeyOf(identity.kind, identity.platform, identity.value.Reveal());
  return identity;
}

// One client: registers members with identities of their own, lets them fight over shared ones, and writes the index of
// each registration to `acknowledgements` once it was answered.
void Play(Installation& installation, std::uint64_t first_index, int acknowledgements) {
  KeyedHash hash(installation.keyring.hash_key());
  const SyntheticMembers synthetic(1);
  SeededRandom random(first_index);
  for (std::uint64_t index = first_index;; ++index) {
    const Result<Member> member = Wait(installation.writer->Register(synthetic.Make(index, hash), false, {}));
    if (!member) continue;
    const std::string line = std::to_string(index) + "\n";
    if (write(acknowledgements, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return;
    const Identity shared = SharedIdentity(hash, random.Below(kSharedIdentities));
    if (Wait(installation.writer->Bind(member->id, shared, {}))) {
      static_cast<void>(Wait(installation.writer->Unbind(member->id, shared.key, {})));
    }
  }
}

// Not a test: the process that is killed. It runs when the test below starts this program again.
TEST(SqliteCrash, DISABLED_Victim) {
  const char* directory = std::getenv("MUSTER_CRASH_DIRECTORY");  // NOLINT(concurrency-mt-unsafe)
  const char* files = std::getenv("MUSTER_CRASH_FILES");          // NOLINT(concurrency-mt-unsafe)
  const char* round = std::getenv("MUSTER_CRASH_ROUND");          // NOLINT(concurrency-mt-unsafe)
  ASSERT_TRUE(directory && files && round);
  Installation installation(directory, std::atoi(files));
  std::vector<std::jthread> clients;
  for (std::uint64_t client = 0; client < kClients; ++client) {
    const std::uint64_t first = (std::stoull(round) * kClients + client) * 1'000'000;
    clients.emplace_back([&installation, first] { Play(installation, first, STDOUT_FILENO); });
  }
}

// Starts the victim, waits for `enough` acknowledgements, kills it, and gives all that it acknowledged.
std::vector<std::uint64_t> RunVictim(const std::string& directory, int files, int round, std::size_t enough) {
  int pipe_ends[2];
  MUSTER_CHECK(pipe(pipe_ends) == 0);
  const std::string environment[] = {"MUSTER_CRASH_DIRECTORY=" + directory,
                                     "MUSTER_CRASH_FILES=" + std::to_string(files),
                                     "MUSTER_CRASH_ROUND=" + std::to_string(round)};
  const pid_t victim = fork();
  if (victim == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    close(pipe_ends[0]);
    const char* arguments[] = {"victim", "--gtest_filter=SqliteCrash.DISABLED_Victim",
                               "--gtest_also_run_disabled_tests", nullptr};
    const char* variables[] = {environment[0].c_str(), environment[1].c_str(), environment[2].c_str(), nullptr};
    execve("/proc/self/exe", const_cast<char**>(arguments), const_cast<char**>(variables));
    _exit(127);
  }
  close(pipe_ends[1]);
  std::string text;
  char buffer[4096];
  bool killed = false;
  std::vector<std::uint64_t> acknowledged;
  for (ssize_t size; (size = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
    std::size_t end;
    while ((end = text.find('\n')) != std::string::npos) {
      // GoogleTest's own lines come through the same pipe.
      if (end > 0 && text.find_first_not_of("0123456789") == end) acknowledged.push_back(std::stoull(text));
      text.erase(0, end + 1);
    }
    if (!killed && acknowledged.size() >= enough) {
      EXPECT_EQ(kill(victim, SIGKILL), 0);
      killed = true;
    }
  }
  close(pipe_ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(victim, &status, 0), victim);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the victim ended by itself, status " << status;
  return acknowledged;
}

class SqliteCrashTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Files, SqliteCrashTest, ::testing::Values(1, 4));

TEST_P(SqliteCrashTest, NothingAcknowledgedIsLostAndNoIdentityIsHeldTwice) {
  const TemporaryDirectory directory;
  SystemRandom random;
  ASSERT_TRUE(Keyring::Create(directory.path() + "/keyring", random));
  std::vector<std::uint64_t> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    const std::size_t enough = 20 + random.Below(300);
    for (const std::uint64_t index : RunVictim(directory.path(), GetParam(), round, enough))
      acknowledged.push_back(index);

    const Result<Examination> examination =
        ExamineStore(directory.path(), *Keyring::Load(directory.path() + "/keyring"), nullptr);
    ASSERT_TRUE(examination) << examination.error().message;
    for (const Finding& finding : examination->findings) {
      EXPECT_FALSE(finding.is_damage) << finding.code << " " << finding.subject << ": " << finding.detail;
    }
    EXPECT_GE(examination->members, acknowledged.size());
  }

  Installation installation(directory.path(), GetParam());
  TurnLoop loop;
  const auto reader = *installation.store->MakeReader(loop);
  const SyntheticMembers synthetic(1);
  std::size_t found = 0;
  for (const std::uint64_t index : acknowledged) {
    for (const Identity& identity : synthetic.Make(index, installation.hash).identities) {
      reader->Resolve(identity.key, {}, [&, index](const Result<MemberAnswer>& answer) {
        EXPECT_TRUE(answer && answer->member) << "registration " << index << " was acknowledged and is lost";
        ++found;
      });
    }
    loop.RunTurn();
  }
  EXPECT_GE(found, acknowledged.size() * 2);
  EXPECT_GE(acknowledged.size(), static_cast<std::size_t>(kRounds) * 20);
}

}  // namespace
}  // namespace muster::sqlite_crash_test
