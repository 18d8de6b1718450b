#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "domain/commit_floor.h"
#include "domain/keyring.h"
#include "domain/ports/member_reader.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/mariadb_store.h"
#include "store/sqlite_test_support.h"

// What tests of the MariaDB store share. Where no MariaDB server is installed all of them are skipped.
namespace muster::testing {

// A MariaDB server of its own: on a copy of a fresh data directory, with a Unix socket and a port of 127.0.0.1. It ends
// with this object, and its data with it.
class MariadbServer {
 public:
  enum class At : std::uint8_t { kOnce, kLater };
  // `kLater`: Launch and Await start it, so that several can start at a time.
  explicit MariadbServer(std::vector<std::string> arguments = {}, At starts = At::kOnce);
  ~MariadbServer();
  MariadbServer(const MariadbServer&) = delete;

  // Waits until it answers. `more`: arguments for this time.
  void Start(const std::vector<std::string>& more = {});
  void Launch(const std::vector<std::string>& more = {});
  void Await();
  void Kill();  // kill -9, and waits for its end
  void Stop();  // SIGSTOP, and waits until it stands still
  void Continue();

  // As root, without a database.
  std::unique_ptr<mariadb::Connection> Connect(const std::string& database = "");
  void Execute(const std::string& sql, const std::string& database = "");
  std::int64_t ReadInteger(const std::string& sql, const std::string& database = "");

  // An empty database, to be given back; with the tables of muster or without any.
  std::string TakeDatabase();
  void GiveBack(const std::string& database);

  bool runs() const { return process_ > 0; }
  std::string address() const { return "unix:" + socket(); }
  std::string tcp_address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string data_directory() const { return directory_.path() + "/data"; }
  std::string log() const;  // the server's, as text

 private:
  std::string socket() const { return directory_.path() + "/socket"; }

  TemporaryDirectory directory_;
  const std::vector<std::string> arguments_;
  const std::uint16_t port_;
  pid_t process_ = 0;
  int databases_made_ = 0;
  std::vector<std::string> free_databases_;  // whose tables are empty: making tables takes half a second
};

// One server for all tests that leave it as it is.
MariadbServer& SharedMariadb();

// A loop whose turns a test makes; work may be posted from any thread.
class PostedLoop final : public EventLoop {
 public:
  void Post(Work work) override {
    std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    arrived_.notify_one();  // under the lock: who is woken may end the loop
  }
  void Defer(Work work) override { Post(std::move(work)); }
  // Runs what comes until `done`; false: that took longer than the tests' patience.
  bool RunUntil(const std::function<bool()>& done);

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Work> work_;
};

// Databases of a server, given back at the end, and a store on them, which can be closed and opened again.
class MariadbHarness {
 public:
  explicit MariadbHarness(std::uint32_t groups, MariadbServer& mariadb = SharedMariadb(),
                          const Clock* store_clock = nullptr);
  ~MariadbHarness();
  MariadbHarness(const MariadbHarness&) = delete;

  MariadbDependencies Dependencies();
  Result<void> Open();
  void MustOpen();
  // Until no outbox holds anything: all that is committed is in the stream.
  bool WaitForStream();

  std::string Database(std::uint32_t group) const { return options.groups[group].database; }

  MariadbServer& server;
  MariadbOptions options;
  SystemClock system_clock;
  const Clock* clock;
  SystemRandom random;
  Keyring keyring = TestKeyring();
  IdentityCatalog catalog = IdentityCatalog::Default();
  std::unique_ptr<MetricRegistry> metrics;
  CommitFloor floor;
  Logger* logger = &NullLogger();
  WriterLeaseSource lease;
  CommitListener* listener = nullptr;
  ShardMapSource shards;  // none: spread over the groups
  mariadb::ShardMoverOptions mover;
  bool gives_back = true;  // false: the test did to the tables what emptying them does not undo
  std::unique_ptr<MariadbStore> store;
};

// Waits until `done`, looking again every few milliseconds; false: that took longer than the tests' patience.
bool WaitUntil(const std::function<bool()>& done);

}  // namespace muster::testing
