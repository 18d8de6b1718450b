#include "process.h"

#include <utility>

#include "store/binding.h"
#include "store/sweeper.h"

namespace muster::sim {
namespace {

constexpr std::int64_t kProcessClockErrorMsMax = 20'000;
constexpr std::size_t kSweepBatch = 2;

}  // namespace

Process::Process(Stage& stage, std::uint8_t number, std::uint32_t clients, std::uint32_t calls)
    : stage_(stage),
      number_(number),
      name_("process " + std::to_string(number)),
      clock_(stage.around.scheduler, std::chrono::milliseconds(stage.around.random.Below(kProcessClockErrorMsMax))) {
  for (std::uint32_t client = 0; client < clients; ++client) {
    clients_.push_back(std::make_unique<Client>(stage, *this, calls));
  }
}

void Process::Start() {
  ++life_;
  const auto first_sequence = static_cast<std::uint16_t>(stage_.around.random.Below(4096));
  ids_ = std::make_unique<IdAllocator>(clock_, number_, first_sequence);
  shards_ = std::make_unique<SimShardStore>(stage_.around, name_, [this] { Die(); });
  const BindingDependencies binding{
      .shards = shards_.get(), .catalog = &stage_.catalog, .ids = ids_.get(), .clock = &clock_, .timer = &timer_};
  writer_ = MakeBindingWriter(binding);
  merger_ = MakeBindingMerger(binding);
  sweep_after_ = {};
  for (const auto& client : clients_) client->GoOn();
  SweepLater();
}

// The frames of everything the process was doing are destroyed, wherever they were.
void Process::Die() {
  sweep_.reset();
  for (const auto& client : clients_) client->CutOff();
  merger_.reset();
  writer_.reset();
  shards_.reset();
  ids_.reset();
  const auto downtime = std::chrono::milliseconds(10 + stage_.around.random.Below(3'000));
  stage_.around.scheduler.After(downtime, [this] { Start(); });
}

void Process::InThisLife(Duration delay, Scheduler::Work work) {
  stage_.around.scheduler.After(delay, [this, life = life_, work = std::move(work)]() mutable {
    if (life == life_ && shards_ != nullptr) work();
  });
}

void Process::SweepLater() {
  static constexpr std::int64_t kPausesMs[] = {20, 500, 10'000, 1'200'000};
  const auto pause = std::chrono::milliseconds(kPausesMs[stage_.around.random.Below(4)]);
  InThisLife(pause, [this] {
    if (stage_.clients_busy == 0) return;
    sweep_.emplace(Sweep());
    sweep_->Start();
  });
}

// One step, as the background sweeper makes it.
Task<bool> Process::Sweep() {
  const Result<SweepProgress> progress =
      co_await SweepLookups(*shards_, *shards_, sweep_database_, sweep_after_, kSweepBatch);
  if (progress && progress->freed > 0) {
    stage_.around.trace([&] { return name_ + " sweeps " + std::to_string(progress->freed) + " lookup rows"; });
  }
  const Result<MoveProgress> moves = co_await SweepMoves(*shards_, *shards_, sweep_database_, MemberId(0), kSweepBatch);
  if (moves && moves->settled > 0) {
    stage_.around.trace([&] { return name_ + " settles " + std::to_string(moves->settled) + " moves"; });
  }
  sweep_after_ = progress ? progress->next : IdentityKey{};
  if (sweep_after_ == IdentityKey{}) {
    (void)co_await ForgetOutcomes(*shards_, shards_->Now(sweep_database_), sweep_database_);
    (void)co_await ForgetAnswers(*shards_, shards_->Now(sweep_database_), sweep_database_, kAnswerRetention);
    sweep_database_ = (sweep_database_ + 1) % stage_.around.databases.shards().database_count();
  }
  SweepLater();
  co_return true;
}

}  // namespace muster::sim
