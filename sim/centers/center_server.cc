#include "centers/center_server.h"

#include <algorithm>
#include <utility>

#include "domain/identity_catalog.h"
#include "store/binding.h"
#include "topology/failover/loss_detector.h"

namespace muster::sim {
namespace {

using std::chrono::milliseconds;

// Shorter than in a server, so that a history sees several bypasses end; the waits that depend on leases stay.
constexpr Duration kReplicaLagMax = milliseconds(1500);
constexpr Duration kSettle = milliseconds(600);
constexpr Duration kProbePeriod = milliseconds(500);

failover::FailoverOptions ControllerTimes() {
  failover::FailoverOptions options;
  options.hold_back = Duration(0);
  return options;
}

// How often a server looks at something: as often as one does (failover/failover_runner.h) when writes are to be back
// in time, else less often, which is as good for all other ends and costs less.
struct LookPeriods {
  Duration topology_low, topology_high, look_low, look_high, turn_low, turn_high;
};
LookPeriods PeriodsOf(const CenterWorld& world) {
  if (world.is_rough)
    return {milliseconds(150), milliseconds(250), milliseconds(150),
            milliseconds(210), milliseconds(35),  milliseconds(65)};
  return {milliseconds(90), milliseconds(110), milliseconds(90), milliseconds(110), milliseconds(20), milliseconds(50)};
}

// Bound for the life of the program: the catalog never changes.
const IdentityCatalog& Catalog() {
  static const IdentityCatalog catalog = IdentityCatalog::Default();
  return catalog;
}

}  // namespace

// The bypass of the topology: it is stored when the message has arrived there. Planted: readers are not waited for.
class CenterServer::TwistedBypass final : public BypassSource {
 public:
  explicit TwistedBypass(CenterServer& server) : server_(server) {}

  void Bypass(const std::string& center, Epoch failed, Deadline deadline, Reply reply) override {
    server_.bypass_->Bypass(center, failed, deadline, std::move(reply));
    server_.life_.After(server_.world_.Travel(), [this] { server_.bypass_->Step(); });
  }
  void AwaitReaders(const std::string& center, Epoch epoch, Deadline deadline, Reply reply) override {
    if (server_.world_.IsPlanted(PlantedInCenters::kBypassUnawaited)) return reply({});
    server_.bypass_->AwaitReaders(center, epoch, deadline, std::move(reply));
  }

