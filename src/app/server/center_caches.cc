#include "app/server/center_caches.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <utility>

#include "base/thread_name.h"

namespace muster {
namespace {

// How soon a write that begins hears that a Redis is out of reach.
constexpr Duration kLookPeriod = std::chrono::milliseconds(10);

std::vector<std::string> CentersOf(const CenterOptions& options) {
  std::vector<std::string> names;
  names.reserve(options.caches.size());
  for (const CenterOptions::CacheRow& row : options.caches) names.push_back(row.center);
  return names;
}

// Has `begin` done on the loop, and waits for what it replies; none: not by the deadline.
template <typename T>
std::optional<T> AskOn(EventLoop& loop, const Clock& clock, Deadline deadline,
                       std::move_only_function<void(std::move_only_function<void(T)>)> begin) {
  auto promise = std::make_shared<std::promise<T>>();
  std::future<T> answer = promise->get_future();
  loop.Post([begin = std::move(begin), promise]() mutable {
    begin([promise](T value) { promise->set_value(std::move(value)); });
  });
  const Duration left = deadline.at() - clock.Monotonic();
  if (answer.wait_for(left) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

}  // namespace

Result<std::unique_ptr<CenterCaches>> CenterCaches::Start(const CenterOptions& options, const Surroundings& around) {
  std::unique_ptr<CenterCaches> caches(new CenterCaches(options, around));
  MUSTER_TRY(caches->Connect());
  return caches;
}

CenterCaches::CenterCaches(const CenterOptions& options, const Surroundings& around)
    : options_(options), around_(around), states_(around.watcher, around.clock, CentersOf(options)) {}

Result<void> CenterCaches::Connect() {
  MUSTER_ASSIGN(loop_, AsioEventLoop::Make());
  bypass_ = std::make_unique<TopologyBypass>(TopologyBypass::Dependencies{.store = &around_.topology,
                                                                          .watcher = &around_.watcher,
                                                                          .states = &states_,
                                                                          .clock = &around_.clock,
                                                                          .timer = timer_.get(),
                                                                          .logger = &around_.logger});
  bypass_->Start();
  std::vector<CenterInvalidator::Center> told;
  std::vector<CacheKeeper::Center> kept;
  for (const CenterOptions::CacheRow& row : options_.caches) {
    MUSTER_ASSIGN(auto made, MakeRedisCenter(options_.RedisOf(row), DependenciesOf(row.center, *loop_)));
    RedisCenterCache& cache = *caches_.emplace_back(std::move(made));
    told.push_back({.name = row.center, .cache = &cache, .state = states_.Of(row.center), .is_reachable = [&cache] {
                      return cache.IsReachable();
                    }});
    kept.push_back(KeptCenter(row.center, cache));
  }
  invalidator_ = std::make_unique<CenterInvalidator>(std::move(told),
                                                     CenterInvalidator::Dependencies{.loop = loop_.get(),
                                                                                     .clock = &around_.clock,
                                                                                     .timer = timer_.get(),
                                                                                     .bypass = bypass_.get(),
                                                                                     .logger = &around_.logger,
                                                                                     .metrics = &around_.metrics},
                                                     CenterInvalidator::Options{});
  loop_->SetTick(kLookPeriod, [this] { invalidator_->Look(); });
  thread_ = std::thread([this] { loop_->Run(); });
  NameThread(thread_, "caches");
  keeper_ = std::make_unique<CacheKeeper>(
      std::move(kept),
      CacheKeeper::Options{.center = options_.center, .settle = std::chrono::milliseconds(options_.cache_settle_ms)},
      CacheKeeper::Dependencies{.store = &around_.topology,
                                .watcher = &around_.watcher,
                                .bypass = bypass_.get(),
                                .clock = &around_.clock,
                                .logger = &around_.logger});
  keeper_->Start();
  return {};
}

CenterCaches::~CenterCaches() {
  if (keeper_) keeper_->Stop();
  bypass_.reset();
  timer_.reset();  // what waits runs now, and may post to the loop
  if (thread_.joinable()) {
    // After all that has been posted.
    loop_->Post([this] { loop_->Stop(); });
    thread_.join();
  }
  invalidator_.reset();
  caches_.clear();
}

RedisDependencies CenterCaches::DependenciesOf(const std::string& center, SocketLoop& loop) const {
  return {.loop = &loop,
          .clock = &around_.clock,
          .random = &around_.random,
          .keyring = &around_.keyring,
          .logger = &around_.logger,
          .state = states_.Of(center),
          .center = center};
}

CacheKeeper::Center CenterCaches::KeptCenter(const std::string& name, RedisCenterCache& cache) {
  EventLoop& loop = *loop_;
  const Clock& clock = around_.clock;
  Random& random = around_.random;
  return {.name = name,
          .is_reachable =
              [&loop, &clock, &cache](Deadline deadline) {
                return AskOn<bool>(loop, clock, deadline, [&cache](auto done) { done(cache.IsReachable()); })
                    .value_or(false);
              },
          .begin_epoch = [&loop, &clock, &cache](Epoch epoch, Deadline deadline) -> Result<bool> {
            auto begun = AskOn<Result<bool>>(loop, clock, deadline, [&cache, epoch, deadline](auto done) {
              cache.BeginEpoch(epoch, deadline, std::move(done));
            });
            if (begun) return *std::move(begun);
            return Fail(Reason::kOverloaded, "not all servers of the cache have answered in time");
          },
          .probe =
              [&loop, &clock, &cache, &random](Deadline deadline) {
                // A member that is not there, at a version that is below all: it raises no floor. Any of some
                // thousands, so that each server is asked in its turn, and what that leaves there is little.
                constexpr std::uint64_t kIds = 4'096;
                const MemberId member(static_cast<std::int64_t>(1 + random.Below(kIds)));
                const auto told = AskOn<Invalidation>(loop, clock, deadline, [&cache, member, deadline](auto done) {
                  cache.Invalidate({.members = {{member, Version(0)}}, .keys = {}}, deadline, std::move(done));
                });
                return told ? told->kind : InvalidationKind::kUnreachable;
              }};
}

Result<std::optional<Version>> CenterCaches::Peek(const std::string& center, MemberId id, Deadline deadline) {
  const auto row = std::ranges::find(options_.caches, center, &CenterOptions::CacheRow::center);
  if (row == options_.caches.end()) return Fail(Reason::kOverloaded, "center " + center + " has no cache here");
  RedisCenterCache& cache = *caches_[static_cast<std::size_t>(row - options_.caches.begin())];
  const auto found = AskOn<MemberLookup>(*loop_, around_.clock, deadline, [&cache, id, deadline](auto done) {
    cache.Peek(id, deadline, std::move(done));
  });
  if (!found || found->kind == LookupKind::kUnusable) {
    return Fail(Reason::kOverloaded, "the cache of center " + center + " is not in use");
  }
  if (found->kind == LookupKind::kMiss) return std::optional<Version>();
  return std::optional(found->member ? found->member->version() : Version(0));
}

Result<CenterCaches::Readers> CenterCaches::MakeReaders(SocketLoop& loop, std::size_t loops) {
  const auto own = std::ranges::find(options_.caches, options_.center, &CenterOptions::CacheRow::center);
  const RedisOptions redis = options_.RedisOf(*own);
  Readers readers;
  MUSTER_ASSIGN(readers.center, MakeRedisCenter(redis, DependenciesOf(options_.center, loop)));
  const std::size_t bytes = static_cast<std::size_t>(options_.tracked_bytes) / std::max<std::size_t>(loops, 1);
  MUSTER_ASSIGN(readers.tracked, MakeTrackedNearCache(redis, DependenciesOf(options_.center, loop), bytes));
  return readers;
}

}  // namespace muster
