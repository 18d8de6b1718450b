#include "store/mariadb/server_watch.h"

namespace muster::mariadb {

bool ServerWatch::MayAsk(const std::string& server, Instant now) {
  if (!any_.load(std::memory_order_relaxed)) return true;
  std::lock_guard lock(mutex_);
  const auto silent = left_alone_until_.find(server);
  if (silent == left_alone_until_.end()) return true;
  if (now < silent->second) return false;
  silent->second = now + kLeftAlone;
  return true;
}

bool ServerWatch::TakeTurn() {
  std::size_t taken = turns_taken_.load(std::memory_order_relaxed);
  do {
    if (taken >= turns_max_) return false;
  } while (!turns_taken_.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed));
  return true;
}

void ServerWatch::NoteSilent(const std::string& server, Instant now) {
  std::lock_guard lock(mutex_);
  left_alone_until_[server] = now + kLeftAlone;
  any_.store(true, std::memory_order_relaxed);
}

void ServerWatch::NoteAnswer(const std::string& server) {
  if (!any_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  left_alone_until_.erase(server);
  any_.store(!left_alone_until_.empty(), std::memory_order_relaxed);
}

}  // namespace muster::mariadb
