#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "domain/ports/change_feed.h"
#include "domain/ports/commit_listener.h"
#include "domain/ports/member_archive.h"

namespace muster {

// Announces every committed change again, as it comes in the stream of changes: a writer that died between its commit
// and its announcement has left caches that do not know of it. Nobody was told that this write was done; still it must
// be found soon, and whoever meets it says so (mariadb/touched_rows.h).
//
// A change says whose it is. Whose identities it bound is read from the member's history: a cache may hold that nobody
// has one of them, which nothing else would ever take back. (That somebody has one is a hint, and the member's own
// entry confirms it or not.) To repeat an announcement does no harm.
//
// Begins some changes before the newest, for the writer that died may have been this process. Owns one thread.
class ChangeRepeater {
 public:
  static constexpr std::int64_t kBackAtStart = 1024;
  static constexpr std::size_t kPageMax = 256;
  static constexpr Duration kRest =
      std::chrono::milliseconds(250);  // between two looks; what comes within is told at once
  static constexpr Duration kAgainAfter = std::chrono::seconds(1);  // a failure

  // Everything outlives it.
  struct Dependencies {
    ChangeFeed* feed = nullptr;
    MemberArchive* archive = nullptr;
    CommitListener* listener = nullptr;
    Logger* logger = nullptr;
    MetricRegistry* metrics = nullptr;
  };

  explicit ChangeRepeater(const Dependencies& dependencies);
  ~ChangeRepeater();  // stops
  ChangeRepeater(const ChangeRepeater&) = delete;

  void Start();
  // An announcement under way is waited for.
  void Stop();

 private:
  void Run();
  // One page; false: there may be more at once.
  Result<bool> RepeatSome();
  Result<void> Begin();
  Result<TouchedEntries> TouchedBy(const std::vector<ChangeEvent>& events);
  Result<void> Announce(TouchedEntries touched);

  const Dependencies to_;
  Counter& repeated_;
  std::optional<std::int64_t> position_;  // all up to it are told; of the thread

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster
