#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace muster::sim {

// Bugs that an installation of two centers could plausibly have, made on purpose in the twins, or around the code under
// test, never in it. A simulation that does not find one of them does not look closely enough.
enum class PlantedInCenters : std::uint8_t {
  kNone,
  kAckBeforeCaches,     // a write is acknowledged before both caches have heard of it
  kForgetCenter,        // the invalidator tells the cache of its own center alone
  kFillUnchecked,       // a fill is taken without its lease, and below the floor
  kTrustRestarted,      // a Redis that restarted with an older copy is believed
  kBypassUnawaited,     // readers that may still go by a cache that is bypassed are not waited for
  kTrustAtOnce,         // a cache is read again as soon as its new epoch has begun
  kLeaseIgnored,        // a server does not look at its lease
  kLeaseFromReply,      // a lease is timed from when the answer came
  kLeasesNotAwaited,    // a failover does not wait for leases
  kFirstAcker,          // a failover promotes the first acker, not the one that has most
  kNoAcknowledgement,   // a commit does not wait for an acker
  kKeptAllAtStart,      // an old primary comes back with all that it had
  kAgeUnsaid,           // a copy's answer says that it is of now
  kPrimaryUnconfirmed,  // whoever was the primary is believed to be it
  kUnvouched,           // what others may have committed and died before telling is not told with the next write
};

struct PlantedCenterBug {
  PlantedInCenters bug;
  std::string_view name;  // on the command line
};
const std::vector<PlantedCenterBug>& PlantedCenterBugs();

}  // namespace muster::sim
