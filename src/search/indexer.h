#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "domain/ports/change_feed.h"
#include "domain/ports/member_archive.h"
#include "search/index_writer.h"

namespace muster {

// Keeps the index's file behind the changes, on a thread of its own, so that no writer waits for it.
//
//            the file is missing, of another installation or version, damaged, or does not know the feed
//                ┌──────────────────────────────────────────────────────────────────────────────┐
//                ▼                                                                              │
//            BUILDING ── all members were read, in the order of their ids ──► CATCHING UP ──► FOLLOWING
//                                                                              all changes since the building began
//
// Each step is one bounded transaction that remembers how far it is, so that whatever ends it, the next start goes on
// there. Searches are served while FOLLOWING; an index that was built is FOLLOWING from the start.
class Indexer {
 public:
  struct Dependencies {
    std::string path;
    std::string installation;
    std::int64_t cache_bytes = 0;
    Duration refresh{0};  // how long changes gather before the next step at least, unless there are many
    ChangeFeed* feed = nullptr;
    MemberArchive* archive = nullptr;
    const Clock* clock = nullptr;
    Logger* logger = nullptr;
    MetricRegistry* metrics = nullptr;
    // Closes every other connection to the file and keeps new ones from being opened until `then` has run.
    std::function<void(const std::function<void()>& then)> with_readers_away;
  };

  explicit Indexer(Dependencies dependencies);
  ~Indexer();  // Stop must have been called
  Indexer(const Indexer&) = delete;
  Indexer& operator=(const Indexer&) = delete;

  // Opens the file, and makes it if need be. What fails is logged and tried again on the thread.
  void Start();
  void Stop();

  // Thread-safe.
  bool is_serving() const { return is_serving_.load(std::memory_order_acquire); }
  std::int64_t built() const { return built_.load(std::memory_order_relaxed); }
  // The file is not what it should be: throw it away and build it anew.
  void Distrust();

 private:
  // Members, or changes, in one transaction. Large: a transaction writes each page that it touches, and those of a
  // thousand new members lie in nearly as many pages as those of ten thousand.
  static constexpr std::size_t kStep = 8192;
  static constexpr std::size_t kReadStep = 128;  // members read from the archive at a time: it serves others too
  static constexpr Duration kRetryAfter = std::chrono::seconds(1);
  static constexpr Duration kLookAgainAfter = std::chrono::seconds(1);
  // After a step it rests this many times as long as the step took, so that the index takes a fifth of a core from
  // those that write and read, unless a whole step waits already; what gathers meanwhile costs less a change.
  static constexpr int kRestFactor = 4;
  static constexpr Duration kRestMax = std::chrono::seconds(1);

  void Run();
  // Waits until there is a reason to go on; false: stop.
  bool Wait(Duration at_most, bool until_woken);
  // How long to wait after a step that brought `count` in `took`.
  Duration RestAfter(std::size_t count, Duration took) const;
  // One transaction. How many members or changes it brought; 0: there is nothing to do now.
  Result<std::size_t> Step();
  Result<void> Open();
  // Whether the feed still has, at its place, the last event that was applied.
  Result<bool> KnowsFeed();
  Result<void> BeginAnew(std::string_view why);
  Result<std::size_t> Build();
  Result<std::size_t> Follow();
  Result<void> AddChanged(const std::vector<ChangeEvent>& events);
  void Publish();

  const Dependencies dependencies_;
  Counter& indexed_;
  Counter& rebuilds_;
  std::unique_ptr<IndexWriter> writer_;
  std::unique_ptr<ChangeFeed::Subscription> subscription_;
  std::int64_t latest_seen_ = 0;

  std::atomic<bool> is_serving_ = false;
  std::atomic<bool> is_distrusted_ = false;
  std::atomic<std::int64_t> built_ = 0;
  std::atomic<std::int64_t> lag_changes_ = 0;
  std::atomic<std::int64_t> behind_since_us_ = 0;  // the time of the oldest change that is not in the index; 0: none

  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster
