#pragma once

#include <functional>

#include "base/clock.h"
#include "domain/ids.h"

namespace muster {

// For how long this process may write, and under which epoch (protocols of failover: whoever moves the epoch waits for
// the leases of the last one to end).
struct WriterLease {
  Epoch epoch{0};
  Instant valid_until = Instant::max();

  bool Covers(Epoch written_under, Instant now) const { return epoch == written_under && now < valid_until; }
};

// Asked before a transaction begins, before it commits and after the commit has returned. Thread-safe, and quick.
using WriterLeaseSource = std::function<WriterLease()>;

}  // namespace muster
