#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "api/change_request.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/result.h"
#include "domain/ports/change_feed.h"

namespace muster {

struct ChangeStreamOptions {
  std::int64_t streams_max = 1000;
  std::int64_t heartbeat_ms = 15'000;

  void Declare(OptionRegistry& options);  // changes.*
};

// The one reader of the change feed for all streams of all loops. Its thread follows the end of the feed once for
// everybody, into a ring of the newest events from which streams copy what they lack; who is further behind asks for
// pages, which are read one at a time in the order of asking. So a slow stream costs nobody else anything: it reads
// later.
//
//   feed ──► thread ──► ring ──► Take, on the stream's loop, which is told that there is more
//                  └──► page, for a stream that is behind the ring
//
// While there are no streams nothing is read. Thread-safe.
class ChangeHub {
 public:
  static constexpr std::size_t kRingEvents = 1 << 16;  // some 2.6 MB
  static constexpr std::size_t kPageEvents = 512;
  using Page = std::shared_ptr<const ChangeFeed::Page>;

  // All references outlive it, and the registry has had no other.
  ChangeHub(ChangeFeed& feed, const ChangeStreamOptions& options, Logger& logger, MetricRegistry& metrics);
  ~ChangeHub();  // stops
  ChangeHub(const ChangeHub&) = delete;
  ChangeHub& operator=(const ChangeHub&) = delete;

  // Once each. After Stop nothing is read: who asks is answered OVERLOADED.
  void Start();
  void Stop();

  // The position after which a stream begins. `done` is called once, on the hub's thread, or on the caller's when the
  // hub has stopped. POSITION_EXPIRED; INVALID_ARGUMENT for one that is after all that was ever given out.
  void Resolve(ChangeFrom from, std::move_only_function<void(Result<std::int64_t>)> done);
  // The same for the events after a position, kPageEvents at most.
  void ReadPage(std::int64_t after, std::move_only_function<void(Result<Page>)> done);

  struct Taken {
    std::size_t count = 0;
    bool is_behind = false;  // the ring does not reach back so far: ReadPage
  };
  // Copies the events after a position to `to`, as many as there are.
  Taken Take(std::int64_t after, std::span<ChangeEvent> to) const;
  bool IsBehind(std::int64_t after) const {
    std::lock_guard lock(ring_mutex_);
    return after < ring_from_;
  }
  // Of the newest event that was read.
  std::int64_t latest() const { return latest_.load(std::memory_order_relaxed); }

  struct Shared;
  // One of the streams that there may be, and of those that its caller may have; gives its place back.
  class Place {
   public:
    Place(std::shared_ptr<Shared> shared, std::string caller)
        : shared_(std::move(shared)), caller_(std::move(caller)) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    std::shared_ptr<Shared> shared_;
    std::string caller_;
  };
  // OVERLOADED when there are streams_max, or the caller has half of them.
  Result<Place> TakePlace(const std::string& caller);

  // A loop that may have streams. While it lives and has some, `wake` is posted to the loop when there is something new
  // to Take; the loop outlives what was posted.
  class Listener {
   public:
    Listener(ChangeHub& hub, EventLoop& loop, std::function<void()> wake);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // Whether the loop has any streams; none at first. Before a stream's first Take.
    void Listen(bool listens) { listens_ = listens; }
    // How far the slowest of its streams is behind, for the metric.
    void ReportLag(std::int64_t positions) { lag_ = positions; }

   private:
    friend ChangeHub;
    void Wake();

    ChangeHub& hub_;
    EventLoop& loop_;
    const std::function<void()> wake_;
    std::atomic<bool> listens_ = false;
    std::atomic<bool> is_woken_ = false;
    std::atomic<std::int64_t> lag_ = 0;
  };

  // How long the end of the feed is left alone after it was read while there are so many streams. A wake-up costs a
  // loop some 12 us for each of its streams, nearly all of it in the system's network code, whether it brings one event
  // or fifty: so all of them together take a thirtieth of a processor, however often members change.
  static Duration RestTime(std::int64_t streams);

  Duration heartbeat() const { return std::chrono::milliseconds(options_.heartbeat_ms); }
  Counter& sent_events() { return sent_events_; }

  // What the thread does, once: follows the feed a step if it is time to, and serves one request. True: there is more
  // to do. For tests that do not start it.
  bool Step(bool follows = true);

 private:
  // To be resolved, or to be read from `after` on.
  struct Request {
    ChangeFrom from = {};
    std::int64_t after = 0;
    std::move_only_function<void(Result<std::int64_t>)> resolved = {};
    std::move_only_function<void(Result<Page>)> read = {};

    void Refuse();
  };

  void Run();
  void Ask(Request request);
  void Serve(Request request);
  std::unexpected<Error> Refuse(std::string message);
  Result<std::int64_t> FindStart(const ChangeFrom& from);
  // Reads what is after the ring, a page at most; whether that was a full one.
  Result<bool> Follow();
  void Append(const ChangeFeed::Page& page);
  void Reach(std::int64_t position);
  void WakeListeners();

  ChangeFeed& feed_;
  const ChangeStreamOptions options_;
  Logger& logger_;
  const std::shared_ptr<Shared> shared_;
  Counter& sent_events_;
  Counter& pages_read_;
  Counter& refused_;
  Counter& expired_;

  std::atomic<std::int64_t> latest_ = 0;
  mutable std::mutex ring_mutex_;
  std::deque<ChangeEvent> ring_;  // all events after ring_from_ up to ring_to_
  std::int64_t ring_from_ = 0;
  std::int64_t ring_to_ = 0;
  bool is_ring_begun_ = false;

  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Request> requests_;  // one or two of each stream
  bool is_changed_ = true;        // the feed has more than the ring, perhaps
  bool is_stopping_ = false;
  bool is_failing_ = false;       // of the thread
  bool has_more_events_ = false;  // of the thread: the last look at the feed was a full one
  std::unique_ptr<ChangeFeed::Subscription> subscription_;
  std::thread thread_;
};

// What outlives the hub in gauges and places.
struct ChangeHub::Shared {
  std::atomic<std::int64_t> streams = 0;  // changed under the mutex
  std::mutex mutex;
  std::map<std::string, std::int64_t> streams_of;  // by caller; those that have any
  std::vector<Listener*> listeners;
};

}  // namespace muster
