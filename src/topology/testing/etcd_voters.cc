#include "topology/testing/etcd_voters.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>
#include <utility>

#include "base/check.h"
#include "topology/etcd/http.h"
#include "topology/etcd/messages.h"

namespace muster::testing {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kLookAgain{3};

std::string FindEtcd() {
  for (const char* const path : {"/usr/bin/etcd", "/usr/local/bin/etcd"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return {};
}

// Skips all tests where there is no etcd to start; with MUSTER_REQUIRE_TOOLS=1 that fails.
class NeedsEtcd final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (!FindEtcd().empty()) return;
    const char* const why = "etcd is not installed (apt-get install etcd-server)";
    const char* const required = std::getenv("MUSTER_REQUIRE_TOOLS");
    std::fprintf(stderr, "skipped: %s\n", why);
    if (required != nullptr && std::string_view(required) == "1") FAIL() << why;
    GTEST_SKIP() << why;
  }
};
const ::testing::Environment* const kNeedsEtcd = ::testing::AddGlobalTestEnvironment(new NeedsEtcd);

// Not of those that the kernel gives to whoever connects: a voter that was killed finds its own free again.
std::uint16_t FreePort() {
  constexpr std::uint16_t kFirst = 20'000;
  constexpr std::uint16_t kCount = 12'000;
  static std::uint16_t next = static_cast<std::uint16_t>(std::random_device()() % kCount);
  for (int i = 0; i < kCount; ++i) {
    next = static_cast<std::uint16_t>((next + 1) % kCount);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(kFirst + next);
    const bool is_free = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(listener);
    if (is_free) return kFirst + next;
  }
  MUSTER_UNREACHABLE("no port is free");
}

pid_t Spawn(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t process = ::fork();
  MUSTER_CHECK(process >= 0);
  if (process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left when the test dies
    if (std::freopen(output.c_str(), "a", stdout) == nullptr || ::dup2(STDOUT_FILENO, STDERR_FILENO) < 0) ::_exit(126);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  return process;
}

}  // namespace

bool WaitUntil(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
  return true;
}

EtcdVoters::EtcdVoters(int count, std::vector<std::string> arguments, std::string scheme)
    : arguments_(std::move(arguments)), scheme_(std::move(scheme)), voters_(count) {
  std::string name = (std::filesystem::temp_directory_path() / "muster-etcd-XXXXXX").string();
  MUSTER_CHECK(::mkdtemp(name.data()) != nullptr);
  directory_ = name;
  for (Voter& voter : voters_) voter = {.client_port = FreePort(), .peer_port = FreePort()};
  for (int i = 0; i < count; ++i) Start(i);
  MUSTER_CHECK(scheme_ != "http" || WaitUntilServing());
}

EtcdVoters::~EtcdVoters() {
  for (int i = 0; i < static_cast<int>(voters_.size()); ++i) {
    if (voters_[i].process > 0) Kill(i);
  }
  std::filesystem::remove_all(directory_);
}

void EtcdVoters::Start(int voter) {
  MUSTER_CHECK(voters_[voter].process == 0);
  std::string cluster;
  for (int i = 0; i < static_cast<int>(voters_.size()); ++i) {
    cluster += (i == 0 ? "v" : ",v") + std::to_string(i) + "=" + peer_url(i);
  }
  std::vector<std::string> command = {
      FindEtcd(), "--name=v" + std::to_string(voter), "--data-dir=" + data_directory(voter),
      "--listen-client-urls=" + endpoint(voter), "--advertise-client-urls=" + endpoint(voter),
      "--listen-peer-urls=" + peer_url(voter), "--initial-advertise-peer-urls=" + peer_url(voter),
      "--initial-cluster=" + cluster, "--pre-vote",
      // What a killed process wrote stays; only a machine that crashes would lose it.
      "--unsafe-no-fsync", "--heartbeat-interval=50", "--election-timeout=500"};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  voters_[voter].process = Spawn(command, directory_ + "/log" + std::to_string(voter));
}

void EtcdVoters::Kill(int voter) {
  MUSTER_CHECK(::kill(voters_[voter].process, SIGKILL) == 0);
  MUSTER_CHECK(::waitpid(std::exchange(voters_[voter].process, 0), nullptr, 0) > 0);
  voters_[voter].is_frozen = false;
}

void EtcdVoters::Freeze(int voter) {
  int status = 0;
  MUSTER_CHECK(::kill(voters_[voter].process, SIGSTOP) == 0);
  MUSTER_CHECK(::waitpid(voters_[voter].process, &status, WUNTRACED) > 0 && WIFSTOPPED(status));
  voters_[voter].is_frozen = true;
}

void EtcdVoters::Thaw(int voter) {
  MUSTER_CHECK(::kill(voters_[voter].process, SIGCONT) == 0);
  voters_[voter].is_frozen = false;
}

bool EtcdVoters::WaitUntilServing() {
  for (int i = 0; i < static_cast<int>(voters_.size()); ++i) {
    if (voters_[i].process == 0 || voters_[i].is_frozen) continue;
    const bool is_serving = WaitUntil([&] {
      const std::string answer = Call(i, "/v3/kv/range", etcd::RangeRequest("is it there"));
      return !answer.empty() && !etcd::ParseRefusal(answer);
    });
    if (!is_serving) return false;
  }
  return true;
}

std::string EtcdVoters::endpoint(int voter) const {
  return scheme_ + "://127.0.0.1:" + std::to_string(voters_[voter].client_port);
}

std::vector<std::string> EtcdVoters::endpoints() const {
  std::vector<std::string> all;
  for (int i = 0; i < static_cast<int>(voters_.size()); ++i) all.push_back(endpoint(i));
  return all;
}

std::string EtcdVoters::peer_url(int voter) const {
  return "http://127.0.0.1:" + std::to_string(voters_[voter].peer_port);
}

std::string EtcdVoters::data_directory(int voter) const { return directory_ + "/data" + std::to_string(voter); }

std::string EtcdVoters::Call(int voter, const std::string& path, const std::string& body) const {
  etcd::Http http({});
  const auto reply =
      http.Post({.url = endpoint(voter) + path, .body = body, .token = {}, .timeout = std::chrono::seconds(2)});
  return reply ? reply->body : std::string();
}

void EtcdVoters::Put(int voter, const std::string& key, const std::string& value) const {
  const std::string body = R"({"key":")" + etcd::ToBase64(key) + R"(","value":")" + etcd::ToBase64(value) + "\"}";
  const std::string answer = Call(voter, "/v3/kv/put", body);
  MUSTER_CHECK(answer.starts_with("{\"header\""));
}

std::string EtcdVoters::Get(int voter, const std::string& key) const {
  const auto found = etcd::ParseRange(Call(voter, "/v3/kv/range", etcd::RangeRequest(key)));
  return found && *found ? (*found)->value : std::string();
}

EtcdVoters& SharedVoter() {
  static EtcdVoters voter(1);
  return voter;
}

EtcdVoters& SharedVoters() {
  static EtcdVoters voters(3);
  return voters;
}

EtcdOptions OptionsFor(std::vector<std::string> endpoints) {
  static std::atomic<int> number{0};
  EtcdOptions options;
  options.endpoints = std::move(endpoints);
  options.prefix = "test" + std::to_string(++number) + "/";
  return options;
}

std::unique_ptr<EtcdTopologyStore> OpenEtcd(const EtcdOptions& options) {
  static const SystemClock clock;
  static SystemRandom random;
  auto store = OpenTopologyEtcd(options, {.clock = &clock, .random = &random});
  if (!store) MUSTER_UNREACHABLE(store.error().message);
  return std::move(*store);
}

}  // namespace muster::testing
