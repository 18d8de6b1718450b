#include "cache/center_invalidator.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <utility>

#include "base/check.h"
#include "base/task.h"

namespace muster {
namespace {

std::unexpected<Error> NotTold(const std::string& center) {
  return Fail(Reason::kOutcomeUnknown,
              "the write is stored, but the cache of center " + center +
                  " could neither be told nor taken out of use in time; send the request again with the same key");
}

std::unexpected<Error> NotPrepared(const std::string& center) {
  return Fail(Reason::kWritesUnavailable,
              "the cache of center " + center +
                  " is out of reach and could not be taken out of use; nothing was written, "
                  "try again later");
}

}  // namespace

// On the loop, but for Begin and End of what is outstanding.
class CenterInvalidator::Rounds {
 public:
  Rounds(std::vector<Center> centers, const Dependencies& dependencies, Options options)
      : centers_(std::move(centers)),
        loop_(*dependencies.loop),
        clock_(*dependencies.clock),
        timer_(*dependencies.timer),
        bypass_(*dependencies.bypass),
        logger_(*dependencies.logger),
        options_(options),
        confirmed_(centers_.size(), Epoch(0)),
        bypasses_(centers_.size()),
        awaits_(centers_.size()) {
    for (const Center& center : centers_) {
      const MetricLabels labels = {{"center", center.name}};
      told_.push_back(&dependencies.metrics->AddCounter(
          "muster_cache_invalidations_total", "Writes that a center's cache was told of, or that found it bypassed.",
          labels));
      bypassed_.push_back(&dependencies.metrics->AddCounter(
          "muster_cache_bypasses_total", "Times that a center's cache was taken out of use by this process.", labels));
    }
  }
  ~Rounds() { MUSTER_CHECK(outstanding_ == 0); }
  Rounds(const Rounds&) = delete;

  using Step = Task<Result<void>> (Rounds::*)(std::size_t center, std::shared_ptr<const TouchedEntries> touched,
                                              Deadline deadline);
  // Does a step for all centers at once, and replies when each has ended; with the first error.
  void Begin(Step step, TouchedEntries touched, Deadline deadline, Reply reply) {
    ++outstanding_;
    loop_.Post([this, step, touched = std::make_shared<const TouchedEntries>(std::move(touched)), deadline,
                reply = std::move(reply)]() mutable {
      struct All {
        std::size_t missing;
        Result<void> sum;
        Reply reply;
      };
      const auto all = std::make_shared<All>(All{.missing = centers_.size(), .sum = {}, .reply = std::move(reply)});
      const auto end = [this, all](Result<void> result) {
        if (!result && all->sum) all->sum = std::move(result);
        if (--all->missing != 0) return;
        --outstanding_;
        all->reply(std::move(all->sum));
      };
      if (centers_.empty()) {
        all->missing = 1;
        return end({});
      }
      for (std::size_t i = 0; i < centers_.size(); ++i) Spawn((this->*step)(i, touched, deadline), end);
    });
  }

  Task<Result<void>> Tell(std::size_t center, std::shared_ptr<const TouchedEntries> touched, Deadline) {
    const Deadline deadline = Deadline::After(clock_, options_.bypass_timeout);
    for (int round = 0; round < kEpochsMax && !deadline.Passed(clock_); ++round) {
      const Invalidation told = co_await TryToTell(center, touched, deadline);
      if (told.kind == InvalidationKind::kDone || told.kind == InvalidationKind::kBypassed) {
        if (told.kind == InvalidationKind::kBypassed)
          MUSTER_CO_TRY(co_await AwaitReaders(center, told.epoch, deadline));
        told_[center]->Add();
        co_return Result<void>();
      }
      MUSTER_CO_TRY(co_await TakeOutOfUse(center, told.epoch, deadline));
    }
    co_return NotTold(centers_[center].name);
  }

  bool is_ready() const { return is_ready_.load(std::memory_order_acquire); }
  void Look() { is_ready_.store(std::ranges::all_of(centers_, IsFit), std::memory_order_release); }

  Task<Result<void>> MakeReady(std::size_t center, std::shared_ptr<const TouchedEntries>, Deadline deadline) {
    const Center& one = centers_[center];
    const Instant begun = clock_.Monotonic();
    while (true) {
      const CacheState state = one.state();
      if (IsFit(one)) {
        Look();
        co_return Result<void>();
      }
      if (deadline.Passed(clock_)) co_return NotPrepared(one.name);
      if (clock_.Monotonic() - begun >= options_.reach_timeout) {
        if (const auto taken = co_await TakeOutOfUse(center, state.epoch, deadline); !taken) {
          co_return NotPrepared(one.name);
        }
        co_return Result<void>();
      }
      co_await Pause();
    }
  }

 private:
  static bool IsFit(const Center& center) { return center.state().mode == CacheMode::kBypass || center.is_reachable(); }

