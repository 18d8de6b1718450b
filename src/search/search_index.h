#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "domain/ports/change_feed.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/member_search.h"

namespace muster {

struct SearchOptions {
  bool enabled = true;
  std::int64_t threads = 2;      // that answer searches
  std::int64_t queue_max = 256;  // searches waiting for one; beyond: OVERLOADED
  std::int64_t refresh_ms = 20;  // how long changes gather before they are indexed together
  std::int64_t examined_max = 20'000;
  std::int64_t cache_bytes = std::int64_t{32} << 20;

  void Declare(OptionRegistry& registry);  // search.*
};

struct SearchDependencies {
  ChangeFeed* feed = nullptr;
  MemberArchive* archive = nullptr;
  const Clock* clock = nullptr;
  Logger* logger = nullptr;
  MetricRegistry* metrics = nullptr;
  std::string installation = {};                // whose data it is: an index of another one is thrown away
  std::function<std::int64_t()> count_members;  // an estimate, for the progress of building
};

// The search of the embedded default: an index in a SQLite file beside the data, brought forward by a thread behind the
// changes and asked by some others. It can be deleted at any time while no server runs, and is then built anew.
class SearchIndex : public MemberSearch {
 public:
  // Opens or makes <directory>/search.db and starts the threads. What is wrong with the file never keeps a server from
  // starting: it is logged, and searches answer OVERLOADED until it is mended.
  static std::unique_ptr<SearchIndex> Start(const std::string& directory, const SearchOptions& options,
                                            SearchDependencies dependencies);

  // Answers what waits, ends the threads, closes the file. No call may follow.
  virtual void Stop() = 0;
};

}  // namespace muster
