#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "topology/failover/observer_board.h"

namespace muster::failover {

// A board within one process: for one place, and for tests. Each observer has a MemoryObserverBoard of its own.
class MemoryObserverBoard final : public ObserverBoard {
 public:
  struct Shared {
    std::mutex mutex;
    std::map<std::string, ObserverReport> reports;  // guarded by mutex
  };
  explicit MemoryObserverBoard(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  Result<std::vector<ObserverReport>> Exchange(const ObserverReport& own) override {
    std::lock_guard lock(shared_->mutex);
    shared_->reports[own.observer] = own;
    std::vector<ObserverReport> all;
    for (const auto& [name, report] : shared_->reports) all.push_back(report);
    return all;
  }

 private:
  const std::shared_ptr<Shared> shared_;
};

}  // namespace muster::failover
