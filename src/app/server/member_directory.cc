#include "app/server/member_directory.h"

#include <array>
#include <span>
#include <string_view>

#include "app/files.h"
#include "app/server/admin_key.h"
#include "base/encoding.h"
#include "cache/near_cache.h"
#include "store/binding.h"

namespace muster {
namespace {

// Clocks are adjusted by as much all the time.
constexpr Duration kClockBehindMax = std::chrono::seconds(1);

// A digest that says nothing about the key it is made with.
std::string InstallationOf(const Keyring& keyring) {
  constexpr std::size_t kBytes = 8;
  const std::string_view parts[] = {"muster.installation"};
  const std::array<std::uint8_t, 32> digest = KeyedHash(keyring.hash_key()).Hash(parts);
  return ToHex(std::span(digest).first(kBytes));
}

}  // namespace

Outcome<std::unique_ptr<MemberDirectory>> MemberDirectory::Open(const ServerOptions& options, Logger& logger) {
  std::unique_ptr<MemberDirectory> directory(new MemberDirectory());
  MUSTER_TRY(directory->OpenParts(options, logger));
  return directory;
}

Outcome<void> MemberDirectory::OpenParts(const ServerOptions& options, Logger& logger) {
  auto catalog = options.MakeCatalog();
  if (!catalog) return Fails(catalog.error());
  if (const auto routes = CheckRouteExpression(options.read_route(), !options.center.caches.empty()); !routes)
    return Fails(routes.error());
  catalog_ = std::make_unique<IdentityCatalog>(std::move(*catalog));
  MUSTER_TRY(MakePrivateDirectory(options.data_directory));
  MUSTER_TRY(CheckMembersAreThere(options));
  MUSTER_ASSIGN(Keyring keyring, OpenKeyring(options, random_));
  keyring_ = std::make_unique<Keyring>(std::move(keyring));
  installation_ = InstallationOf(*keyring_);
  near_cache_ = MakeNearCache(options.near_cache(), floor_);
  if (options.center.is_etcd()) MUSTER_TRY(OpenCenters(options, logger));

  MUSTER_ASSIGN(store_, OpenMemberStore(options, {.keyring = *keyring_,
                                                  .catalog = *catalog_,
                                                  .clock = clock_,
                                                  .random = random_,
                                                  .logger = logger,
                                                  .metrics = metrics_,
                                                  .floor = floor_,
                                                  .cache = *near_cache_,
                                                  .centers = centers_.get()}));

  MakeIds(logger);
  const BindingDependencies binding{.shards = &store().shards(),
                                    .catalog = catalog_.get(),
                                    .ids = ids_.get(),
                                    .clock = &clock_,
                                    .timer = timer_.get()};
  writer_ = MakeBindingWriter(binding);
  merger_ = MakeBindingMerger(binding);

  MUSTER_TRY(OpenTopology(options, logger));
  callers_ = MakeCallerDirectory(*topology_, *keyring_, clock_, random_);
  if (centers_) {
    callers_follow_ = centers_->watcher().Subscribe([this](const auto& document) { callers_->Take(*document); });
  }
  MUSTER_TRY(EnsureAdminKey(*callers_, options.data_directory + "/admin.key"));

  routes_ = std::make_unique<RouteTrees>(
      options.read_route(),
      RouteTrees::Parts{.store = store_.store.get(),
                        .near_cache = near_cache_.get(),
                        .floor = &floor_,
                        .center_caches = centers_ ? centers_->caches() : nullptr,
                        .clock = &clock_,
                        .timer = timer_.get(),
                        .loops = static_cast<std::size_t>(options.http.threads + options.grpc.threads)});
  StartFollowers(options, logger);
  return {};
}

void MemberDirectory::StartFollowers(const ServerOptions& options, Logger& logger) {
  ExposeCacheMetrics(*near_cache_, metrics_);
  ExposeLogMetrics(logger, metrics_);
  if (options.search.enabled) {
    search_ = SearchIndex::Start(options.data_directory, options.search,
                                 {.feed = &store().change_feed(),
                                  .archive = &store().archive(),
                                  .clock = &clock_,
                                  .logger = &logger,
                                  .metrics = &metrics_,
                                  .installation = installation_,
                                  .count_members = [this] { return store().CountMembers(); }});
  }
  changes_ = std::make_unique<ChangeHub>(store().change_feed(), options.changes, logger, metrics_);
  changes_->Start();
  sweeper_ = std::make_unique<Sweeper>(store().shards(), store().shard_upkeep(), options.sweeper, logger, metrics_,
                                       &store().change_keeper());
  sweeper_->Start();
  if (centers_ && centers_->caches() != nullptr) {
    repeater_ =
        std::make_unique<ChangeRepeater>(ChangeRepeater::Dependencies{.feed = &store().change_feed(),
                                                                      .archive = &store().archive(),
                                                                      .listener = &centers_->caches()->listener(),
                                                                      .logger = &logger,
                                                                      .metrics = &metrics_});
    repeater_->Start();
    centers_->StartFreshness(*routes_);
  }
}

Outcome<void> MemberDirectory::OpenCenters(const ServerOptions& options, Logger& logger) {
  // As many digits as tell servers apart, where people read them.
  constexpr std::size_t kNameDigits = 8;
  MUSTER_ASSIGN(const std::string node, EnsureNode(options, random_));
  MUSTER_ASSIGN(
      centers_,
      Centers::Open(options.center, {.keyring = *keyring_,
                                     .clock = clock_,
                                     .random = random_,
                                     .logger = logger,
                                     .metrics = metrics_,
                                     .observer = options.center.center + "-" + node.substr(0, kNameDigits),
                                     .open_timeout = std::chrono::milliseconds(options.mariadb.open_timeout_ms),
                                     .replica_lag_max = std::chrono::milliseconds(options.mariadb.replica_lag_max_ms),
                                     .database = options.mariadb.database,
                                     .allows_unsafe = options.mariadb.allow_unsafe_settings,
                                     .saved_directory = options.data_directory + "/saved"}));
  return {};
}

Outcome<void> MemberDirectory::OpenTopology(const ServerOptions& options, Logger& logger) {
  if (centers_) {
    topology_ = &centers_->topology();
    return {};
  }
  const std::string path = options.topology_path();
  if (!FileExists(path) && store().CountMembers() > 0) {
    logger.Warning(
        "members are there and their callers are not: a new admin is made; make the others again, or stop, restore a "
        "copy of the file, run `muster keys replace-admin` and start",
        {{"file", path}});
  }
  auto topology = OpenTopologyFile(path);
  if (!topology) return Fails(topology.error());
  topology_file_ = std::move(*topology);
  topology_ = topology_file_.get();
  return {};
}

void MemberDirectory::MakeIds(Logger& logger) {
  const std::int64_t newest = store().newest_number();
  const Duration behind = IdAllocator::TimeOf(newest) - clock_.Now();
  if (behind > kClockBehindMax) {
    logger.Warning("the clock is behind the data: new ids go on from the newest one, not from the time",
                   {{"behind_s", std::chrono::duration_cast<std::chrono::seconds>(behind).count()}});
  }
  ids_ = std::make_unique<IdAllocator>(clock_, store().node(), static_cast<std::uint16_t>(random_.Below(4096)), newest);
}

MemberDirectory::~MemberDirectory() {
  repeater_.reset();
  if (sweeper_) sweeper_->Stop();
  sweeper_.reset();
  changes_.reset();
  if (search_) search_->Stop();
  search_.reset();
  routes_.reset();
  merger_.reset();
  writer_.reset();
  timer_.reset();  // its thread may just have handed something to the store
  if (store_.store) store().Close();
  store_.store.reset();
  callers_follow_.reset();
  centers_.reset();
}

}  // namespace muster
