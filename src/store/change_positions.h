#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "domain/ports/change_feed.h"
#include "store/change_wakes.h"

namespace muster {

// Gives each change of any file its position in the one stream of all, and says how far the stream can be read.
//
//   writer of a file:  Begin → [Take, Take, …] → commit or roll back → End
//   reader:            limit = Readable() → open snapshots → read up to limit
//
// Positions are taken in order, and groups of several files are committed in any order. So what can be read is
// everything below the first position that a group under way may have taken: nothing will be added there. With several
// files a group that is rolled back leaves a gap; with one it gives its positions back. Thread-safe.
class ChangePositions {
 public:
  // `last`: the newest position in any file; `before_earliest`: changes up to it cannot be read.
  ChangePositions(std::size_t files, std::int64_t last, std::int64_t before_earliest = 0);

  void Begin(std::size_t file);
  std::int64_t Take() { return last_.fetch_add(1) + 1; }
  // `committed`: the file's newest position that stays.
  void End(std::size_t file, std::int64_t committed);

  // May fall a little behind what it said before, while a group begins.
  std::int64_t Readable() const;

  // Changes up to `position` are about to be forgotten.
  void Expire(std::int64_t position);
  // To be asked once the snapshots that are read are open: what they lack is not after it.
  std::int64_t before_earliest() const { return before_earliest_.load(); }

  // Tells subscribers that there may be more to read.
  void Notify() { wakes_.Notify(); }
  std::unique_ptr<ChangeFeed::Subscription> Subscribe(std::move_only_function<void()> wake) {
    return wakes_.Subscribe(std::move(wake));
  }

 private:
  static constexpr std::int64_t kNone = INT64_MAX;

  std::atomic<std::int64_t> last_;
  std::atomic<std::int64_t> before_earliest_;
  mutable std::mutex groups_mutex_;            // of what follows
  std::vector<std::int64_t> first_under_way_;  // by file: positions from here on may not be committed
  ChangeWakes wakes_;
};

}  // namespace muster
