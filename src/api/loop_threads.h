#pragma once

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/thread_name.h"

namespace muster {

// The CPUs that this process may use.
inline std::int64_t UsableCpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  return std::max(1, CPU_COUNT(&cpus));
}

// The loops of one server, each with a thread of its own. `Loop` has Run, Drain and Stop as HttpLoop has.
template <typename Loop>
class LoopThreads {
 public:
  // `name` ("http") is in the threads' names and in errors.
  explicit LoopThreads(std::string name) : name_(std::move(name)) {}
  ~LoopThreads() { Drain(); }
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

  Loop& Add(std::unique_ptr<Loop> loop) {
    loops_.push_back(std::move(loop));
    return *loops_.back();
  }

  Result<void> Run() {
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      try {
        threads_.emplace_back([loop = loops_[i].get()] { loop->Run(); });
      } catch (const std::system_error& error) {
        return Fail(Reason::kOverloaded, std::string("cannot start a thread: ") + error.what() +
                                             "; raise the limit of processes (ulimit -u) or lower " + name_ +
                                             ".threads");
      }
      NameThread(threads_.back(), name_ + "-" + std::to_string(i));
    }
    return {};
  }

  // Ends the threads when every loop has drained. Again: does nothing.
  void Drain() {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t busy = threads_.size();
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      loops_[i]->Drain([&] {
        std::lock_guard lock(mutex);
        --busy;
        changed.notify_one();
      });
    }
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return busy == 0; });
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      loops_[i]->Stop();
      threads_[i].join();
    }
    threads_.clear();
  }

 private:
  const std::string name_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;  // one for each of the first loops
};

}  // namespace muster
