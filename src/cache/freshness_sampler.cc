#include "cache/freshness_sampler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace muster {

FreshnessSampler::FreshnessSampler(const Dependencies& dependencies)
    : to_(dependencies),
      sampled_(dependencies.metrics->AddCounter("muster_freshness_samples_total",
                                                "Acknowledged writes that every tier was asked for.")),
      skipped_(dependencies.metrics->AddCounter(
          "muster_freshness_skipped_total", "Writes that were not sampled because too many samples were under way.")),
      since_(dependencies.clock->Now()) {}

FreshnessSampler::~FreshnessSampler() { Stop(); }

void FreshnessSampler::Start(std::vector<FreshnessTier> tiers) {
  MUSTER_CHECK(!thread_.joinable());
  for (FreshnessTier& tier : tiers) {
    const MetricLabels labels = {{"tier", tier.name}};
    Tier& mine = tiers_.emplace_back();
    mine.seconds = &to_.metrics->AddHistogram(
        "muster_freshness_seconds", "From the acknowledgement of a write until a tier was seen to have it; 0: at once.",
        labels);
    mine.beyond = &to_.metrics->AddCounter("muster_freshness_beyond_total",
                                           "Sampled writes that a tier did not have within its bound.", labels);
    mine.unanswered = &to_.metrics->AddCounter("muster_freshness_unanswered_total",
                                               "Sampled writes for which a tier could not be asked.", labels);
    mine.counts = {.name = tier.name, .center = tier.center, .bound = tier.bound};
    mine.tier = std::move(tier);
  }
  {
    std::lock_guard lock(mutex_);
    is_started_ = true;
  }
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "freshness");
}

void FreshnessSampler::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// One each period, whoever comes first.
bool FreshnessSampler::IsWanted() {
  const Instant now = to_.clock->Monotonic();
  Instant next = next_at_.load(std::memory_order_relaxed);
  return now >= next && next_at_.compare_exchange_strong(next, now + to_.period, std::memory_order_relaxed);
}

void FreshnessSampler::Announce(TouchedEntries touched, Reply reply) {
  if (touched.members.empty() || !IsWanted()) return to_.listener->Announce(std::move(touched), std::move(reply));
  const auto [member, version] = touched.members.back();
  to_.listener->Announce(std::move(touched),
                         [this, member, version, reply = std::move(reply)](Result<void> told) mutable {
                           if (told) Take(member, version);
                           reply(std::move(told));
                         });
}

// Before the answer that acknowledges it has left: what is asked from now on must have it.
void FreshnessSampler::Take(MemberId member, Version version) {
  {
    std::lock_guard lock(mutex_);
    if (!is_started_ || is_stopping_) return;
    if (pending_count_ >= kPendingMax) return skipped_.Add();
    ++pending_count_;
    Sample& sample = arrived_.emplace_back();
    sample.member = member;
    sample.version = version;
    sample.acknowledged = sample.due = to_.clock->Monotonic();
    sample.time = to_.clock->Now();
    for (std::size_t i = 0; i < tiers_.size(); ++i) {
      const auto& concerns = tiers_[i].tier.concerns;
      if (!concerns || concerns(member)) sample.open.push_back(i);
    }
  }
  sampled_.Add();
  changed_.notify_all();
}

void FreshnessSampler::Run() {
  std::vector<Sample> pending;
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    std::ranges::move(arrived_, std::back_inserter(pending));
    arrived_.clear();
    const auto first = std::ranges::min_element(pending, {}, &Sample::due);
    if (first == pending.end()) {
      changed_.wait(lock);
      continue;
    }
    const Duration left = first->due - to_.clock->Monotonic();
    if (left > Duration(0)) {
      changed_.wait_for(lock, left);
      continue;
    }
    lock.unlock();
    Ask(*first);
    const bool is_given_up = first->due - first->acknowledged > kGivenUpAfter;
    if (is_given_up) GiveUp(*first);
    const bool is_over = first->open.empty() || is_given_up;
    if (is_over) pending.erase(first);
    lock.lock();
    if (is_over) --pending_count_;
  }
}

