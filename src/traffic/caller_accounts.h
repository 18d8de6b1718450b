#pragma once

#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "topology/topology.h"
#include "traffic/callers.h"

namespace muster {

// The rules of callers' accounts, as pure functions over the topology document. What they refuse, they refuse before
// anything is changed.

Result<void> CheckCallerName(std::string_view name);
Result<void> CheckPurpose(std::string_view purpose);
Result<void> CheckKeyLifetime(Duration lifetime);
Result<void> CheckOverlap(Duration overlap);

inline bool HasExpired(Timestamp expire_time, Timestamp now) {
  return expire_time != Timestamp{} && now >= expire_time;
}

// INTERNAL when another key has the id; that is so unlikely that the same call again is the answer.
Result<void> CheckKeyId(const TopologyDocument& document, std::string_view id);

CallerRecord* FindCaller(TopologyDocument& document, std::string_view name);
// As FindCaller, or NOT_FOUND with the nearest name.
Result<CallerRecord*> RequireCaller(TopologyDocument& document, std::string_view name);

Result<void> AddCaller(TopologyDocument& document, CallerRecord caller);
// Forgets expired keys, shortens the life of the others to `now + overlap`, adds `key`.
Result<void> RotateKey(CallerRecord& caller, CallerRecord::Key key, Duration overlap, Timestamp now);
// The record as it is then.
Result<CallerRecord> ChangeCaller(TopologyDocument& document, std::string_view name, const CallerChange& change,
                                  Timestamp now);

}  // namespace muster
