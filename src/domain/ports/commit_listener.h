#pragma once

#include <functional>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ports/center_cache.h"

namespace muster {

// Who has to hear of a write before it is acknowledged: the caches of all centers. A store asks it around each
// transaction that writes. Thread-safe; replies come once, on any thread.
class CommitListener {
 public:
  using Reply = std::move_only_function<void(Result<void>)>;

  virtual ~CommitListener() = default;

  // Whether Prepare has nothing to do now. Quick: for every transaction.
  virtual bool IsReady() const = 0;
  // Before a transaction begins. WRITES_UNAVAILABLE: somebody who would have to hear of it cannot, and nothing was
  // written.
  virtual void Prepare(Deadline deadline, Reply reply) = 0;
  // After its commit. OK: no read that starts from now on finds what is older, in any center. OUTCOME_UNKNOWN: that
  // could not be made sure of in time; the write is there, and may not be acknowledged. No request's deadline shortens
  // it: the commit has happened.
  virtual void Announce(TouchedEntries touched, Reply reply) = 0;
};

}  // namespace muster
