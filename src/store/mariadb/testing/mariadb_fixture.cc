#include "store/mariadb/testing/mariadb_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "base/check.h"

namespace muster::testing {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kLookAgain{5};

std::string FindProgram(const std::string& name) {
  for (const char* const folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"}) {
    if (access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return {};
}

pid_t Spawn(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t process = fork();
  MUSTER_CHECK(process >= 0);
  if (process == 0) {
    // It ends with the test, also when that aborts; whatever it says goes to its log.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (std::freopen(output.c_str(), "a", stdout) == nullptr || dup2(STDOUT_FILENO, STDERR_FILENO) < 0) _exit(126);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  return process;
}

std::uint16_t FreePort() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  MUSTER_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  MUSTER_CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  close(listener);
  return ntohs(address.sin_port);
}

std::string CurrentUser() { return geteuid() == 0 ? "root" : std::to_string(geteuid()); }

// A data directory as a fresh installation has it, made once a process: copying it takes a tenth of the time.
const std::string& FreshData() {
  static const TemporaryDirectory directory;
  static const std::string path = [] {
    const std::string data = directory.path() + "/data";
    std::vector<std::string> command = {FindProgram("mariadb-install-db"),
                                        "--no-defaults",
                                        "--auth-root-authentication-method=normal",
                                        "--skip-test-db",
                                        "--innodb-log-file-size=8M",
                                        "--tmpdir=" + directory.path(),
                                        "--datadir=" + data};
    if (geteuid() == 0) command.emplace_back("--user=root");
    int status = 0;
    MUSTER_CHECK(waitpid(Spawn(command, directory.path() + "/log"), &status, 0) > 0);
    MUSTER_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return data;
  }();
  return path;
}

// Skips all tests where there is no server to start; with MUSTER_REQUIRE_TOOLS=1 that fails.
class NeedsMariadb final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (!FindProgram("mariadbd").empty() && !FindProgram("mariadb-install-db").empty()) return;
    const char* const required = std::getenv("MUSTER_REQUIRE_TOOLS");  // NOLINT(concurrency-mt-unsafe)
    const char* const why = "mariadbd is not installed (apt-get install mariadb-server)";
    std::fprintf(stderr, "skipped: %s\n", why);
    if (required != nullptr && std::string_view(required) == "1") FAIL() << why;
    GTEST_SKIP() << why;
  }
};
const ::testing::Environment* const kNeedsMariadb = ::testing::AddGlobalTestEnvironment(new NeedsMariadb);

}  // namespace

bool WaitUntil(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
  return true;
}

MariadbServer::MariadbServer(std::vector<std::string> arguments, At starts)
    : arguments_(std::move(arguments)), port_(FreePort()) {
  std::filesystem::copy(FreshData(), data_directory(), std::filesystem::copy_options::recursive);
  if (starts == At::kOnce) Start();
}

MariadbServer::~MariadbServer() {
  if (process_ > 0) Kill();
}

void MariadbServer::Start(const std::vector<std::string>& more) {
  Launch(more);
  Await();
}

void MariadbServer::Launch(const std::vector<std::string>& more) {
  std::vector<std::string> command = {
      FindProgram("mariadbd"), "--no-defaults", "--datadir=" + data_directory(),
      // One of its own: a server that starts deletes the temporary tables in it, and whoever uses them crashes.
      "--tmpdir=" + directory_.path(), "--socket=" + socket(), "--pid-file=" + directory_.path() + "/pid",
      "--bind-address=127.0.0.1", "--port=" + std::to_string(port_), "--skip-name-resolve",
      "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--innodb-use-native-aio=0",
      // What a killed process wrote stays; only a machine that crashes would lose it.
      "--innodb-flush-log-at-trx-commit=2", "--character-set-server=utf8mb4", "--max-connections=200"};
  if (geteuid() == 0) command.push_back("--user=" + CurrentUser());
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  command.insert(command.end(), more.begin(), more.end());
  process_ = Spawn(command, directory_.path() + "/log");
}

void MariadbServer::Await() {
  const bool answers = WaitUntil([&] {
    return mariadb::Connection::Open(*mariadb::Endpoint::Parse(address()), {.user = "root", .password = {}}, "", {},
                                     mariadb::Use::kRead)
        .has_value();
  });
  if (!answers) MUSTER_UNREACHABLE("mariadbd did not start:\n" + log());
}

void MariadbServer::Kill() {
  MUSTER_CHECK(kill(process_, SIGKILL) == 0);
  MUSTER_CHECK(waitpid(std::exchange(process_, 0), nullptr, 0) > 0);
}

