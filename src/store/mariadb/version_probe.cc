#include "store/mariadb/version_probe.h"

#include <utility>

#include "store/columns.h"

namespace muster::mariadb {

Result<std::optional<Version>> VersionProbe::Ask(const Endpoint& endpoint, MemberId id, Duration at_most) {
  std::unique_ptr<Connection>& connection = connections_[endpoint.Name()];
  if (connection && connection->is_lost()) connection.reset();
  if (!connection) {
    MUSTER_ASSIGN(connection, Connection::Open(endpoint, account_, database_, {.call = at_most}, Use::kRead));
  }
  connection->SetCallTimeout(at_most);
  MUSTER_ASSIGN(const auto rows,
                connection->Query("SELECT version FROM member WHERE shard = " + std::to_string(ShardOf(id).value()) +
                                  " AND id = " + std::to_string(id.value())));
  if (rows.empty()) return std::optional<Version>();
  return std::optional(Version(NumberIn(rows[0][0])));
}

}  // namespace muster::mariadb
