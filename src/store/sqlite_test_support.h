#pragma once

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "domain/commit_floor.h"
#include "domain/keyring.h"
#include "store/sqlite_store.h"

// What tests of the SQLite store share.
namespace muster::testing {

// A directory that is removed, with all that is in it, at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "muster-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A loop whose turns a test makes.
class TurnLoop final : public EventLoop {
 public:
  void Post(Work work) override { Defer(std::move(work)); }
  void Defer(Work work) override { work_.push_back(std::move(work)); }
  // Runs what is there now; what that defers waits for the next turn.
  void RunTurn() {
    for (auto work = std::exchange(work_, {}); auto& one : work) one();
  }
  bool idle() const { return work_.empty(); }

 private:
  std::deque<Work> work_;
};

inline const Keyring& TestKeyring() {
  static SystemRandom random;
  static const Keyring keyring = Keyring::Generate(random);
  return keyring;
}

// All that a store hangs on, and a store that can be closed and opened again.
struct StoreHarness {
  explicit StoreHarness(SqliteOptions store_options = {}, const Clock* store_clock = nullptr)
      : options(store_options), clock(store_clock ? store_clock : &system_clock) {}

  SqliteDependencies Dependencies() {
    return {.keyring = &keyring,
            .clock = clock,
            .random = &random,
            .logger = logger,
            .metrics = metrics.get(),
            .floor = &floor,
            .cache = cache,
            .catalog = &catalog};
  }
  Result<void> Open() {
    store.reset();
    metrics = std::make_unique<MetricRegistry>();
    MUSTER_ASSIGN(store, SqliteStore::Open(directory.path(), options, Dependencies()));
    return {};
  }

  TemporaryDirectory directory;
  SqliteOptions options;
  SystemClock system_clock;
  const Clock* clock;
  SystemRandom random;
  Keyring keyring = TestKeyring();
  IdentityCatalog catalog = IdentityCatalog::Default();
  std::unique_ptr<MetricRegistry> metrics;
  CommitFloor floor;
  MemberCache* cache = nullptr;
  Logger* logger = &NullLogger();
  std::unique_ptr<SqliteStore> store;
};

}  // namespace muster::testing