void MariadbServer::Stop() {
  MUSTER_CHECK(kill(process_, SIGSTOP) == 0);
  int status = 0;
  MUSTER_CHECK(waitpid(process_, &status, WUNTRACED) == process_ && WIFSTOPPED(status));
}
void MariadbServer::Continue() { MUSTER_CHECK(kill(process_, SIGCONT) == 0); }

std::unique_ptr<mariadb::Connection> MariadbServer::Connect(const std::string& database) {
  auto connection = mariadb::Connection::Open(*mariadb::Endpoint::Parse(address()), {.user = "root", .password = {}},
                                              database, {}, mariadb::Use::kWrite);
  if (!connection) MUSTER_UNREACHABLE(connection.error().message);
  return *std::move(connection);
}

void MariadbServer::Execute(const std::string& sql, const std::string& database) {
  const Result<void> done = Connect(database)->Execute(sql);
  EXPECT_TRUE(done) << sql << ": " << done.error().message;
}

std::int64_t MariadbServer::ReadInteger(const std::string& sql, const std::string& database) {
  const Result<std::int64_t> number = Connect(database)->ReadInteger(sql);
  EXPECT_TRUE(number) << sql << ": " << number.error().message;
  return number.value_or(-1);
}

std::string MariadbServer::TakeDatabase() {
  if (!free_databases_.empty()) {
    std::string database = std::move(free_databases_.back());
    free_databases_.pop_back();
    return database;
  }
  std::string database = "members_" + std::to_string(++databases_made_);
  Execute("CREATE DATABASE " + database);
  return database;
}

void MariadbServer::GiveBack(const std::string& database) {
  const auto connection = Connect(database);
  for (const char* const table : {"member", "identity", "history", "`change`", "stream", "copied", "node", "operation",
                                  "record", "import_range"}) {
    EXPECT_TRUE(connection->Execute(std::string("DELETE FROM ") + table));
  }
  EXPECT_TRUE(
      connection->Execute("UPDATE fence SET epoch = 0, shards_revision = 0, move_term = 0, cleaned_revision = 0"));
  EXPECT_TRUE(connection->Execute(
      "UPDATE relay SET term = 0, holder = '', until_time = 0, last_position = 0, forgotten_to = 0"));
  EXPECT_TRUE(connection->Execute("DELETE FROM meta WHERE name NOT IN ('schema_version', 'import_range', 'probe')"));
  free_databases_.push_back(database);
}

std::string MariadbServer::log() const {
  std::ifstream file(directory_.path() + "/log");
  return {std::istreambuf_iterator<char>(file), {}};
}

MariadbServer& SharedMariadb() {
  static MariadbServer server;
  return server;
}

bool PostedLoop::RunUntil(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_until(lock, until, [this] { return !work_.empty(); })) return false;
    Work work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
  }
  return true;
}

MariadbHarness::MariadbHarness(std::uint32_t groups, MariadbServer& mariadb, const Clock* store_clock)
    : server(mariadb), clock(store_clock != nullptr ? store_clock : &system_clock) {
  for (std::uint32_t group = 0; group < groups; ++group) {
    options.groups.push_back({.primary = server.address(), .replicas = {}, .database = server.TakeDatabase()});
  }
  options.user = "root";
  options.connections = 8;
  options.readers = 2;
  options.allow_unsafe_settings = true;
  options.clock_refresh_ms = 86'400'000;
}

MariadbHarness::~MariadbHarness() {
  store.reset();
  for (const auto& group : options.groups) {
    if (gives_back) {
      server.GiveBack(group.database);
    } else {
      server.Execute("DROP DATABASE " + group.database);
    }
  }
}

MariadbDependencies MariadbHarness::Dependencies() {
  return {.keyring = &keyring,
          .clock = clock,
          .random = &random,
          .logger = logger,
          .metrics = metrics.get(),
          .floor = &floor,
          .cache = nullptr,
          .catalog = &catalog,
          .lease = lease,
          .listener = listener,
          .shards = shards,
          .mover = mover};
}

Result<void> MariadbHarness::Open() {
  store.reset();
  metrics = std::make_unique<MetricRegistry>();
  MUSTER_ASSIGN(store, MariadbStore::Open(options, Dependencies()));
  return {};
}

bool MariadbHarness::WaitForStream() {
  return WaitUntil([this] {
    for (std::uint32_t group = 0; group < options.groups.size(); ++group) {
      if (server.ReadInteger("SELECT COUNT(*) FROM `change`", Database(group)) > 0) return false;
    }
    return true;
  });
}

void MariadbHarness::MustOpen() {
  const Result<void> opened = Open();
  if (!opened) MUSTER_UNREACHABLE(opened.error().message);
}

}  // namespace muster::testing
