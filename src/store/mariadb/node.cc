#include "store/mariadb/node.h"

#include <optional>
#include <utility>

#include "base/thread_name.h"
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

Result<void> Lock(Connection& connection, std::int64_t node) {
  // It says nothing for as long as it lives.
  MUSTER_TRY(connection.Execute("SET SESSION wait_timeout = 31536000"));
  MUSTER_ASSIGN(const std::int64_t locked,
                connection.ReadInteger("SELECT COALESCE(GET_LOCK(CONCAT('muster.node.', MD5(DATABASE()), '.', " +
                                       std::to_string(node) + "), " + std::to_string(kNodePatienceSeconds) + "), 0)"));
  if (locked == 1) return {};
  return Fail(Reason::kInternal, connection.where() +
                                     ": another process makes ids with the same number: it uses a copy of this data "
                                     "directory. Stop it, or delete the file node in this directory, so that it gets "
                                     "a number of its own");
}

}  // namespace

Result<std::unique_ptr<Node>> Node::Take(const SessionSettings& first_group, const std::string& owner, Logger& logger) {
  MUSTER_ASSIGN(std::unique_ptr<Connection> connection, OpenPrimary(first_group, Use::kWrite));
  MUSTER_TRY(connection->Execute("START TRANSACTION"));
  MUSTER_ASSIGN(const std::optional<std::int64_t> node, FindNode(*connection, owner));
  if (!node) {
    return Fail(Reason::kInternal, connection->where() +
                                       ": all numbers for ids are taken, one by each data directory that was ever "
                                       "used; delete the rows of directories that are gone for ever from its table "
                                       "node, whose column owner is what their file node says");
  }
  MUSTER_TRY(connection->Execute("COMMIT"));
  MUSTER_TRY(Lock(*connection, *node));
  return std::unique_ptr<Node>(new Node(first_group, static_cast<std::uint8_t>(*node), std::move(connection), logger));
}

Node::Node(SessionSettings first_group, std::uint8_t number, std::unique_ptr<Connection> connection, Logger& logger)
    : first_group_(std::move(first_group)), number_(number), logger_(logger), connection_(std::move(connection)) {
  thread_ = std::thread([this] { Keep(); });
  NameThread(thread_, "node");
}

Node::~Node() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void Node::Keep() {
  bool is_failing = false;
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kLookPeriod, [this] { return is_stopping_; })) {
    lock.unlock();
    const Result<void> held = Look();
    if (!held && !std::exchange(is_failing, true)) {
      logger_.Warning("the lock of the number that ids are made with is not held just now",
                      {{"reason", held.error().message}});
    }
    if (held) is_failing = false;
    lock.lock();
  }
}

Result<void> Node::Look() {
  if (connection_ && first_group_.place.IsPrimary(connection_->endpoint()) && connection_->Execute("DO 0")) return {};
  connection_.reset();
  MUSTER_ASSIGN(std::unique_ptr<Connection> connection, OpenPrimary(first_group_, Use::kWrite));
  MUSTER_TRY(Lock(*connection, number_));
  connection_ = std::move(connection);
  return {};
}

}  // namespace muster::mariadb
