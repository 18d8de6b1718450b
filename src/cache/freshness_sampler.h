#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "domain/freshness_report.h"
#include "domain/ports/commit_listener.h"

namespace muster {

// Where reads may find a member: a center's cache, a database, this server's own reads.
struct FreshnessTier {
  std::string name;  // "redis A", "database b1"
  std::string center;
  Duration bound{0};  // within which after its acknowledgement a write is to be seen there
  // Blocks, by the deadline, and fills nothing. The version that is there; none: nothing is, and whoever reads asks
  // further. An error: it cannot be asked, or is not in use.
  std::function<Result<std::optional<Version>>(MemberId, Deadline)> ask;
  std::function<bool(MemberId)> concerns = {};  // whether it is to have this member; none: everybody
};

// Measures how fresh reads are: takes some of the writes that are acknowledged here, and asks every tier of every
// center for the member, from the moment of the acknowledgement on and until all have it. Stands between the store and
// whoever has to hear of commits, whose answer is the acknowledgement.
//
//   Announce ──► the caches' own ──► acknowledged ──► (at most one each `period`) ──► pending ──► asked ─┐
//                                                                                        ▲   1 ms … 500 ms │
//                                                                                        └───── not yet ◄──┘
//
// A tier that cannot be asked is left alone for a second, so that it holds up nobody else's turn. Owns one thread.
class FreshnessSampler final : public CommitListener {
 public:
  static constexpr Duration kAskTimeout = std::chrono::milliseconds(300);
  static constexpr Duration kPauseMin = std::chrono::milliseconds(1);  // doubled each time, up to
  static constexpr Duration kPauseMax = std::chrono::milliseconds(500);
  static constexpr Duration kLeftAlone = std::chrono::seconds(1);
  static constexpr Duration kGivenUpAfter = std::chrono::seconds(60);
  static constexpr std::size_t kPendingMax = 64;  // beyond, writes go unsampled
  static constexpr std::size_t kLateKept = 32;    // the newest

  struct Dependencies {
    CommitListener* listener = nullptr;
    const Clock* clock = nullptr;
    Logger* logger = nullptr;
    MetricRegistry* metrics = nullptr;
    Duration period = std::chrono::milliseconds(200);
  };

  // Everything outlives it.
  explicit FreshnessSampler(const Dependencies& dependencies);
  ~FreshnessSampler() override;  // stops
  FreshnessSampler(const FreshnessSampler&) = delete;

  // Once.
  void Start(std::vector<FreshnessTier> tiers);
  // A question under way is waited for; no tier is asked afterwards.
  void Stop();

  bool IsReady() const override { return to_.listener->IsReady(); }
  void Prepare(Deadline deadline, Reply reply) override { to_.listener->Prepare(deadline, std::move(reply)); }
  void Announce(TouchedEntries touched, Reply reply) override;

  FreshnessReport Report() const;

 private:
  struct Sample {
    MemberId member;
    Version version;
    Instant acknowledged{};
    Timestamp time{};
    Instant due{};
    Duration pause = kPauseMin;
    std::vector<std::size_t> open;  // tiers that have not shown it yet
    std::vector<std::size_t> late;  // of those, the ones that have shown something older
  };
  struct Tier {
    FreshnessTier tier;
    Histogram* seconds = nullptr;
    Counter* beyond = nullptr;
    Counter* unanswered = nullptr;
    Instant left_alone_until{};
    TierFreshness counts;  // guarded by mutex_
  };

  bool IsWanted();
  void Take(MemberId member, Version version);
  void Run();
  void Ask(Sample& sample);
  // True: the tier is done with.
  bool AskTier(Sample& sample, std::size_t index);
  void NoteAgreed(const Sample& sample, std::size_t index, bool was_late, Instant now);
  void NoteLate(const Sample& sample, std::size_t index, Version held);
  void GiveUp(const Sample& sample);
  // The newest entry of a late one; null when it has been forgotten.
  LateSample* FindLate(const Sample& sample, const std::string& tier);

  const Dependencies to_;
  Counter& sampled_;
  Counter& skipped_;
  const Timestamp since_;
  std::atomic<Instant> next_at_{Instant::min()};

  std::vector<Tier> tiers_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Sample> arrived_;     // guarded by mutex_
  std::deque<LateSample> late_;    // guarded by mutex_
  std::size_t pending_count_ = 0;  // guarded by mutex_; arrived or under way
  bool is_started_ = false;        // guarded by mutex_
  bool is_stopping_ = false;       // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster
