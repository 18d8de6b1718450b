#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"
#include "store/mariadb/connection.h"

namespace muster::mariadb {

// Asks databases which version of a member they have, each over a connection of its own that is made when it is needed.
// Not thread-safe.
class VersionProbe {
 public:
  VersionProbe(Account account, std::string database) : account_(std::move(account)), database_(std::move(database)) {}

  // None: it has no such member. Errors as of Connection; OVERLOADED at the deadline.
  Result<std::optional<Version>> Ask(const Endpoint& endpoint, MemberId id, Duration at_most);

 private:
  const Account account_;
  const std::string database_;
  std::map<std::string, std::unique_ptr<Connection>> connections_;  // by Endpoint::Name
};

}  // namespace muster::mariadb
