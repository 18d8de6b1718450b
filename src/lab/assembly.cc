#include "lab/assembly.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "lab/database_template.h"
#include "lab/full_disk_image.h"
#include "lab/lab_directory.h"

namespace muster::lab {
namespace {

constexpr std::chrono::seconds kComponentPatience{60};  // a machine that has much else to do
constexpr std::chrono::milliseconds kAssemblyLookAgain{50};
constexpr std::size_t kTailBytes = 4096;

std::string LastLineOf(const std::string& path) {
  const auto text = ReadLabTail(path, kTailBytes);
  if (!text || text->empty()) return {};
  const std::size_t end = text->find_last_not_of('\n');
  const std::size_t begin = text->rfind('\n', end);
  return text->substr(begin == std::string::npos ? 0 : begin + 1, 300);
}

}  // namespace

Result<void> Assembly::Run(bool engines_only) {
  const Layout& layout = *parts_.layout;
  std::error_code ignored;
  for (const Component& component : layout.components()) {
    std::filesystem::remove(FullDiskFlagOf(layout, component), ignored);  // of a lab before this one
  }
  MUSTER_TRY(WriteLabFile(FullDiskLibraryOf(layout), std::string(FullDiskImage())));
  parts_.tell("starting etcd and Redis");
  MUSTER_TRY(parts_.fleet->Start(layout.All(Kind::kEtcd), false));
  MUSTER_TRY(parts_.fleet->Start(layout.All(Kind::kRedis), false));
  MUSTER_TRY(StartDatabases());
  MUSTER_TRY(Await(layout.All(Kind::kRedis)));
  MUSTER_TRY(Await(layout.All(Kind::kMariadb)));
  if (!is_topology_made_) {
    parts_.tell("setting up replication and the topology");
    MUSTER_TRY(parts_.topology->Make(Deadline::After(*parts_.clock, kComponentPatience)));
  } else if (engines_only) {
    parts_.tell("setting up replication");
    for (int group = 1; group <= layout.groups(); ++group) MUSTER_TRY(parts_.topology->Settle(group));
  }
  if (engines_only) return {};
  return StartServers();
}

Result<void> Assembly::StartDatabases() {
  const Layout& layout = *parts_.layout;
  const auto databases = layout.All(Kind::kMariadb);
  const bool is_first =
      std::ranges::any_of(databases, [&](const Component* database) { return !HasDatabaseData(layout, *database); });
  if (is_first) {
    parts_.tell("making data directories of MariaDB");
    MUSTER_TRY(EnsureDatabaseTemplate(layout, *parts_.programs, *parts_.keeper));
    for (const Component* const database : databases) {
      MUSTER_TRY(PrepareComponent(layout, *database));
      MUSTER_TRY(EnsureDatabaseData(layout, *database));
    }
  }
  // Later ones start as the topology says, so it has to be there.
  if (!is_first) parts_.tell("waiting for etcd");
  MUSTER_TRY(AwaitTopology());
  parts_.tell("starting MariaDB");
  return parts_.fleet->Start(databases, is_topology_made_);
}

Result<void> Assembly::AwaitTopology() {
  MUSTER_TRY(AwaitEach(parts_.layout->All(Kind::kEtcd),
                       [](const ComponentStatus& status) { return !status.answer.role.starts_with("without"); }));
  const Deadline deadline = Deadline::After(*parts_.clock, kComponentPatience);
  for (;;) {
    const Result<bool> is_made = parts_.topology->IsMade();
    if (is_made) {
      is_topology_made_ = *is_made;
      return {};
    }
    if (*parts_.is_over || deadline.Passed(*parts_.clock)) return Fail(is_made.error());
    std::this_thread::sleep_for(kAssemblyLookAgain);
  }
}

Result<void> Assembly::StartServers() {
  const Layout& layout = *parts_.layout;
  const auto servers = layout.All(Kind::kMuster);
  const Component* const first = servers.front();
  parts_.tell("starting the first muster server");
  MUSTER_TRY(parts_.fleet->Start({first}, true));
  MUSTER_TRY(Await({first}));
  // Later starts make none: the caller is in the topology already.
  if (const auto key = ReadLabFile(layout.DirectoryOf(*first) + "/data/admin.key"); key) {
    MUSTER_TRY(WriteLabFile(layout.key_file(), *key));
  }
  parts_.tell("starting the other muster servers");
  MUSTER_TRY(parts_.fleet->Start({servers.begin() + 1, servers.end()}, true));
  MUSTER_TRY(Await(servers));
  parts_.tell("waiting until the muster servers read and write");
  const Result<void> ready =
      AwaitEach(servers, [](const ComponentStatus& status) { return status.answer.role == kReadyRole; });
  if (ready || ready.error().reason != Reason::kDeadlineExceeded) return ready;
  // What there is to find out about that can be asked of the servers, which live.
  parts_.tell("not all muster servers read and write; `muster lab status` says which");
  return {};
}

Result<void> Assembly::Await(const Fleet::Chosen& chosen) {
  return AwaitEach(chosen, [](const ComponentStatus&) { return true; });
}

Result<void> Assembly::AwaitEach(const Fleet::Chosen& chosen,
                                 const std::function<bool(const ComponentStatus&)>& is_well) {
  const Deadline deadline = Deadline::After(*parts_.clock, kComponentPatience);
  for (;;) {
    std::string missing;
    for (const ComponentStatus& status : parts_.fleet->Look()) {
      if (std::ranges::find(chosen, status.component) == chosen.end()) continue;
      const std::string log = parts_.layout->LogOf(*status.component);
      if (status.process.pid == 0) {
        return Fail(Reason::kInternal, status.component->name + " ended (" + status.process.end + "); see " + log +
                                           ", whose last line is: " + LastLineOf(log));
      }
      if (status.answer.is_up && is_well(status)) continue;
      if (!missing.empty()) missing += ", ";
      missing += status.component->name;
      missing += " (";
      missing += log;
      missing += ")";
    }
    if (missing.empty()) return {};
    if (*parts_.is_over) return Fail(Reason::kStateConflict, "the lab was asked to end");
    if (deadline.Passed(*parts_.clock)) {
      return Fail(Reason::kDeadlineExceeded, "these do not answer within a minute; see their logs: " + missing);
    }
    std::this_thread::sleep_for(kAssemblyLookAgain);
  }
}

}  // namespace muster::lab
