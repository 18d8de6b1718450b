#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace muster::mariadb {

// Servers that did not answer a read in time: left alone for a while by all threads that read. Thread-safe; bounded by
// the servers that a placement names.
class ServerWatch {
 public:
  static constexpr Duration kLeftAlone = std::chrono::seconds(1);

  // Whether it may be asked now. When the while is over, one of those who ask finds out whether it answers again.
  bool MayAsk(const std::string& server, Instant now);
  void NoteSilent(const std::string& server, Instant now);
  void NoteAnswer(const std::string& server);

 private:
  std::mutex mutex_;
  std::map<std::string, Instant> left_alone_until_;  // guarded by mutex_
  std::atomic<bool> any_{false};                     // there is one in it
};

}  // namespace muster::mariadb
