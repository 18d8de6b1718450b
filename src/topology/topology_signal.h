#pragma once

#include <memory>

#include "base/clock.h"

namespace muster {

// Tells that the topology may have changed, so that nobody has to read it all the time. A hint: it may be wrong, and
// miss something, so whoever follows it reads now and then anyhow. One thread waits; any may wake it.
class TopologySignal {
 public:
  virtual ~TopologySignal() = default;
  // True: there may be something new. False: `at_most` is over, or `Wake` was called, once for each call at most.
  virtual bool Wait(Duration at_most) = 0;
  // Ends the wait under way, or the next one. Thread-safe.
  virtual void Wake() = 0;
};

// For stores that tell nothing, such as a file, a read of which costs next to nothing: waits.
std::unique_ptr<TopologySignal> MakeSilentSignal();

}  // namespace muster
