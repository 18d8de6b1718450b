#include "app/server/member_directory.h"

#include <array>
#include <span>
#include <string_view>

#include "app/files.h"
#include "app/server/admin_key.h"
#include "base/encoding.h"
#include "cache/near_cache.h"
#include "store/binding.h"
#include "store/data_directory.h"

namespace muster {
namespace {

constexpr std::uint8_t kOnlyNode = 0;
// Clocks are adjusted by as much all the time.
constexpr Duration kClockBehindMax = std::chrono::seconds(1);

// A digest that says nothing about the key it is made with.
std::string InstallationOf(const Keyring& keyring) {
  constexpr std::size_t kBytes = 8;
  const std::string_view parts[] = {"muster.installation"};
  const std::array<std::uint8_t, 32> digest = KeyedHash(keyring.hash_key()).Hash(parts);
  return ToHex(std::span(digest).first(kBytes));
}

Outcome<bool> HasStore(const std::string& directory) {
  if (!FileExists(directory)) return false;
  const Result<std::int64_t> count = CountDataFiles(directory);
  if (!count) return Fails(count.error());
  return *count > 0;
}

std::string TopologyPath(const std::string& directory) { return directory + "/topology.json"; }

// The topology file is made after the data, so it cannot be there alone unless the data was lost.
Outcome<void> CheckDataIsThere(const std::string& directory) {
  const std::string topology = TopologyPath(directory);
  if (!FileExists(topology)) return {};
  MUSTER_ASSIGN(const bool has_store, HasStore(directory));
  if (has_store) return {};
  return Fails(ExitCode::kFailure, "the data files of " + directory +
                                       " (muster-0.db, ...) are gone: put them back, or restore all files from one "
                                       "backup. To begin with no members and the same callers, move " +
                                       topology +
                                       " away, start once, stop, put it back, and run `muster keys replace-admin`");
}

}  // namespace

Outcome<Keyring> OpenKeyring(const ServerOptions& options, Random& random) {
  const std::string path = options.keyring_path();
  if (!FileExists(path)) {
    MUSTER_ASSIGN(const bool has_store, HasStore(options.data_directory));
    if (has_store) {
      return Fails(ExitCode::kFailure, options.data_directory + " holds data but its keyring is gone (" + path +
                                           "); put the copy back that you kept, for without it nothing can be read");
    }
    auto created = Keyring::Create(path, random);
    if (created) return std::move(*created);
    // Another server may have been faster; its lock on the store is what stops this one.
    if (!FileExists(path)) return Fails(created.error());
  }
  auto loaded = Keyring::Load(path);
  if (!loaded) return Fails(loaded.error());
  return std::move(*loaded);
}

Outcome<std::unique_ptr<MemberDirectory>> MemberDirectory::Open(const ServerOptions& options, Logger& logger) {
  std::unique_ptr<MemberDirectory> directory(new MemberDirectory());
  MUSTER_TRY(directory->OpenParts(options, logger));
  return directory;
}

Outcome<void> MemberDirectory::OpenParts(const ServerOptions& options, Logger& logger) {
  auto catalog = options.MakeCatalog();
  if (!catalog) return Fails(catalog.error());
  if (const auto routes = CheckRouteExpression(options.routes_read); !routes) return Fails(routes.error());
  catalog_ = std::make_unique<IdentityCatalog>(std::move(*catalog));
  MUSTER_TRY(MakePrivateDirectory(options.data_directory));
  MUSTER_TRY(CheckDataIsThere(options.data_directory));
  MUSTER_ASSIGN(Keyring keyring, OpenKeyring(options, random_));
  keyring_ = std::make_unique<Keyring>(std::move(keyring));
  installation_ = InstallationOf(*keyring_);
  near_cache_ = MakeNearCache(options.near, floor_);

  auto store = SqliteStore::Open(options.data_directory, options.sqlite,
                                 {.keyring = keyring_.get(),
                                  .clock = &clock_,
                                  .random = &random_,
                                  .logger = &logger,
                                  .metrics = &metrics_,
                                  .floor = &floor_,
                                  .cache = near_cache_.get(),
                                  .catalog = catalog_.get()});
  if (!store) return Fails(store.error());
  store_ = std::move(*store);

  MakeIds(logger);
  const BindingDependencies binding{.shards = &store_->shards(),
                                    .catalog = catalog_.get(),
                                    .ids = ids_.get(),
                                    .clock = &clock_,
                                    .timer = timer_.get()};
  writer_ = MakeBindingWriter(binding);
  merger_ = MakeBindingMerger(binding);

  const std::string topology_path = TopologyPath(options.data_directory);
  if (!FileExists(topology_path) && store_->CountMembers() > 0) {
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
      options.routes_read, RouteTrees::Parts{.store = store_.get(), .near_cache = near_cache_.get(), .floor = &floor_});
  ExposeCacheMetrics(*near_cache_, metrics_);
  ExposeLogMetrics(logger, metrics_);
  if (options.search.enabled) {
    search_ = SearchIndex::Start(options.data_directory, options.search,
                                 {.feed = &store_->change_feed(),
                                  .archive = &store_->archive(),
                                  .clock = &clock_,
                                  .logger = &logger,
                                  .metrics = &metrics_,
                                  .installation = installation_,
                                  .count_members = [this] { return store_->CountMembers(); }});
  }
  changes_ = std::make_unique<ChangeHub>(store_->change_feed(), options.changes, logger, metrics_);
  changes_->Start();
  sweeper_ = std::make_unique<Sweeper>(store_->shards(), store_->shard_upkeep(), options.sweeper, logger, metrics_,
                                       &store_->change_keeper());
  sweeper_->Start();
  return {};
}

void MemberDirectory::MakeIds(Logger& logger) {
  const std::int64_t newest = store_->newest_number();
  const Duration behind = IdAllocator::TimeOf(newest) - clock_.Now();
  if (behind > kClockBehindMax) {
    logger.Warning("the clock is behind the data: new ids go on from the newest one, not from the time",
                   {{"behind_s", std::chrono::duration_cast<std::chrono::seconds>(behind).count()}});
  }
  ids_ = std::make_unique<IdAllocator>(clock_, kOnlyNode, static_cast<std::uint16_t>(random_.Below(4096)), newest);
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
  if (store_) store_->Close();
}

}  // namespace muster
