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
  if (const auto routes = CheckRouteExpression(options.read_route()); !routes) return Fails(routes.error());
  catalog_ = std::make_unique<IdentityCatalog>(std::move(*catalog));
  MUSTER_TRY(MakePrivateDirectory(options.data_directory));
  MUSTER_TRY(CheckMembersAreThere(options));
  MUSTER_ASSIGN(Keyring keyring, OpenKeyring(options, random_));
  keyring_ = std::make_unique<Keyring>(std::move(keyring));
  installation_ = InstallationOf(*keyring_);
  near_cache_ = MakeNearCache(options.near_cache(), floor_);

  MUSTER_ASSIGN(store_, OpenMemberStore(options, {.keyring = *keyring_,
                                                  .catalog = *catalog_,
                                                  .clock = clock_,
                                                  .random = random_,
                                                  .logger = logger,
                                                  .metrics = metrics_,
                                                  .floor = floor_,
                                                  .cache = *near_cache_}));

  MakeIds(logger);
  const BindingDependencies binding{.shards = &store().shards(),
                                    .catalog = catalog_.get(),
                                    .ids = ids_.get(),
                                    .clock = &clock_,
                                    .timer = timer_.get()};
  writer_ = MakeBindingWriter(binding);
  merger_ = MakeBindingMerger(binding);

  const std::string topology_path = options.topology_path();
  if (!FileExists(topology_path) && store().CountMembers() > 0) {
    logger.Warning(
        "members are there and their callers are not: a new admin is made; make the others again, or stop, restore a "
        "copy of the file, run `muster keys replace-admin` and start",
        {{"file", topology_path}});
  }
  auto topology = OpenTopologyFile(topology_path);
  if (!topology) return Fails(topology.error());
  topology_ = std::move(*topology);
  callers_ = MakeCallerDirectory(*topology_, *keyring_, clock_, random_);
  MUSTER_TRY(EnsureAdminKey(*callers_, options.data_directory + "/admin.key"));

  routes_ = std::make_unique<RouteTrees>(
      options.read_route(),
      RouteTrees::Parts{.store = store_.store.get(), .near_cache = near_cache_.get(), .floor = &floor_});
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
}

}  // namespace muster
