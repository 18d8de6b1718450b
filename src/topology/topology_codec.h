#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "topology/topology.h"

namespace muster {

// The newest version of the file's format. A file with a higher one was written by a newer muster and is refused,
// because writing it back would lose what this one does not know. Written is the lowest one that has all that the
// document says, so that an older muster reads what it knows:
//   1  revision, epoch, callers
//   2  a caller may have idempotencyKeyRequired
//   3  there may be centers, one of them the writer, and leaseMs; groups of databases, a failover under way, and those
//      that have ended; caches of centers
//   4  groups may say which shards live in them, and shards may move; without that, they are spread over the groups by
//      their numbers. A database may be rebuilt
inline constexpr std::int64_t kTopologyFormat = 4;

// JSON, one caller a line, and one group, ended by a line feed.
std::string RenderTopology(const TopologyDocument& document);

// What takes the place of `current` once `change` has been applied: with the next revision, and sorted. An error of
// `change`; INTERNAL when the outcome could not be read back, so that it must not replace what can, or when it may not
// follow what is there (topology_rules.h). `path` as below.
Result<TopologyDocument> ChangeTopology(const TopologyDocument& current, const std::string& path,
                                        const std::function<Result<void>(TopologyDocument&)>& change);

// The opposite. INTERNAL names `path`, the line and the column of the mistake: malformed JSON, an unknown, missing or
// doubled field, a value that does not fit, a newer format.
Result<TopologyDocument> ParseTopology(const std::string& path, std::string_view text);

}  // namespace muster
