#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "base/timer.h"
#include "domain/commit_floor.h"
#include "domain/ports/center_cache.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/member_reader.h"
#include "domain/ports/tracked_cache.h"

namespace muster {

// What the words of a route expression stand for. One set for each event loop: a tree is used by one thread.
struct RouteParts {
  std::map<std::string, std::function<std::unique_ptr<MemberReader>()>, std::less<>> sources;  // "store"
  std::map<std::string, MemberCache*, std::less<>> caches;                                     // "near"
  std::map<std::string, CenterCache*, std::less<>> center_caches = {};                         // "redis"
  std::map<std::string, TrackedCache*, std::less<>> tracked_caches = {};                       // "tracked"
  const CommitFloor* floor = nullptr;                                                          // for coalesce
  const Clock* clock = nullptr;                                                                // for center caches
  // For center caches: how reads wait for copies that are behind; without them they do not.
  EventLoop* loop = nullptr;
  Timer* timer = nullptr;
};

// The default of `routes.read`.
inline constexpr std::string_view kEmbeddedReadRoute = "cache(near, coalesce(store))";

inline constexpr std::size_t kRouteExpressionBytesMax = 4096;
inline constexpr std::size_t kRouteDepthMax = 16;

// Builds a tree from an expression of the configuration: a word is a source, `policy(arguments…, child)` wraps one:
//
//   route = source | "cache(" cache "," route ")" | "coalesce(" route ")"      with white space anywhere between words
//
// INVALID_ARGUMENT points at the column of the mistake and lists what would fit.
Result<std::unique_ptr<MemberReader>> BuildRoutes(std::string_view expression, const RouteParts& parts);

// Adds up the counters of equal trees (one a loop, at least one) into one description.
RouteDescription MergeDescriptions(std::vector<RouteDescription> trees);

// The tree as text, a route a line with its counters, below it what it does; ends with a line feed.
std::string RenderRoutes(const RouteDescription& root);

}  // namespace muster
