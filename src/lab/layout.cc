#include "lab/layout.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/check.h"
#include "base/options.h"

namespace muster::lab {
namespace {

constexpr std::array<std::string_view, 3> kCenterNames = {"A", "B", "W"};
constexpr std::array<std::string_view, 4> kKindNames = {"etcd", "mariadb", "redis", "muster"};
constexpr std::string_view kCenterPrefix = "center:";
constexpr int kServersOfCenter = 2;  // of muster, and of each group's databases
constexpr int kPortsOfEtcd = 4, kPortsOfRedis = 2, kPortsOfMuster = 3, kPortsOfDatabase = 2;

std::string LowerNameOf(Center center) {
  return {static_cast<char>(std::tolower(static_cast<unsigned char>(NameOf(center)[0])))};
}

}  // namespace

std::string_view NameOf(Center center) { return kCenterNames[static_cast<std::size_t>(center)]; }
std::string_view NameOf(Kind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

Result<Center> ParseCenter(std::string_view name) {
  for (const Center center : kCenters) {
    if (name == NameOf(center) || name == LowerNameOf(center)) return center;
  }
  return Fail(Reason::kInvalidArgument, "'" + std::string(name) + "' is no center: there are A, B and the witness W");
}

std::uint16_t Layout::PortsOf(int groups) {
  return static_cast<std::uint16_t>(3 * kPortsOfEtcd + 2 * kPortsOfRedis + 2 * kServersOfCenter * kPortsOfMuster +
                                    groups * 2 * kServersOfCenter * kPortsOfDatabase);
}

Layout::Layout(std::string directory, int groups, std::uint16_t first_port)
    : directory_(std::move(directory)), groups_(groups), first_port_(first_port) {
  MUSTER_CHECK(groups >= 1 && groups <= kLabGroupsMax);
  std::uint16_t next = first_port;
  int number = 0;
  for (const Center center : kCenters) {
    components_.push_back({.name = "etcd-" + LowerNameOf(center),
                           .kind = Kind::kEtcd,
                           .center = center,
                           .number = ++number,
                           .port = next++,
                           .remote_port = next++,
                           .peer_port = next++,
                           .remote_peer_port = next++});
  }
  number = 0;
  for (int group = 1; group <= groups; ++group) {
    const std::string of_group = group == 1 ? "" : std::to_string(group) + "-";
    for (const Center center : {Center::kA, Center::kB}) {
      for (int i = 1; i <= kServersOfCenter; ++i) {
        components_.push_back({.name = "mariadb-" + of_group + LowerNameOf(center) + std::to_string(i),
                               .kind = Kind::kMariadb,
                               .center = center,
                               .number = ++number,
                               .group = group,
                               .port = next++,
                               .remote_port = next++});
      }
    }
  }
  number = 0;
  for (const Center center : {Center::kA, Center::kB}) {
    components_.push_back({.name = "redis-" + LowerNameOf(center),
                           .kind = Kind::kRedis,
                           .center = center,
                           .number = ++number,
                           .port = next++,
                           .remote_port = next++});
  }
  number = 0;
  for (const Center center : {Center::kA, Center::kB}) {
    for (int i = 1; i <= kServersOfCenter; ++i) {
      components_.push_back({.name = "muster-" + LowerNameOf(center) + std::to_string(i),
                             .kind = Kind::kMuster,
                             .center = center,
                             .number = ++number,
                             .port = next++,
                             .grpc_port = next++,
                             .admin_port = next++});
    }
  }
  MUSTER_CHECK(next == first_port + PortsOf(groups));
}

const Component* Layout::Find(std::string_view name) const {
  const auto found = std::ranges::find(components_, name, &Component::name);
  return found == components_.end() ? nullptr : &*found;
}

Result<std::vector<const Component*>> Layout::Resolve(std::string_view target) const {
  std::vector<const Component*> chosen;
  if (target.starts_with(kCenterPrefix)) {
    MUSTER_ASSIGN(const Center center, ParseCenter(target.substr(kCenterPrefix.size())));
    for (const Component& component : components_) {
      if (component.center == center) chosen.push_back(&component);
    }
    return chosen;
  }
  if (const Component* const one = Find(target)) return std::vector{one};
  std::vector<std::string> names;
  names.reserve(components_.size());
  for (const Component& component : components_) names.push_back(component.name);
  const std::string nearest = NearestWord(target, names);
  return Fail(Reason::kNotFound,
              "the lab has no '" + std::string(target) + "'" +
                  (nearest.empty() ? "." : "; did you mean '" + nearest + "'?") +
                  " `muster lab status` lists its components; center:A, center:B and center:W are all of one place");
}

std::vector<const Component*> Layout::All(Kind kind) const {
  std::vector<const Component*> all;
  for (const Component& component : components_) {
    if (component.kind == kind) all.push_back(&component);
  }
  return all;
}

}  // namespace muster::lab
