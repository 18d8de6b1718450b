#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "topology/topology.h"

namespace muster {

// A TopologyStore in memory, which other "processes" can change behind a directory's back, and which can fail.
class MemoryTopology final : public TopologyStore {
 public:
  Result<std::shared_ptr<const TopologyDocument>> Read() override {
    std::lock_guard lock(mutex_);
    if (failure_) return Fail(*failure_);
    return document_;
  }

  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    std::lock_guard lock(mutex_);
    if (failure_) return Fail(*failure_);
    TopologyDocument next = *document_;
    MUSTER_TRY(change(next));
    next.revision = std::max(next.revision, document_->revision + 1);
    std::ranges::sort(next.callers, {}, &CallerRecord::name);
    document_ = std::make_shared<const TopologyDocument>(std::move(next));
    if (failure_after_write_) return Fail(*failure_after_write_);
    return document_;
  }

  void FailWith(std::optional<Error> failure) { failure_ = std::move(failure); }
  // Stores, and answers an error all the same.
  void FailAfterWriteWith(std::optional<Error> failure) { failure_after_write_ = std::move(failure); }

 private:
  std::mutex mutex_;
  std::shared_ptr<const TopologyDocument> document_ = std::make_shared<const TopologyDocument>();
  std::optional<Error> failure_;
  std::optional<Error> failure_after_write_;
};

}  // namespace muster
