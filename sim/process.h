#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "base/timer.h"
#include "checker.h"
#include "domain/id_allocator.h"
#include "domain/identity_catalog.h"
#include "domain/ports/member_merger.h"
#include "domain/ports/member_writer.h"
#include "plan.h"
#include "sim_shard_store.h"

namespace muster::sim {

// What the whole simulation shares.
struct Stage {
  SimShardStore::Surroundings around;
  Checker& checker;
  Population& population;
  Earlier& earlier;
  const IdentityCatalog& catalog;
  std::uint64_t& requests;      // numbers requests
  std::uint32_t& clients_busy;  // clients that have calls to make
};

class Process;

// Calls one process, one call at a time, and tells the checker. A call that was cut off, or whose outcome is unknown,
// is sometimes made again; one with a key also by others, at any time.
class Client {
 public:
  Client(Stage& stage, Process& process, std::uint32_t calls) : stage_(stage), process_(process), calls_left_(calls) {}

  // The process lives: goes on after a moment.
  void GoOn();
  // The process died.
  void CutOff();

 private:
  Plan Next();
  void Begin();
  Task<bool> Make(Plan plan);
  Task<Result<Member>> Write(const Plan& plan, bool& replayed);
  Deadline DrawDeadline(const Call& call);
  void Done(const Plan& plan, bool is_unknown);

  Stage& stage_;
  Process& process_;
  std::uint32_t calls_left_;
  std::optional<Plan> again_;  // to be made again
  std::optional<Plan> under_way_;
  std::optional<Task<bool>> task_;
};

// A server process: lives until the weather ends it, and comes back. Each life has a writer, an allocator and a sweeper
// of its own, and knows nothing of the one before.
class Process {
 public:
  Process(Stage& stage, std::uint8_t number, std::uint32_t clients, std::uint32_t calls);

  void Start();

  SimShardStore& shards() { return *shards_; }
  MemberWriter& writer() { return *writer_; }
  MemberMerger& merger() { return *merger_; }
  IdAllocator& ids() { return *ids_; }
  const Clock& clock() const { return clock_; }
  const std::string& name() const { return name_; }
  // Calls `work` after `delay` if the process still lives the same life.
  void InThisLife(Duration delay, Scheduler::Work work);

 private:
  // What waits does not outlive the life it was begun in.
  class LifeTimer final : public Timer {
   public:
    explicit LifeTimer(Process& process) : process_(process) {}
    void After(Duration delay, Work work) override { process_.InThisLife(delay, std::move(work)); }

   private:
    Process& process_;
  };

  void Die();
  void SweepLater();
  Task<bool> Sweep();

  Stage& stage_;
  const std::uint8_t number_;
  const std::string name_;
  const SimulatedClock clock_;
  LifeTimer timer_{*this};
  std::uint64_t life_ = 0;
  std::unique_ptr<IdAllocator> ids_;
  std::unique_ptr<SimShardStore> shards_;
  std::unique_ptr<MemberWriter> writer_;
  std::unique_ptr<MemberMerger> merger_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::optional<Task<bool>> sweep_;
  std::uint32_t sweep_database_ = 0;
  IdentityKey sweep_after_{};
};

}  // namespace muster::sim
