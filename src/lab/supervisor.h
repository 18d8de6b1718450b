#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"

namespace muster::lab {

struct SupervisorOptions {
  std::string directory;      // absolute
  int groups = 0;             // 0: as the directory was made, or one
  bool engines_only = false;  // no muster servers; the lab itself keeps the databases replicating
};

struct SupervisorDependencies {
  const Clock* clock = nullptr;
  Random* random = nullptr;
  Logger* logger = nullptr;
};

// One process's whole work: it owns a lab's components, the proxy between their centers, and the socket by which the
// other subcommands act. What it started ends with it, also when it is killed.
//
//   assembling ──► ready ──(End)──► gone
//        └───────► failed ──(End)──► gone
//
// Requests that it answers (control.h), besides those of faults: `progress` → {"state":"assembling","doing":"…"};
// `status`; `down`, after which WantsToEnd is true.
class Supervisor {
 public:
  // Holds the directory's lock and begins to assemble. STATE_CONFLICT: another one holds it, or a port is taken.
  static Result<std::unique_ptr<Supervisor>> Start(SupervisorOptions options, SupervisorDependencies dependencies);
  // Ends all: muster servers first, then engines, then the proxy.
  virtual ~Supervisor() = default;

  virtual bool WantsToEnd() const = 0;
};

}  // namespace muster::lab
