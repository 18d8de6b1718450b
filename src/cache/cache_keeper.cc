#include "cache/cache_keeper.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"
#include "topology/writer_lease.h"

namespace muster {

CacheKeeper::CacheKeeper(std::vector<Center> centers, Options options, const Dependencies& dependencies)
    : centers_(std::move(centers)), options_(std::move(options)), dependencies_(dependencies) {}

CacheKeeper::~CacheKeeper() { MUSTER_CHECK(!thread_.joinable()); }

void CacheKeeper::Start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      Step();
      lock.lock();
      stopped_.wait_for(lock, options_.look_period, [&] { return stopping_; });
    }
  });
  NameThread(thread_, "cache keeper");
}

void CacheKeeper::Stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void CacheKeeper::Step() {
  const auto document = dependencies_.watcher->snapshot();
  if (document->writer != options_.center) {
    // Whoever comes to it later begins anew: what it knew of then says nothing.
    memory_.clear();
    return;
  }
  for (const Center& center : centers_) Look(center, *document, memory_[center.name]);
}

void CacheKeeper::Look(const Center& center, const TopologyDocument& document, Memory& memory) {
  const Instant now = dependencies_.clock->Monotonic();
  const CacheRecord* const record = document.FindCache(center.name);
  const bool is_on = record != nullptr && record->mode == CacheMode::kOn;
  if (!center.is_reachable(RequestDeadline()) || (is_on && !Probe(center, *record, memory))) {
    return NoteSilence(center, record, now, memory);
  }
  memory.has_answered = true;
  memory.silent_since.reset();
  if (!memory.reached_since) memory.reached_since = now;
  // Somebody did not reach it, or it lost something: it has to be well from now on.
  if (record != nullptr && memory.epoch != record->epoch) {
    memory.epoch = record->epoch;
    memory.reached_since = now;
  }
  if (record == nullptr) return Warm(center, nullptr);
  if (record->mode == CacheMode::kBypass && now - *memory.reached_since >= options_.settle) Warm(center, record);
  if (record->mode == CacheMode::kWarming) GoOn(center, *record, document, memory);
}

// A process that has only begun may itself be what is not connected yet.
void CacheKeeper::NoteSilence(const Center& center, const CacheRecord* record, Instant since, Memory& memory) {
  memory.reached_since.reset();
  if (!memory.has_answered) return;
  if (!memory.silent_since) memory.silent_since = since;
  const bool is_told = record != nullptr && record->mode != CacheMode::kBypass;
  if (is_told && dependencies_.clock->Monotonic() - *memory.silent_since >= options_.reach_timeout) {
    Bypass(center, *record, memory);
  }
}

// The epoch is begun first: a writer that hears of it must find it.
void CacheKeeper::Warm(const Center& center, const CacheRecord* record) {
  Epoch epoch(record == nullptr ? 1 : record->epoch.value() + 1);
  Result<bool> begun = center.begin_epoch(epoch, RequestDeadline());
  if (!begun && begun.error().reason == Reason::kStateConflict) {
    // Servers that have served an older life of this installation: what time it is has not been an epoch yet.
    epoch = Epoch(std::max(
        epoch.value(),
        std::chrono::duration_cast<std::chrono::seconds>(dependencies_.clock->Now().time_since_epoch()).count()));
    begun = center.begin_epoch(epoch, RequestDeadline());
  }
  if (!begun) {
    dependencies_.logger->Warning("the cache of a center cannot be brought into use",
                                  {{"center", center.name}, {"error", begun.error().message}});
    return;
  }
  Store(center.name, record, {.center = center.name, .epoch = epoch, .mode = CacheMode::kWarming});
}

void CacheKeeper::GoOn(const Center& center, const CacheRecord& record, const TopologyDocument& document,
                       Memory& memory) {
  if (memory.warming != record.epoch) {
    memory.warming = record.epoch;
    memory.warm_since = dependencies_.clock->Monotonic();
  }
  const Duration wait = WaitAfterMove(document) + options_.replica_lag_max;
  if (dependencies_.clock->Monotonic() - memory.warm_since < wait) return;
  const Result<bool> begun = center.begin_epoch(record.epoch, RequestDeadline());
  if (begun && !*begun) {
    return Store(center.name, &record, {.center = center.name, .epoch = record.epoch, .mode = CacheMode::kOn});
  }
  // It has lost what it was told meanwhile, or other servers have taken its place.
  if (begun || begun.error().reason == Reason::kStateConflict) Warm(center, &record);
}

bool CacheKeeper::Probe(const Center& center, const CacheRecord& record, Memory& memory) {
  const Instant now = dependencies_.clock->Monotonic();
  if (!memory.silent_since && memory.probed_at && now - *memory.probed_at < options_.probe_period) return true;
  memory.probed_at = now;
  const InvalidationKind told = center.probe(Deadline::After(*dependencies_.clock, options_.probe_timeout));
  if (told == InvalidationKind::kLost) Bypass(center, record, memory);
  return told != InvalidationKind::kUnreachable;
}

void CacheKeeper::Bypass(const Center& center, const CacheRecord& record, const Memory& memory) {
  if (memory.is_bypassing->exchange(true)) return;
  // What it does is told in the log; the next look sees what became of it.
  dependencies_.bypass->Bypass(center.name, record.epoch, RequestDeadline(),
                               [asked = memory.is_bypassing](const Result<void>&) { asked->store(false); });
}

void CacheKeeper::Store(const std::string& center, const CacheRecord* before, CacheRecord next) {
  const std::optional<CacheRecord> expected = before == nullptr ? std::nullopt : std::optional(*before);
  const auto stored = dependencies_.store->Update([&](TopologyDocument& document) -> Result<void> {
    CacheRecord* const cache = document.FindCache(center);
    const bool is_same = cache == nullptr ? !expected : expected && *cache == *expected;
    if (!is_same) return Fail(Reason::kStateConflict, "another process was faster");
    if (cache == nullptr) {
      document.caches.push_back(next);
    } else {
      *cache = next;
    }
    return {};
  });
  if (stored) {
    dependencies_.logger->Info("the cache of a center goes on",
                               {{"center", center}, {"mode", NameOf(next.mode)}, {"epoch", next.epoch.value()}});
    if (!dependencies_.watcher->Await((*stored)->revision, RequestDeadline())) {
      dependencies_.logger->Debug("the topology is heard of late", {{"revision", (*stored)->revision}});
    }
  } else if (stored.error().reason != Reason::kStateConflict) {
    dependencies_.logger->Warning("the cache of a center does not go on",
                                  {{"center", center}, {"error", stored.error().message}});
  }
}

Deadline CacheKeeper::RequestDeadline() const {
  return Deadline::After(*dependencies_.clock, options_.request_timeout);
}

}  // namespace muster
