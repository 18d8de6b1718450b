#include "store/mariadb/node.h"

#include <optional>
#include <utility>

#include "domain/id_allocator.h"

namespace muster::mariadb {
namespace {

// How long a process waits for the lock of one that has ended and of which the server does not know it yet.
constexpr int kNodePatienceSeconds = 1;

// Of the directory that has one, or the lowest that is free.
Result<std::optional<std::int64_t>> FindNode(Connection& connection, const std::string& owner) {
  MUSTER_ASSIGN(const auto own, connection.Query("SELECT node FROM node WHERE owner = " + connection.Quote(owner)));
  if (!own.empty()) return std::optional(NumberIn(own[0][0]));
  // One at a time.
  MUSTER_TRY(connection.Query("SELECT value FROM meta WHERE name = 'probe' FOR UPDATE"));
  MUSTER_ASSIGN(const auto taken, connection.Query("SELECT node FROM node ORDER BY node FOR UPDATE"));
  std::int64_t node = 0;
  for (const Connection::Row& row : taken) {
    if (NumberIn(row[0]) == node) ++node;
  }
  if (node >= IdAllocator::kRangeNode) return std::optional<std::int64_t>();
  MUSTER_TRY(connection.Execute("INSERT INTO node(node, owner) VALUES(" + std::to_string(node) + ", " +
                                connection.Quote(owner) + ")"));
  return std::optional(node);
}

}  // namespace

Result<std::unique_ptr<Node>> Node::Take(const SessionSettings& first_group, const std::string& owner) {
  MUSTER_ASSIGN(std::unique_ptr<Connection> connection,
                Connection::Open(first_group.endpoint, first_group.account, first_group.database, first_group.timeouts,
                                 Use::kWrite));
  // It says nothing for as long as it lives.
  MUSTER_TRY(connection->Execute("SET SESSION wait_timeout = 31536000"));
  MUSTER_TRY(connection->Execute("START TRANSACTION"));
  MUSTER_ASSIGN(const std::optional<std::int64_t> node, FindNode(*connection, owner));
  if (!node) {
    return Fail(Reason::kInternal, connection->where() +
                                       ": all numbers for ids are taken, one by each data directory that was ever "
                                       "used; delete the rows of directories that are gone for ever from its table "
                                       "node, whose column owner is what their file node says");
  }
  MUSTER_TRY(connection->Execute("COMMIT"));
  MUSTER_ASSIGN(
      const std::int64_t locked,
      connection->ReadInteger("SELECT COALESCE(GET_LOCK(CONCAT('muster.node.', MD5(DATABASE()), '.', " +
                              std::to_string(*node) + "), " + std::to_string(kNodePatienceSeconds) + "), 0)"));
  if (locked != 1) {
    return Fail(Reason::kInternal, connection->where() +
                                       ": another process makes ids with the same number: it uses a copy of this data "
                                       "directory. Stop it, or delete the file node in this directory, so that it "
                                       "gets a number of its own");
  }
  return std::unique_ptr<Node>(new Node(std::move(connection), static_cast<std::uint8_t>(*node)));
}

}  // namespace muster::mariadb
