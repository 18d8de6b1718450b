#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "topology/failover/observer_board.h"
#include "topology/topology.h"
#include "topology/topology_signal.h"

namespace muster {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // "https://HOST:2379", of every voter
  std::string prefix = "muster/";      // of the keys; each installation has its own
  // PEM files for https. Empty: the system's certification authorities, and no certificate of ours.
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string user;           // empty: etcd has no authentication by password
  std::string password_file;  // its first line
  // One attempt at one endpoint; then the next is tried. Twice as long in each later round over the endpoints. Well
  // below a writer lease, or one endpoint that hangs ends it.
  std::int64_t attempt_timeout_ms = 500;
  std::int64_t timeout_ms = 3'000;  // a read or an update as a whole, with all its requests
};

struct EtcdDependencies {
  const Clock* clock = nullptr;
  Random* random = nullptr;
};

// The topology under one key of etcd 3.4, `<prefix>topology`, as the JSON of topology_codec.h; `etcdctl get`
// and `put` work on it. Reads are linearizable: they ask a majority of the voters. An update is a compare-and-swap on
// the key's mod_revision; beside it `<prefix>topology.author` has a random word of whoever wrote it, by which a writer
// whose answer was lost knows its own.
//
// Failures say of each endpoint what happened, and what to do:
//   STALE (a read), WRITES_UNAVAILABLE (an update; nothing was changed): nobody answered in time
//   OUTCOME_UNKNOWN: the same, once an update had been sent
//   INTERNAL: the account, a certificate or the document itself is refused. A refused document is never overwritten.
//   LIMIT_EXCEEDED: the document would become larger than etcd takes
class EtcdTopologyStore : public TopologyStore {
 public:
  // Tells of changes as etcd does. This store outlives it.
  virtual std::unique_ptr<TopologySignal> MakeSignal() = 0;
  // Reports of observers under `<prefix>observers/`, a key each. This store outlives it.
  virtual std::unique_ptr<failover::ObserverBoard> MakeBoard() = 0;
};

// Reads the document once. INVALID_ARGUMENT for options that do not fit.
Result<std::unique_ptr<EtcdTopologyStore>> OpenTopologyEtcd(const EtcdOptions& options,
                                                            const EtcdDependencies& dependencies);

}  // namespace muster
