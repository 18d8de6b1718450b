#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace muster::mariadb {

// Servers that did not answer a read in time: left alone for a while by all threads that read, as long as there are
// others. Thread-safe; bounded by the servers that a placement names.
class ServerWatch {
 public:
  static constexpr Duration kLeftAlone = std::chrono::seconds(1);

  // One of the threads that may ask a server that is left alone, because nobody else can answer: a quarter of them, or
  // one, so that the others answer meanwhile what servers that do answer know.
  class Turn {
   public:
    explicit Turn(ServerWatch& watch) : watch_(watch), is_taken_(watch.TakeTurn()) {}
    ~Turn() {
      if (is_taken_) watch_.turns_taken_.fetch_sub(1, std::memory_order_relaxed);
    }
    Turn(const Turn&) = delete;
    bool is_taken() const { return is_taken_; }

   private:
    ServerWatch& watch_;
    const bool is_taken_;
  };

  explicit ServerWatch(std::size_t threads) : turns_max_(std::max<std::size_t>(1, threads / 4)) {}

  // Whether it may be asked now. When the while is over, one of those who ask finds out whether it answers again.
  bool MayAsk(const std::string& server, Instant now);
  void NoteSilent(const std::string& server, Instant now);
  void NoteAnswer(const std::string& server);

 private:
  bool TakeTurn();

  const std::size_t turns_max_;
  std::atomic<std::size_t> turns_taken_{0};
  std::mutex mutex_;
  std::map<std::string, Instant> left_alone_until_;  // guarded by mutex_
  std::atomic<bool> any_{false};                     // there is one in it
};

}  // namespace muster::mariadb
