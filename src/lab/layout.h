#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::lab {

// The two centers, and the witness, which has a voter of etcd and nothing else.
enum class Center : std::uint8_t { kA, kB, kWitness };
inline constexpr std::array<Center, 3> kCenters = {Center::kA, Center::kB, Center::kWitness};
std::string_view NameOf(Center center);             // "A", "B", "W"
Result<Center> ParseCenter(std::string_view name);  // in either case; INVALID_ARGUMENT

enum class Kind : std::uint8_t { kEtcd, kMariadb, kRedis, kMuster };
std::string_view NameOf(Kind kind);

// One server of the lab. Ports are of 127.0.0.1.
struct Component {
  std::string name = {};  // "mariadb-a1"
  Kind kind = Kind::kEtcd;
  Center center = Center::kA;
  int number = 0;                      // among its kind, from 1; a database's server_id
  int group = 0;                       // of a database, from 1
  std::uint16_t port = 0;              // for clients in its own center
  std::uint16_t remote_port = 0;       // the proxy's, for all others; 0: nobody elsewhere calls it
  std::uint16_t peer_port = 0;         // of etcd: where it listens to other voters,
  std::uint16_t remote_peer_port = 0;  // and where those find it, through the proxy
  std::uint16_t grpc_port = 0;         // of muster
  std::uint16_t admin_port = 0;
};

inline constexpr int kLabGroupsMax = 8;

// What a lab consists of, and where: a function of its directory, the number of groups and the first of its ports.
class Layout {
 public:
  Layout(std::string directory, int groups, std::uint16_t first_port);
  // How many ports, one after the other, such a lab takes.
  static std::uint16_t PortsOf(int groups);

  const std::vector<Component>& components() const { return components_; }
  const Component* Find(std::string_view name) const;
  // Of a component's name or "center:A". NOT_FOUND names the nearest that there is.
  Result<std::vector<const Component*>> Resolve(std::string_view target) const;
  std::vector<const Component*> All(Kind kind) const;

  int groups() const { return groups_; }
  std::uint16_t first_port() const { return first_port_; }
  const std::string& directory() const { return directory_; }
  // Of a component; its log is `log` in it.
  std::string DirectoryOf(const Component& component) const { return directory_ + "/" + component.name; }
  std::string LogOf(const Component& component) const { return DirectoryOf(component) + "/log"; }
  std::string SecretOf(std::string_view name) const { return directory_ + "/secrets/" + std::string(name); }
  std::string key_file() const { return directory_ + "/admin.key"; }

  static std::string Address(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }
  // Where whoever is in `from` finds it.
  static std::string AddressFrom(Center from, const Component& component) {
    return Address(from == component.center ? component.port : component.remote_port);
  }
  // "g1"
  static std::string GroupName(int group) { return "g" + std::to_string(group); }

 private:
  const std::string directory_;
  const int groups_;
  const std::uint16_t first_port_;
  std::vector<Component> components_;
};

}  // namespace muster::lab
