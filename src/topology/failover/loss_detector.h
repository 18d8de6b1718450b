#pragma once

#include <string>

#include "topology/failover/sight.h"

namespace muster::failover {

enum class CenterHealth : std::uint8_t {
  kWell,
  kSuspected,  // this observer gets no answer from a primary, but cannot say yet that it is lost
  kDisputed,   // others, inside or outside of the center, reach it
  kLost,
};

struct CenterVerdict {
  CenterHealth health = CenterHealth::kWell;
  std::string cause = {};  // in words, with names of databases and observers
};

// Whether the center that writes is lost: one of its primaries answers neither this observer, nor any fresh one outside
// of it, of whom there have to be `observers_min`, nor a fresh one inside. So when a link between the centers is cut
// and both reach the witness, those inside, whose reports go on, keep the failover away.
CenterVerdict JudgeCenter(const Sight& sight, const FailoverOptions& options);

// The observer that should be the controller now, as far as `sight` tells: of those that may be, whose reports are
// fresh, and `sight.self`, the one that reaches most primaries, then most databases, then the first by name. Two may
// hold themselves for it at once, which costs work and no safety.
std::string ControllerOf(const Sight& sight, const FailoverOptions& options);

// An exchange with the board that was sent at `sent` has answered these, of whoever. One whose sequence is another one
// than before has moved on since then: after a time in which the board did not answer, at some moment of that time, so
// that it is not taken for a word of now.
void TakeReports(Sight& sight, const std::vector<ObserverReport>& reports, Instant sent);

// The names of databases that answered within `reached_within`: what this observer reports.
std::vector<std::string> ReachedDatabases(const Sight& sight, const FailoverOptions& options);

}  // namespace muster::failover
