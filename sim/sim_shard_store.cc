#include "sim_shard_store.h"

#include <algorithm>
#include <utility>

namespace muster::sim {
namespace {

constexpr std::uint64_t kHalf = 500'000;  // millionths

}  // namespace

SimShardStore::SimShardStore(const Surroundings& surroundings, std::string process, std::function<void()> crashed)
    : around_(surroundings),
      process_(std::move(process)),
      crashed_(std::move(crashed)),
      last_now_(shards().database_count()) {}

Duration SimShardStore::Travel() {
  const Duration usual(50 + around_.random.Below(2'000));
  return Happens(around_.random, around_.weather.slow) ? usual * 100 : usual;
}

// From a moment to so long that what others decide about this process is decided, grows old, and is forgotten.
void SimShardStore::MaybePause() {
  if (!Happens(around_.random, around_.weather.pause)) return;
  const auto milliseconds = [this](std::uint64_t least, std::uint64_t most) {
    return std::chrono::milliseconds(least + around_.random.Below(most - least));
  };
  Duration length;
  switch (around_.random.Below(4)) {
    case 0:
      length = milliseconds(1, 1'000);
      break;
    case 1:
      length = milliseconds(1'000, 29'000);
      break;
    case 2:
      length = milliseconds(29'000, 120'000);
      break;
    default:
      length = milliseconds(3'600'000, 9'000'000);
      break;
  }
  paused_until_ = std::max(paused_until_, around_.scheduler.now() + length);
  around_.trace([&] { return process_ + " sleeps for " + std::to_string(length.count() / 1000) + " ms"; });
}

void SimShardStore::Crash() {
  *alive_ = false;
  around_.trace([&] { return process_ + " crashes"; });
  // In an event of its own: this may be called by a coroutine that the crash destroys.
  around_.scheduler.After(Duration(0), crashed_);
}

void SimShardStore::Later(Duration delay, Scheduler::Work work) {
  const Duration awake = std::max(delay, paused_until_ - around_.scheduler.now());
  around_.scheduler.After(awake, [this, alive = alive_, work = std::move(work)]() mutable {
    if (!*alive) return;
    if (around_.scheduler.now() < paused_until_) return Later(Duration(0), std::move(work));
    work();
  });
}

void SimShardStore::Run(std::uint32_t database, Transaction transaction, Done done) {
  if (!*alive_) return;
  if (Happens(around_.random, around_.weather.crash / 2)) return Crash();
  MaybePause();
  const Duration sent = around_.scheduler.now();
  Later(Travel(), [this, database, sent, transaction = std::move(transaction), done = std::move(done)]() mutable {
    Arrive(database, sent, transaction, std::move(done));
  });
}

void SimShardStore::Arrive(std::uint32_t database, Duration sent, Transaction& transaction, Done done) {
  Random& random = around_.random;
  const bool loses = Happens(random, around_.weather.lose_answer);
  Result<void> result;
  if (Happens(random, around_.weather.refuse)) {
    result = Fail(random.Below(2) == 0 ? Reason::kOverloaded : Reason::kWritesUnavailable, "simulated refusal");
  } else if (!loses || Happens(random, kHalf)) {
    in_transaction_ = true;
    const bool commit_fails = Happens(random, around_.weather.refuse);
    result = around_.databases.Execute({database, sent, remembered_, commit_fails}, transaction);
    in_transaction_ = false;
  }
  if (loses) result = Fail(Reason::kOutcomeUnknown, "simulated loss of an answer");
  around_.trace([&] {
    return process_ + " transaction in database " + std::to_string(database) + ": " +
           (result ? "OK" : std::string(result.error().code()));
  });
  if (Happens(random, around_.weather.crash / 2)) return Crash();
  MaybePause();
  Later(Travel(), [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
}

Timestamp SimShardStore::Now(std::uint32_t database) const {
  const bool stands_still = in_transaction_ && around_.databases.bug() == Planted::kAgeOff;
  if (!stands_still) last_now_[database] = shards().Now(database);
  return last_now_[database];
}

void SimShardStore::ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) {
  if (!*alive_) return;
  if (around_.databases.bug() == Planted::kForgetYoung) before = shards().Now(database);
  Later(Travel(), [this, database, before, done = std::move(done)]() mutable {
    shards().ForgetOperations(database, before, under_way_.Oldest(), [&](Result<std::uint64_t> forgotten) {
      around_.trace([&] { return process_ + " forgets " + std::to_string(*forgotten) + " outcomes"; });
      Later(Travel(), [done = std::move(done), forgotten]() mutable { done(forgotten); });
    });
  });
}

void SimShardStore::ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) {
  if (!*alive_) return;
  if (around_.databases.bug() == Planted::kAnswerForgotten) before = shards().Now(database);
  Later(Travel(), [this, database, before, done = std::move(done)]() mutable {
    shards().ForgetAnswers(database, before, [&](Result<std::uint64_t> forgotten) {
      around_.trace([&] { return process_ + " forgets " + std::to_string(*forgotten) + " answers"; });
      Later(Travel(), [done = std::move(done), forgotten]() mutable { done(forgotten); });
    });
  });
}

}  // namespace muster::sim
