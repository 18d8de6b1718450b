#include "topology/topology_watcher.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace muster {

TopologyWatcher::TopologyWatcher(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

TopologyWatcher::~TopologyWatcher() { MUSTER_CHECK(!thread_.joinable()); }

Result<void> TopologyWatcher::Start() {
  MUSTER_TRY(Look());
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "topology");
  return {};
}

void TopologyWatcher::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  dependencies_.signal->Wake();
  thread_.join();
}

std::shared_ptr<const TopologyDocument> TopologyWatcher::snapshot() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

Result<void> TopologyWatcher::Await(std::int64_t revision, Deadline deadline) {
  // Wake ends one wait: a look that is under way may have been sent too early, and the next one may fail.
  constexpr Duration kAgainAfter = std::chrono::milliseconds(20);
  while (this->revision() < revision) {
    const Instant now = dependencies_.clock->Monotonic();
    if (deadline.Passed(*dependencies_.clock)) {
      return Fail(Reason::kStale, "this process has not read revision " + std::to_string(revision) +
                                      " of the topology in time: is a majority of etcd in its reach?");
    }
    dependencies_.signal->Wake();
    std::unique_lock lock(mutex_);
    looked_.wait_for(lock, std::min(deadline.at(), now + kAgainAfter) - now,
                     [&] { return this->revision() >= revision; });
  }
  return {};
}

Result<void> TopologyWatcher::Health() const {
  std::lock_guard lock(mutex_);
  return health_;
}

void TopologyWatcher::Run() {
  Instant looked_at = confirmed_at();
  while (true) {
    const Duration since = dependencies_.clock->Monotonic() - looked_at;
    dependencies_.signal->Wait(std::max(Pause() - since, Duration(0)));
    if (stopping_) return;
    looked_at = dependencies_.clock->Monotonic();
    Note(Look());
  }
}

Duration TopologyWatcher::Pause() const {
  Duration pause = dependencies_.reread;
  if (dependencies_.lease != nullptr && dependencies_.lease->term() == LeaseTerm::kTimed) {
    pause = std::min(pause, RenewalPeriod(*snapshot()));
  }
  return Health() ? pause : std::min(pause, kRetryAfter);
}

Result<void> TopologyWatcher::Look() {
  const Instant sent = dependencies_.clock->Monotonic();  // before anything is sent: leases are counted from here
  MUSTER_ASSIGN(const std::shared_ptr<const TopologyDocument> document, dependencies_.store->Read());
  return Take(document, sent);
}

Result<void> TopologyWatcher::Take(const std::shared_ptr<const TopologyDocument>& document, Instant sent) {
  const std::shared_ptr<const TopologyDocument> before = snapshot();
  if (before && document->revision < before->revision) {
    return Fail(Reason::kStale, "the topology went back from revision " + std::to_string(before->revision) + " to " +
                                    std::to_string(document->revision) +
                                    ", as if a backup had been put back; it is not taken up: look through it, then "
                                    "restart this muster; with several "
                                    "centers `muster topology restored`");
  }
  // The lease first: it ends before anybody can hear of what ends it.
  if (dependencies_.lease != nullptr) dependencies_.lease->Confirm(*document, sent);
  if (!before || document->revision > before->revision) {
    std::lock_guard telling(listeners_mutex_);
    {
      std::lock_guard lock(mutex_);
      snapshot_ = document;
    }
    revision_.store(document->revision, std::memory_order_release);
    for (const auto& [number, listener] : listeners_) listener(document);
  }
  confirmed_at_.store(sent, std::memory_order_release);
  return {};
}

void TopologyWatcher::Note(const Result<void>& looked) {
  const bool was_well = Health().has_value();
  if (!looked) failures_.fetch_add(1, std::memory_order_relaxed);
  // Once for a row of failures: an outage lasts.
  if (!looked && was_well) {
    dependencies_.logger->Warning("the topology cannot be confirmed; it stays as it is, and reads go on",
                                  {{"revision", revision()}, {"error", looked.error().message}});
  } else if (looked && !was_well) {
    dependencies_.logger->Info("the topology is confirmed again", {{"revision", revision()}});
  }
  {
    std::lock_guard lock(mutex_);
    health_ = looked;
  }
  looked_.notify_all();
}

std::unique_ptr<TopologyWatcher::Subscription> TopologyWatcher::Subscribe(Listener listener) {
  std::lock_guard telling(listeners_mutex_);
  MUSTER_CHECK(listeners_.size() < kListenersMax);
  listeners_.emplace_back(next_number_, std::move(listener));
  return std::make_unique<Subscription>(*this, next_number_++);
}

void TopologyWatcher::Unsubscribe(std::uint64_t number) {
  std::lock_guard telling(listeners_mutex_);
  std::erase_if(listeners_, [number](const auto& each) { return each.first == number; });
}

}  // namespace muster
