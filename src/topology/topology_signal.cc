#include "topology/topology_signal.h"

#include <condition_variable>
#include <mutex>

namespace muster {
namespace {

class SilentSignal final : public TopologySignal {
 public:
  bool Wait(Duration at_most) override {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, at_most, [this] { return woken_; });
    woken_ = false;
    return false;
  }

  void Wake() override {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<TopologySignal> MakeSilentSignal() { return std::make_unique<SilentSignal>(); }

}  // namespace muster
