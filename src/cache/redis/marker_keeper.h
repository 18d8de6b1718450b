#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "cache/redis/keys.h"
#include "cache/redis/loop_timer.h"
#include "cache/redis/nodes.h"
#include "domain/ids.h"

namespace muster::redis {

// Knows the marker of the epoch in use, as the servers have it; reads it when that is another one, or was found to be
// gone.
class MarkerKeeper {
 public:
  using Found = std::expected<MarkerRef, Fault>;  // kLost: no server has the marker of this epoch
  using FoundReply = std::move_only_function<void(Found)>;

  MarkerKeeper(Nodes& nodes, const Keys& keys, LoopTimer& timer, Duration timeout)
      : nodes_(nodes), keys_(keys), timer_(timer), timeout_(timeout) {}
  MarkerKeeper(const MarkerKeeper&) = delete;

  // What is known now; null: nothing, and it is being looked for.
  MarkerRef Peek(Epoch epoch);
  // Looks when nothing is known.
  void Find(Epoch epoch, FoundReply reply);
  // A server said that this is not what it has.
  void Drop(const MarkerRef& marker) {
    if (marker_ == marker) marker_ = nullptr;
  }

 private:
  // After a look that found none, reads do not look again for so long.
  static constexpr Duration kPause = std::chrono::milliseconds(20);
  static constexpr std::size_t kWaitersMax = 65'536;

  void Look(Epoch epoch);
  void OnLooked(Epoch epoch, const Outcome& outcome);

  Nodes& nodes_;
  const Keys& keys_;
  LoopTimer& timer_;
  const Duration timeout_;
  MarkerRef marker_;
  bool is_looking_ = false;
  Instant looked_ = Instant::min();
  std::vector<std::pair<Epoch, FoundReply>> waiters_;
};

}  // namespace muster::redis
