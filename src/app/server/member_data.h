#pragma once

#include <memory>

#include "app/cli/exit_code.h"
#include "app/server/centers.h"
#include "app/server/server_options.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "domain/commit_floor.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/member_cache.h"
#include "store/data_directory.h"
#include "store/member_store.h"

namespace muster {

// What belongs together in a data directory, and what must not be: the members themselves (files in it, or MariaDB
// groups), the keyring that they are sealed with, and the callers.

// Refuses a directory that was made for the other kind of store, or whose members are gone while its callers are there.
Outcome<void> CheckMembersAreThere(const ServerOptions& options);

// The keyring of a data directory; made when neither it nor a store is there. Data without its keyring is refused: it
// could never be read again.
Outcome<Keyring> OpenKeyring(const ServerOptions& options, Random& random);

// The name of a data directory whose members are on MariaDB, of 32 hexadecimal digits: what its ids have their number
// by, and what its server is called among all. Made on the first start.
Outcome<std::string> EnsureNode(const ServerOptions& options, Random& random);

// Where the callers and the centers are: topology.json, or etcd. Also while servers run.
Outcome<std::unique_ptr<TopologyStore>> OpenTopologyStore(const ServerOptions& options, const Clock& clock,
                                                          Random& random);

// What a store needs of a server.
struct StoreSurroundings {
  const Keyring& keyring;
  const IdentityCatalog& catalog;
  const Clock& clock;
  Random& random;
  Logger& logger;
  MetricRegistry& metrics;
  CommitFloor& floor;
  MemberCache& cache;
  Centers* centers = nullptr;  // null: there are none
};

// The store that store.kind names. The directory is this process's own as long as it lives.
struct OpenedStore {
  std::unique_ptr<DirectoryLock> lock;  // files have theirs
  std::unique_ptr<MemberStore> store;
};
Outcome<OpenedStore> OpenMemberStore(const ServerOptions& options, const StoreSurroundings& surroundings);

}  // namespace muster