  // Again and again while it is only out of reach.
  Task<Invalidation> TryToTell(std::size_t center, std::shared_ptr<const TouchedEntries> touched, Deadline deadline) {
    const Instant begun = clock_.Monotonic();
    while (true) {
      const Instant now = clock_.Monotonic();
      const Deadline attempt(std::min(deadline.at(), now + options_.attempt_timeout));
      auto begin = [&](auto done) { centers_[center].cache->Invalidate(*touched, attempt, std::move(done)); };
      const Invalidation told = co_await Callback<Invalidation>(std::move(begin));
      const bool is_over = clock_.Monotonic() - begun >= options_.reach_timeout || deadline.Passed(clock_);
      if (told.kind != InvalidationKind::kUnreachable || is_over) co_return told;
      co_await Pause();
    }
  }

  Task<Result<void>> AwaitReaders(std::size_t center, Epoch epoch, Deadline deadline) {
    // Again when it has joined those who awaited an earlier epoch.
    while (confirmed_[center] < epoch) {
      auto begin = [&](auto done) {
        if (!Join(awaits_[center], std::move(done))) return;
        auto end = [this, center, epoch](const Result<void>& confirmed) {
          if (confirmed) confirmed_[center] = std::max(confirmed_[center], epoch);
        };
        bypass_.AwaitReaders(centers_[center].name, epoch, deadline, EndOf(awaits_[center], std::move(end)));
      };
      const Result<void> confirmed = co_await Callback<Result<void>>(std::move(begin));
      if (!confirmed) co_return NotTold(centers_[center].name);
    }
    co_return Result<void>();
  }

  Task<Result<void>> TakeOutOfUse(std::size_t center, Epoch failed, Deadline deadline) {
    auto begin = [&](auto done) {
      if (!Join(bypasses_[center], std::move(done))) return;
      bypassed_[center]->Add();
      logger_.Warning("taking a center's cache out of use",
                      {{"center", centers_[center].name}, {"epoch", failed.value()}});
      bypass_.Bypass(centers_[center].name, failed, deadline, EndOf(bypasses_[center], nullptr));
    };
    const Result<void> taken = co_await Callback<Result<void>>(std::move(begin));
    if (!taken) co_return NotTold(centers_[center].name);
    co_return Result<void>();
  }

  // A step that is under way once, for all writes that want it.
  struct Shared {
    using Done = std::move_only_function<void(Result<void>)>;
    bool is_running = false;
    std::vector<Done> waiting;  // one a write under way
  };
  // True: the caller is to begin it.
  static bool Join(Shared& shared, Shared::Done done) {
    shared.waiting.push_back(std::move(done));
    return !std::exchange(shared.is_running, true);
  }
  // Ends it for all, on the loop; `first` hears of it before them.
  BypassSource::Reply EndOf(Shared& shared, Shared::Done first) {
    return [this, &shared, first = std::move(first)](Result<void> result) mutable {
      loop_.Post([&shared, first = std::move(first), result = std::move(result)]() mutable {
        shared.is_running = false;
        if (first) first(result);
        for (auto waiting = std::exchange(shared.waiting, {}); auto& done : waiting) done(result);
      });
    };
  }

  Task<bool> Pause() {
    auto begin = [this](auto done) {
      timer_.After(options_.attempt_pause, [this, done = std::move(done)]() mutable {
        loop_.Post([done = std::move(done)]() mutable { done(true); });
      });
    };
    co_return co_await Callback<bool>(std::move(begin));
  }

  const std::vector<Center> centers_;
  EventLoop& loop_;
  const Clock& clock_;
  Timer& timer_;
  BypassSource& bypass_;
  Logger& logger_;
  const Options options_;
  std::vector<Epoch> confirmed_;  // of each center: the newest epoch that its readers are known to have confirmed
  std::vector<Shared> bypasses_, awaits_;
  std::vector<Counter*> told_, bypassed_;
  std::atomic<bool> is_ready_{false};
  std::atomic<int> outstanding_{0};
};

CenterInvalidator::CenterInvalidator(std::vector<Center> centers, const Dependencies& dependencies, Options options)
    : rounds_(std::make_unique<Rounds>(std::move(centers), dependencies, options)) {}

CenterInvalidator::~CenterInvalidator() = default;

void CenterInvalidator::Prepare(Deadline deadline, Reply reply) {
  rounds_->Begin(&Rounds::MakeReady, {}, deadline, std::move(reply));
}

bool CenterInvalidator::IsReady() const { return rounds_->is_ready(); }

void CenterInvalidator::Look() { rounds_->Look(); }

void CenterInvalidator::Announce(TouchedEntries touched, Reply reply) {
  rounds_->Begin(&Rounds::Tell, std::move(touched), Deadline(), std::move(reply));
}

}  // namespace muster
