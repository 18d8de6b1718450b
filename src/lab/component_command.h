#pragma once

#include <string>
#include <vector>

#include "lab/layout.h"
#include "lab/process_keeper.h"
#include "lab/programs.h"

namespace muster::lab {

// How a component is started this time.
struct StartTerms {
  bool as_replica = false;   // of a database: it gives up what was never acknowledged (topology/failover/start_role.h)
  Duration clock_offset{0};  // its wall clock's, by libfaketime
  bool has_full_disk = false;
};

// The process of a component. Databases are as src/store/mariadb/README.md asks; Redis as src/cache/redis/README.md;
// etcd with a short election time-out (docs/decisions/0023).
ProcessSpec ProcessOf(const Layout& layout, const Programs& programs, const Component& component,
                      const StartTerms& terms);

// The files that a component's process is told of are there before it starts: its directory and its configuration.
// `layout` is all that muster's configuration says.
Result<void> PrepareComponent(const Layout& layout, const Component& component);

// The configuration of a muster server.
std::string MusterConfiguration(const Layout& layout, const Component& server);

// This process's environment without what configures muster or preloads something.
std::vector<std::string> CleanEnvironment();

// Of a component: if this file is there, its disk is full.
std::string FullDiskFlagOf(const Layout& layout, const Component& component);
// Where the library is that makes it so (full_disk_library.cc).
std::string FullDiskLibraryOf(const Layout& layout);

std::string DatabaseDataOf(const Layout& layout, const Component& database);

}  // namespace muster::lab
