#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/connection.h"

namespace muster {

// One setting of a server that does not keep what muster promises, or may surprise its operator.
struct SettingFinding {
  std::string variable;
  std::string value;   // that it has
  std::string needed;  // in words
  std::string why;
  std::string fix;         // what to write into the configuration, or to run
  bool is_unsafe = false;  // acknowledged writes may be lost, or accepted where they must not be; else advice

  // In one line.
  std::string Describe() const;
};

namespace mariadb {

// What a check looks at.
struct ServerSettings {
  std::map<std::string, std::string> variables;  // global ones, by their names in lower case
  std::string read_only_origin;     // where read_only has its value from: "COMPILE-TIME", "CONFIG", "SQL", …
  std::vector<std::string> grants;  // of the account, as SHOW GRANTS tells them
  Duration clock_offset{0};         // of the server's clock to this process's
};
// Needs no privilege beyond those that the store needs.
Result<ServerSettings> ReadServerSettings(Connection& connection, const Clock& clock);

// Whether a group has replicas, one of which takes over when the primary is lost.
enum class Replication : std::uint8_t {
  kNone,
  kByHand,
  kGoverned,  // the failover controller sets what commits wait for, as the topology says: that is not looked at
};

// All that is unsafe or advised against, unsafe ones first. What a server does not have (MySQL lacks some) is not
// found.
std::vector<SettingFinding> CheckServerSettings(const ServerSettings& settings, Replication replication);

}  // namespace mariadb
}  // namespace muster