void FreshnessSampler::Ask(Sample& sample) {
  std::vector<std::size_t> open;
  for (const std::size_t index : sample.open) {
    if (!AskTier(sample, index)) open.push_back(index);
  }
  sample.open = std::move(open);
  sample.due = to_.clock->Monotonic() + sample.pause;
  sample.pause = std::min(sample.pause * 2, kPauseMax);
}

bool FreshnessSampler::AskTier(Sample& sample, std::size_t index) {
  Tier& tier = tiers_[index];
  const Instant sent = to_.clock->Monotonic();
  if (sent < tier.left_alone_until) return false;
  const Result<std::optional<Version>> held = tier.tier.ask(sample.member, Deadline(sent + kAskTimeout));
  const Instant now = to_.clock->Monotonic();
  if (!held) {
    tier.left_alone_until = now + kLeftAlone;
    return false;
  }
  const bool was_late = std::ranges::count(sample.late, index) > 0;
  if (*held && **held < sample.version) {
    if (!was_late) {
      sample.late.push_back(index);
      NoteLate(sample, index, **held);
    }
    return false;
  }
  NoteAgreed(sample, index, was_late, now);
  return true;
}

LateSample* FreshnessSampler::FindLate(const Sample& sample, const std::string& tier) {
  const auto found = std::ranges::find_if(late_, [&](const LateSample& late) {
    return late.member == sample.member && late.version == sample.version && late.tier == tier;
  });
  return found == late_.end() ? nullptr : &*found;
}

void FreshnessSampler::NoteLate(const Sample& sample, std::size_t index, Version held) {
  std::lock_guard lock(mutex_);
  TierFreshness& counts = tiers_[index].counts;
  ++counts.late;
  if (late_.size() >= kLateKept) late_.pop_front();
  late_.push_back({.member = sample.member,
                   .version = sample.version,
                   .acknowledged = sample.time,
                   .tier = counts.name,
                   .held = held});
}

void FreshnessSampler::NoteAgreed(const Sample& sample, std::size_t index, bool was_late, Instant now) {
  Tier& tier = tiers_[index];
  // It was seen to be there when it was first asked, whenever that was.
  const Duration after = was_late ? now - sample.acknowledged : Duration(0);
  tier.seconds->Record(after);
  const bool is_beyond = after > tier.tier.bound;
  if (is_beyond) tier.beyond->Add();
  {
    std::lock_guard lock(mutex_);
    ++tier.counts.samples;
    if (is_beyond) ++tier.counts.beyond;
    tier.counts.latest = std::max(tier.counts.latest, after);
    if (LateSample* const late = was_late ? FindLate(sample, tier.counts.name) : nullptr) {
      late->late = after;
      late->is_over = true;
    }
  }
  if (!is_beyond) return;
  to_.logger->Warning("a write was acknowledged, and seen late",
                      {{"tier", tier.tier.name},
                       {"member", sample.member.value()},
                       {"version", sample.version.value()},
                       {"milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(after).count()}});
}

void FreshnessSampler::GiveUp(const Sample& sample) {
  for (const std::size_t index : sample.open) {
    Tier& tier = tiers_[index];
    const bool was_late = std::ranges::count(sample.late, index) > 0;
    (was_late ? tier.beyond : tier.unanswered)->Add();
    std::lock_guard lock(mutex_);
    if (was_late) {
      ++tier.counts.samples;
      ++tier.counts.beyond;
      tier.counts.latest = std::max(tier.counts.latest, kGivenUpAfter);
    } else {
      ++tier.counts.unanswered;
    }
  }
}

FreshnessReport FreshnessSampler::Report() const {
  FreshnessReport report{.since = since_,
                         .samples = static_cast<std::int64_t>(sampled_.Value()),
                         .skipped = static_cast<std::int64_t>(skipped_.Value())};
  std::lock_guard lock(mutex_);
  if (!is_started_) return report;
  for (const Tier& tier : tiers_) report.tiers.push_back(tier.counts);
  report.late.assign(late_.begin(), late_.end());
  return report;
}

}  // namespace muster
