#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "domain/commit_floor.h"
#include "domain/ports/member_reader.h"
#include "store/mariadb/mariadb_store.h"
#include "store/mariadb/testing/mariadb_fixture.h"
#include "store/mariadb/testing/mariadb_runners.h"
#include "store/mariadb/topology_placement.h"
#include "topology/writer_lease.h"

namespace muster::testing {

// A process of one center, "east" or "west", on the database members of a group: its lease, its placement, its store.
class CenterProcess {
 public:
  CenterProcess(MariadbRunners& runners, const std::string& center, Duration replica_lag_max = std::chrono::seconds(5));
  ~CenterProcess();
  CenterProcess(const CenterProcess&) = delete;

  Result<void> Open();
  void MustOpen();

  // A plain member.
  Result<void> Write(std::int64_t id, std::int64_t version = 1);
  // On one thread at a time.
  Result<MemberAnswer> Read(std::int64_t id, const ReadOptions& options = {});

  std::shared_ptr<const std::vector<mariadb::GroupPlacement>> Placement() { return placement_.Now(); }
  // Instead of what the failover says.
  void PlaceBy(mariadb::PlacementSource source) { placement_source_ = std::move(source); }
  void SetOpenTimeout(Duration timeout) {
    options_.open_timeout_ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  }
  MariadbStore& store() { return *store_; }
  const Clock& clock() const { return clock_; }

 private:
  void KeepLease();

  const SystemClock clock_;
  SystemRandom random_;
  const Keyring keyring_ = TestKeyring();
  const IdentityCatalog catalog_ = IdentityCatalog::Default();
  MetricRegistry metrics_;
  CommitFloor floor_;
  TopologyStore& topology_;
  WriterLeaseKeeper keeper_;
  mariadb::TopologyPlacement placement_;
  mariadb::PlacementSource placement_source_ = [this] { return placement_.Now(); };
  std::string owner_;
  MariadbOptions options_;
  std::atomic<bool> stops_{false};
  std::thread lease_thread_;
  std::unique_ptr<MariadbStore> store_;
  PostedLoop loop_;
  std::unique_ptr<MemberReader> reader_;
};

}  // namespace muster::testing
