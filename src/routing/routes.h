#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/member_reader.h"

namespace muster {

// What the words of a route expression stand for. One set for each event loop: a tree is used by one thread.
struct RouteParts {
  std::map<std::string, std::function<std::unique_ptr<MemberReader>()>, std::less<>> sources;  // "store"
  std::map<std::string, MemberCache*, std::less<>> caches;                                     // "near"
  const Clock* clock = nullptr;
  MetricRegistry* metrics = nullptr;
};

// The default of `routes.read`.
inline constexpr std::string_view kEmbeddedReadRoute = "cache(near, coalesce(store))";

// Builds a tree from an expression of the configuration: a word is a source, `policy(arguments…, child)` wraps one.
// INVALID_ARGUMENT points at the column of the mistake and lists what would fit.
Result<std::unique_ptr<MemberReader>> BuildRoutes(std::string_view expression, const RouteParts& parts);

// Adds up the counters of equal trees (one a loop) into one description.
RouteDescription MergeDescriptions(std::vector<RouteDescription> trees);

}  // namespace muster
