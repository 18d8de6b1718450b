#include "cache/topology_bypass.h"

#include <algorithm>
#include <utility>

#include "base/thread_name.h"

namespace muster {
namespace {

std::unexpected<Error> Refused() {
  Error error{Reason::kOverloaded, "too many caches are being taken out of use, or this server stops"};
  error.retry_after_ms = 1000;
  return std::unexpected(std::move(error));
}

}  // namespace

void TopologyBypass::Start() {
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "bypass");
}

TopologyBypass::~TopologyBypass() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (Wanted& wanted : waiting_) wanted.reply(Refused());
}

void TopologyBypass::Bypass(const std::string& center, Epoch failed, Deadline deadline, Reply reply) {
  bool is_taken = false;
  {
    std::lock_guard lock(mutex_);
    is_taken = !stopping_ && waiting_.size() < kWaitingMax;
    if (is_taken) {
      waiting_.push_back({.center = center, .failed = failed, .deadline = deadline, .reply = std::move(reply)});
    }
  }
  if (!is_taken) return reply(Refused());  // NOLINT(bugprone-use-after-move): taken, or untouched
  changed_.notify_all();
}

void TopologyBypass::AwaitReaders(const std::string& center, Epoch epoch, Deadline deadline, Reply reply) {
  const Instant at = dependencies_.states->ForgottenBelow(center, epoch);
  const Instant now = dependencies_.clock->Monotonic();
  if (at <= now) return reply({});
  if (at > deadline.at()) {
    return reply(Fail(Reason::kDeadlineExceeded, "readers of center " + center +
                                                     " may believe for longer than that what its cache had; allow "
                                                     "more time than the topology's lease"));
  }
  dependencies_.timer->After(at - now, [reply = std::move(reply)]() mutable { reply({}); });
}

void TopologyBypass::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    lock.unlock();
    Step();
    lock.lock();
  }
}

void TopologyBypass::Step() {
  std::vector<Wanted> wanted;
  {
    std::lock_guard lock(mutex_);
    wanted.swap(waiting_);
  }
  for (Wanted& one : wanted) one.reply(Store(one));
}

Result<void> TopologyBypass::Store(const Wanted& wanted) {
  const auto stored = dependencies_.store->Update([&](TopologyDocument& document) -> Result<void> {
    CacheRecord* const cache = document.FindCache(wanted.center);
    // Nobody uses it then.
    if (cache == nullptr) return Fail(Reason::kNotFound, "");
    if (cache->epoch > wanted.failed) return Fail(Reason::kStateConflict, "");
    *cache = {.center = wanted.center, .epoch = Epoch(wanted.failed.value() + 1), .mode = CacheMode::kBypass};
    return {};
  });
  std::int64_t revision = 0;
  if (stored) {
    revision = (*stored)->revision;
    dependencies_.logger->Warning("the cache of a center is bypassed",
                                  {{"center", wanted.center}, {"epoch", wanted.failed.value() + 1}});
  } else if (stored.error().reason == Reason::kStateConflict) {
    MUSTER_ASSIGN(const auto document, dependencies_.store->Read());
    revision = document->revision;
  } else if (stored.error().reason != Reason::kNotFound) {
    return std::unexpected(stored.error());
  }
  return dependencies_.watcher->Await(revision, wanted.deadline);
}

}  // namespace muster
