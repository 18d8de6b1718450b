#include "api/change_hub.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/field_path.h"
#include "base/check.h"
#include "base/thread_name.h"

namespace muster {

namespace {

// How many events the thread reads at a step from the end of the feed.
constexpr std::size_t kFollowEvents = 4096;

// Commits that come within it are read together, after a rest, too.
constexpr Duration kGatherTime = std::chrono::milliseconds(2);
constexpr Duration kRestOfStream = std::chrono::microseconds(400);
constexpr Duration kRestMax = std::chrono::milliseconds(20);

// A failing store is asked again after it, and a quiet one: a look now and then costs nothing.
constexpr Duration kLookAgainAfter = std::chrono::seconds(1);

// Where the ring begins anew when it had been left too far behind.
constexpr std::int64_t kRingBehind = 4096;

}  // namespace

void ChangeStreamOptions::Declare(OptionRegistry& options) {
  options.AddInteger("changes.streams_max", &streams_max,
                     "How many streams of changes may be open, over HTTP and gRPC together; beyond: OVERLOADED. One "
                     "caller may have half of them.",
                     {.min = 1, .max = 100'000});
  options.AddDuration("changes.heartbeat", &heartbeat_ms,
                      "After how much silence a stream of changes gets a heartbeat.", {.min = 100, .max = 600'000});
}

ChangeHub::ChangeHub(ChangeFeed& feed, const ChangeStreamOptions& options, Logger& logger, MetricRegistry& metrics)
    : feed_(feed),
      options_(options),
      logger_(logger),
      shared_(std::make_shared<Shared>()),
      sent_events_(metrics.AddCounter("muster_changes_events_sent_total", "Changes sent to streams.")),
      pages_read_(metrics.AddCounter("muster_changes_pages_read_total",
                                     "Pages of older changes read for streams that were behind.")),
      refused_(metrics.AddCounter("muster_changes_streams_refused_total",
                                  "Streams of changes refused because there were changes.streams_max, or because "
                                  "their caller had half of these.")),
      expired_(metrics.AddCounter("muster_changes_positions_expired_total",
                                  "Streams whose position was not kept any more, at their beginning or later.")) {
  metrics.AddGauge("muster_changes_streams", "Streams of changes that are open.",
                   [shared = shared_] { return static_cast<double>(shared->streams.load()); });
  metrics.AddGauge("muster_changes_lag_positions",
                   "How many positions the slowest stream of changes is behind the newest change.", [shared = shared_] {
                     std::lock_guard lock(shared->mutex);
                     std::int64_t most = 0;
                     for (const Listener* listener : shared->listeners) most = std::max(most, listener->lag_.load());
                     return static_cast<double>(most);
                   });
}

ChangeHub::~ChangeHub() { Stop(); }

void ChangeHub::Start() {
  MUSTER_CHECK(!thread_.joinable());
  // Before anybody writes: positions that an earlier process gave out are not after it.
  if (const Result<ChangeFeed::Bounds> bounds = feed_.ReadBounds()) Reach(bounds->latest);
  subscription_ = feed_.Subscribe([this] {
    if (shared_->streams.load(std::memory_order_relaxed) == 0) return;
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(is_changed_, true)) return;  // the thread knows
    }
    asked_.notify_one();
  });
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "changes");
}

void ChangeHub::Stop() {
  subscription_.reset();
  std::deque<Request> left;
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  asked_.notify_all();
  if (thread_.joinable()) thread_.join();
  {
    std::lock_guard lock(mutex_);
    left.swap(requests_);
  }
  for (Request& request : left) request.Refuse();
}

ChangeHub::Place::~Place() {
  if (shared_ == nullptr) return;
  const std::lock_guard lock(shared_->mutex);
  --shared_->streams;
  const auto of_caller = shared_->streams_of.find(caller_);
  if (--of_caller->second == 0) shared_->streams_of.erase(of_caller);
}

Result<ChangeHub::Place> ChangeHub::TakePlace(const std::string& caller) {
  const std::int64_t share = options_.streams_max - options_.streams_max / 2;  // half of them, rounded up
  const std::lock_guard lock(shared_->mutex);
  const auto found = shared_->streams_of.find(caller);
  if (found != shared_->streams_of.end() && found->second >= share) {
    return Refuse("the caller " + caller + " has as many streams of changes open as one caller may, " +
                  std::to_string(share) + ": end some, or let one serve several readers");
  }
  if (shared_->streams >= options_.streams_max) {
    return Refuse("as many streams of changes are open as this server takes; try again later, or use another");
  }
  ++shared_->streams_of[caller];
  ++shared_->streams;
  return Place(shared_, caller);
}

std::unexpected<Error> ChangeHub::Refuse(std::string message) {
  refused_.Add();
  return Fail({.reason = Reason::kOverloaded, .message = std::move(message), .retry_after_ms = 5000});
}

void ChangeHub::Request::Refuse() {
  const Error error{.reason = Reason::kOverloaded, .message = "the server is shutting down; go on at another"};
  if (resolved) resolved(std::unexpected(error));
  if (read) read(std::unexpected(error));
}

void ChangeHub::Ask(Request request) {
  {
    std::lock_guard lock(mutex_);
    if (!is_stopping_) {
      requests_.push_back(std::move(request));
      asked_.notify_one();
      return;
    }
  }
  request.Refuse();
}

void ChangeHub::Resolve(ChangeFrom from, std::move_only_function<void(Result<std::int64_t>)> done) {
  Ask({.from = from, .resolved = std::move(done)});
}

void ChangeHub::ReadPage(std::int64_t after, std::move_only_function<void(Result<Page>)> done) {
  Ask({.after = after, .read = std::move(done)});
}

ChangeHub::Taken ChangeHub::Take(std::int64_t after, std::span<ChangeEvent> to) const {
  std::lock_guard lock(ring_mutex_);
  if (after < ring_from_) return {.is_behind = true};
  auto at = std::ranges::upper_bound(ring_, after, {}, &ChangeEvent::position);
  const std::size_t count = std::min(to.size(), static_cast<std::size_t>(ring_.end() - at));
  std::copy_n(at, count, to.begin());
  return {.count = count};
}

Duration ChangeHub::RestTime(std::int64_t streams) { return std::min(kRestOfStream * streams, kRestMax); }

void ChangeHub::Run() {
  const SystemClock clock;
  Instant due{};
  for (bool has_more = false;;) {
    {
      std::unique_lock lock(mutex_);
      const auto is_asked = [this] { return is_stopping_ || !requests_.empty(); };
      if (!has_more) {
        asked_.wait_for(lock, kLookAgainAfter, [&] { return is_asked() || (is_changed_ && !is_failing_); });
      }
      // What is being committed meanwhile comes along.
      if (!has_more && !is_asked()) {
        asked_.wait_for(lock, std::max(kGatherTime, due - clock.Monotonic()), is_asked);
      }
      if (is_stopping_) return;
    }
    const bool follows = has_more_events_ || clock.Monotonic() >= due;
    has_more = Step(follows);
    if (follows) due = clock.Monotonic() + RestTime(shared_->streams.load(std::memory_order_relaxed));
  }
}

bool ChangeHub::Step(bool follows) {
  if (follows) {
    std::lock_guard lock(mutex_);
    is_changed_ = false;
    has_more_events_ = false;
  }
  if (follows && shared_->streams.load() > 0) {
    const Result<bool> followed = Follow();
    if (!followed && !is_failing_) {
      // Once for a row of failures.
      logger_.Warning("changes cannot be read; trying again each second", {{"error", followed.error().message}});
    } else if (followed && is_failing_) {
      logger_.Info("changes are read again");
    }
    is_failing_ = !followed;
    has_more_events_ = followed && *followed;
  }
  bool has_more = has_more_events_;
  std::optional<Request> request;
  {
    std::lock_guard lock(mutex_);
    if (!requests_.empty()) {
      request.emplace(std::move(requests_.front()));
      requests_.pop_front();
    }
    has_more = has_more || !requests_.empty();
  }
  if (request) Serve(*std::move(request));
  return has_more;
}

void ChangeHub::Serve(Request request) {
  if (request.resolved) {
    Result<std::int64_t> start = FindStart(request.from);
    if (!start && start.error().reason == Reason::kPositionExpired) expired_.Add();
    return request.resolved(std::move(start));
  }
  pages_read_.Add();
  Result<ChangeFeed::Page> page = feed_.Read(request.after, kPageEvents);
  if (page) {
    if (!page->events.empty()) Reach(page->events.back().position);
    return request.read(std::make_shared<const ChangeFeed::Page>(*std::move(page)));
  }
  if (page.error().reason == Reason::kPositionExpired) expired_.Add();
  request.read(std::unexpected(std::move(page).error()));
}

Result<std::int64_t> ChangeHub::FindStart(const ChangeFrom& from) {
  MUSTER_ASSIGN(const ChangeFeed::Bounds bounds, feed_.ReadBounds());
  if (from.kind == ChangeFrom::Kind::kEarliest) return bounds.before_earliest;
  // Whatever was committed before is read by now: a position that was given out is known, and "latest" is exact.
  for (bool has_more = true; has_more;) {
    MUSTER_ASSIGN(has_more, Follow());
  }
  if (from.kind == ChangeFrom::Kind::kLatest) return latest();
  if (from.position > latest()) {
    return FailField(from.field, "is a position that this data has not reached: it comes from other data");
  }
  MUSTER_TRY(feed_.Read(from.position, 1));
  return from.position;
}

Result<bool> ChangeHub::Follow() {
  MUSTER_ASSIGN(const ChangeFeed::Bounds bounds, feed_.ReadBounds());
  {
    // Only this thread changes the ring.
    std::lock_guard lock(ring_mutex_);
    const bool is_forgotten = ring_to_ < bounds.before_earliest;  // while nobody watched
    if (!is_ring_begun_ || is_forgotten || bounds.latest - ring_to_ > static_cast<std::int64_t>(kRingEvents)) {
      is_ring_begun_ = true;
      ring_.clear();
      ring_from_ = ring_to_ = std::max(bounds.latest - kRingBehind, bounds.before_earliest);
    }
  }
  MUSTER_ASSIGN(const ChangeFeed::Page page, feed_.Read(ring_to_, kFollowEvents));
  Append(page);
  if (!page.events.empty()) WakeListeners();
  return page.events.size() == kFollowEvents;
}

void ChangeHub::Append(const ChangeFeed::Page& page) {
  std::lock_guard lock(ring_mutex_);
  ring_.insert(ring_.end(), page.events.begin(), page.events.end());
  ring_to_ = page.next;
  if (!ring_.empty()) Reach(ring_.back().position);
  if (ring_.size() <= kRingEvents) return;
  const auto keep = ring_.end() - static_cast<std::ptrdiff_t>(kRingEvents);
  ring_from_ = std::prev(keep)->position;
  ring_.erase(ring_.begin(), keep);
}

// Only the thread does.
void ChangeHub::Reach(std::int64_t position) {
  if (position > latest()) latest_ = position;
}

void ChangeHub::WakeListeners() {
  std::lock_guard lock(shared_->mutex);
  for (Listener* listener : shared_->listeners) {
    if (listener->listens_) listener->Wake();
  }
}

ChangeHub::Listener::Listener(ChangeHub& hub, EventLoop& loop, std::function<void()> wake)
    : hub_(hub), loop_(loop), wake_(std::move(wake)) {
  std::lock_guard lock(hub_.shared_->mutex);
  hub_.shared_->listeners.push_back(this);
}

ChangeHub::Listener::~Listener() {
  std::lock_guard lock(hub_.shared_->mutex);
  std::erase(hub_.shared_->listeners, this);
}

void ChangeHub::Listener::Wake() {
  if (is_woken_.exchange(true)) return;
  loop_.Post([this] {
    is_woken_ = false;
    wake_();
  });
}

}  // namespace muster