 private:
  CenterServer& server_;
};

CenterServer::CenterServer(CenterStage& stage, std::string name, Place place)
    : stage_(stage),
      world_(stage.world),
      name_(std::move(name)),
      place_(place),
      life_(stage.world),
      store_(stage.world, stage.topology, life_, place),
      lease_(std::string(NameOf(place)), LeaseTerm::kTimed),
      controller_(ControllerTimes()),
      places_(stage.world, place, sight_, lag_) {
  watcher_ = std::make_unique<TopologyWatcher>(
      TopologyWatcher::Dependencies{.store = &store_,
                                    .signal = std::make_unique<LookingSignal>([this] { (void)StepTopology(); }),
                                    .clock = &world_.clock,
                                    .logger = &NullLogger(),
                                    .lease = &lease_});
  sight_ = {.self = name_, .center = std::string(NameOf(place)), .awake_since = world_.now()};
  for (const std::string& database : stage_.group.names()) sight_.databases[database];
  turned_at_ = world_.now();
  sequence_ = static_cast<std::int64_t>(world_.random.Below(1'000'000)) + 1;
}

CenterServer::~CenterServer() {
  route_.reset();
  writer_.reset();
  invalidator_.reset();
  bypass_.reset();
  states_.reset();
}

// Again and again, while it lives; the first time soon.
void CenterServer::Every(Duration low, Duration high, std::function<void()> work) {
  const Duration pause = low + Duration(world_.random.Below(static_cast<std::uint64_t>((high - low).count()) + 1));
  life_.After(pause, [this, low, high, work = std::move(work)] {
    if (life_.is_dead() || world_.is_over) return;
    work();
    Every(low, high, work);
  });
}

void CenterServer::Start() {
  const LookPeriods periods = PeriodsOf(world_);
  Every(periods.topology_low, periods.topology_high, [this] { ReadTopology(); });
  life_.After(world_.Travel(), [this] { ReadTopology(); });
}

void CenterServer::HearOfTopology() {
  life_.After(world_.Travel(), [this] {
    if (!life_.is_dead()) ReadTopology();
  });
}

// With the first topology.
void CenterServer::Open() {
  const LookPeriods periods = PeriodsOf(world_);
  Every(periods.look_low, periods.look_high, [this] { ExchangeReports(); });
  Every(periods.turn_low, periods.turn_high, [this] { Turn(); });
  for (const std::string& database : stage_.group.names()) {
    Every(periods.look_low, periods.look_high, [this, database] { LookAt(database); });
  }
  OpenCaches();
  OpenReadsAndWrites();
  Every(milliseconds(200), milliseconds(300), [this] { RepeatChanges(); });
}

void CenterServer::OpenCaches() {
  states_ = std::make_unique<CacheStates>(*watcher_, world_.clock, std::vector<std::string>{"east", "west"});
  bypass_ = std::make_unique<TopologyBypass>(TopologyBypass::Dependencies{.store = &store_,
                                                                          .watcher = watcher_.get(),
                                                                          .states = states_.get(),
                                                                          .clock = &world_.clock,
                                                                          .timer = &life_,
                                                                          .logger = &NullLogger()});
  twisted_bypass_ = std::make_unique<TwistedBypass>(*this);
  std::vector<CenterInvalidator::Center> told;
  std::vector<CacheKeeper::Center> kept;
  for (RedisTwin* const redis : stage_.caches) {
    const std::string center(NameOf(redis->place()));
    RedisClient& cache = *writing_caches_.emplace_back(
        std::make_unique<RedisClient>(world_, *redis, life_, place_, states_->Of(center)));
    kept.push_back(KeptCenter(cache, center));
    if (redis->place() != place_ && world_.IsPlanted(PlantedInCenters::kForgetCenter)) continue;
    told.push_back({.name = center, .cache = &cache, .state = states_->Of(center), .is_reachable = [&cache] {
                      return cache.IsReachable();
                    }});
  }
  reading_cache_ = std::make_unique<RedisClient>(world_, *stage_.caches[CenterWorld::Index(place_)], life_, place_,
                                                 states_->Of(std::string(NameOf(place_))));
  invalidator_ = std::make_unique<CenterInvalidator>(std::move(told),
                                                     CenterInvalidator::Dependencies{.loop = &life_,
                                                                                     .clock = &world_.clock,
                                                                                     .timer = &life_,
                                                                                     .bypass = twisted_bypass_.get(),
                                                                                     .logger = &NullLogger(),
                                                                                     .metrics = &metrics_},
                                                     CenterInvalidator::Options{});
  // Planted: as much less as the leases that are waited for take.
  const bool at_once = world_.IsPlanted(PlantedInCenters::kTrustAtOnce);
  const Duration lag_max = at_once ? -WaitAfterMove(*watcher_->snapshot()) : kReplicaLagMax;
  keeper_ = std::make_unique<CacheKeeper>(std::move(kept),
                                          CacheKeeper::Options{.center = std::string(NameOf(place_)),
                                                               .settle = kSettle,
                                                               .probe_period = kProbePeriod,
                                                               .replica_lag_max = lag_max},
                                          CacheKeeper::Dependencies{.store = &store_,
                                                                    .watcher = watcher_.get(),
                                                                    .bypass = twisted_bypass_.get(),
                                                                    .clock = &world_.clock,
                                                                    .logger = &NullLogger()});
  Every(milliseconds(200), milliseconds(300), [this] { keeper_->Step(); });
}

CacheKeeper::Center CenterServer::KeptCenter(RedisClient& cache, const std::string& center) {
  return {.name = center,
          .is_reachable = [&cache](Deadline) { return cache.IsReachable(); },
          .begin_epoch = [&cache](Epoch epoch, Deadline) { return cache.BeginEpoch(epoch); },
          .probe = [&cache](Deadline) { return cache.Probe(); }};
}

void CenterServer::OpenReadsAndWrites() {
  route_ = std::make_unique<CenterRoute>(
      "redis", *reading_cache_, world_.clock,
      std::make_unique<CopyReader>(world_, stage_.group, life_, places_, place_, kReplicaLagMax),
      RoutePauses{.loop = &life_, .timer = &life_});
  shards_ = std::make_unique<GroupStore>(GroupStore::Around{.world = world_,
                                                            .topology = stage_.topology,
                                                            .group = stage_.group,
                                                            .checker = stage_.checker,
                                                            .life = life_,
                                                            .places = places_,
                                                            .server = name_,
                                                            .place = place_,
                                                            .lease = [this] { return lease_.current(); },
                                                            .look = [this] { invalidator_->Look(); },
                                                            .listener = invalidator_.get()});
  ids_ = std::make_unique<IdAllocator>(world_.clock, static_cast<std::uint8_t>(world_.random.Below(250)),
                                       static_cast<std::uint16_t>(world_.random.Below(2048)));
  writer_ = MakeBindingWriter(
      {.shards = shards_.get(), .catalog = &Catalog(), .ids = ids_.get(), .clock = &world_.clock, .timer = &life_});
}

Result<void> CenterServer::StepTopology() {
  const Instant sent = world_.now();
  MUSTER_ASSIGN(const auto document, store_.Read());
  TakeTopology(document, sent);
  return {};
}

void CenterServer::TakeTopology(const std::shared_ptr<const TopologyDocument>& document, Instant sent) {
  const bool is_first = watcher_->snapshot() == nullptr;
  const bool from_reply = world_.IsPlanted(PlantedInCenters::kLeaseFromReply);
  if (!watcher_->Take(document, from_reply ? world_.now() : sent)) return;
  if (!sight_.document || sight_.document->revision <= document->revision) {
    sight_.document = document;
    sight_.document_at = std::max(sight_.document_at, sent);
  }
  if (is_first) Open();
}

void CenterServer::ReadTopology() {
  if (is_reading_topology_) return;
  const Instant sent = world_.now();
  is_reading_topology_ = true;
  world_.scheduler.After(world_.Travel(), [this, sent] {
    auto read = store_.Read();
    const Duration back = read ? world_.Travel() : milliseconds(200);
    life_.After(back, [this, sent, read = std::move(read)] {
      is_reading_topology_ = false;
      if (read && !life_.is_dead()) TakeTopology(*read, sent);
    });
  });
}

void CenterServer::ExchangeReports() {
  const Instant sent = world_.now();
  sight_.now = sent;
  const failover::ObserverReport own{.observer = name_,
                                     .center = std::string(NameOf(place_)),
                                     .sequence = ++sequence_,
                                     .controls = true,
                                     .reaches = failover::ReachedDatabases(sight_, controller_.options())};
  if (!stage_.topology.Answers(place_)) {
    sight_.board_since = Instant::min();
    return;
  }
  world_.scheduler.After(world_.Travel(), [this, sent, own] {
    if (!life_.Acts() || !stage_.topology.Answers(place_)) return;
    stage_.board[own.observer] = own;
    std::vector<failover::ObserverReport> reports;
    for (const auto& [name, report] : stage_.board) reports.push_back(report);
    life_.After(world_.Travel(), [this, sent, reports] { failover::TakeReports(sight_, reports, sent); });
  });
}

void CenterServer::LookAt(const std::string& database) {
  if (sight_.databases[database].is_busy) return;
  world_.scheduler.After(world_.Travel(), [this, database, sent = world_.now()] {
    if (!life_.Acts() || !stage_.group.Reaches(place_, database)) return;
    life_.After(world_.Travel(), [this, database, sent, state = *stage_.group.databases().Look(database)] {
      failover::DatabaseSight& sight = sight_.databases[database];
      if (sent <= sight.looked_at) return;
      sight.state = state;
      sight.looked_at = sent;
    });
  });
}

}  // namespace muster::sim
