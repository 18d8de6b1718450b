#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/keyring.h"
#include "domain/ports/member_reader.h"

namespace muster {

// Reads that wait for the end of their turn; beyond: OVERLOADED.
inline constexpr std::size_t kReadsQueuedMax = 16'384;
// Reads that one turn executes; the rest waits for the next, so that a loop is never away for long (about 10 µs each).
inline constexpr std::size_t kReadsPerTurnMax = 1'024;
struct ReaderMetrics {
  explicit ReaderMetrics(MetricRegistry& registry);
  Counter& reads;
  Counter& turns;
  Counter& rows;
};

struct ReaderDependencies {
  EventLoop& loop;
  const Keyring& keyring;
  const Clock& clock;
  Random& random;
  const CommitFloor& floor;
  ReaderMetrics metrics;
};

// The leaf of a route tree: gathers the reads of a turn and executes them in one read transaction a file.
Result<std::unique_ptr<MemberReader>> OpenSqliteReader(const std::vector<std::string>& paths, std::int64_t mmap_bytes,
                                                       const ReaderDependencies& dependencies);

}  // namespace muster
