#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
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
// second process is refused as long as the server knows of the first one. When the group moves, or the session has
// ended, the lock is taken again where the primary is now; if somebody else has it then, the log says so.
//
// Owns a thread that sees to that.
class Node {
 public:
  // `owner`: 32 hex digits of the data directory. INTERNAL, saying what to do: a copy is in use, or all numbers are
  // taken.
  static Result<std::unique_ptr<Node>> Take(const SessionSettings& first_group, const std::string& owner,
                                            Logger& logger);
  ~Node();
  Node(const Node&) = delete;

  std::uint8_t number() const { return number_; }

 private:
  static constexpr Duration kLookPeriod = std::chrono::seconds(1);

  Node(SessionSettings first_group, std::uint8_t number, std::unique_ptr<Connection> connection, Logger& logger);
  void Keep();
  // Whether the session that has the lock is there; else makes another one.
  Result<void> Look();

  const SessionSettings first_group_;
  const std::uint8_t number_;
  Logger& logger_;
  std::unique_ptr<Connection> connection_;  // its session has the lock; of the thread

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster::mariadb
