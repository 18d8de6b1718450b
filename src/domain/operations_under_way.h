#pragma once

#include <limits>
#include <mutex>
#include <set>
#include <utility>

#include "domain/ids.h"

namespace muster {

// The operations of this process that are between their first reservation and their end. Where one process has the
// databases for itself, as an embedded store has, an operation that is not here has ended, whatever any clock says: its
// reservation is waited for by nobody, and only outcomes of those that are here can still be asked for. Thread-safe.
class OperationsUnderWay {
 public:
  // As long as it lives, the operation is under way. An operation is begun once.
  class Entry {
   public:
    // Of nobody, without `all`.
    Entry(OperationsUnderWay* all, OperationId id) : all_(all), id_(id) {
      if (all_ != nullptr) all_->Add(id_);
    }
    Entry(Entry&& other) noexcept : all_(std::exchange(other.all_, nullptr)), id_(other.id_) {}
    Entry& operator=(Entry&&) = delete;
    ~Entry() {
      if (all_ != nullptr) all_->Remove(id_);
    }

   private:
    OperationsUnderWay* all_;
    OperationId id_;
  };

  bool Contains(OperationId id) const {
    const std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }
  // All below have ended.
  OperationId Oldest() const {
    const std::lock_guard lock(mutex_);
    return ids_.empty() ? OperationId(std::numeric_limits<std::int64_t>::max()) : *ids_.begin();
  }

 private:
  void Add(OperationId id) {
    const std::lock_guard lock(mutex_);
    ids_.insert(id);
  }
  void Remove(OperationId id) {
    const std::lock_guard lock(mutex_);
    ids_.erase(id);
  }

  mutable std::mutex mutex_;
  std::set<OperationId> ids_;
};

}  // namespace muster
