#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/session.h"

namespace muster::mariadb {

// The number with which the processes of one data directory make ids (IdAllocator), that no other directory has. It is
// a row of the first group, for ever: one that ended with a lease could be given to somebody else while its holder
// stands still, and ids would be made twice. That one process at a time uses a data directory is its own lock's
// business.
//
// A copy of a data directory would have the same number. So a session holds a named lock as long as this lives, and a
// second process is refused as long as the server knows of the first one.
class Node {
 public:
  // `owner`: 32 hex digits of the data directory. INTERNAL, saying what to do: a copy is in use, or all numbers are
  // taken.
  static Result<std::unique_ptr<Node>> Take(const SessionSettings& first_group, const std::string& owner);

  std::uint8_t number() const { return number_; }

 private:
  Node(std::unique_ptr<Connection> connection, std::uint8_t number)
      : connection_(std::move(connection)), number_(number) {}

  const std::unique_ptr<Connection> connection_;  // its session has the lock
  const std::uint8_t number_;
};

}  // namespace muster::mariadb
