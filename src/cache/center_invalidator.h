#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/timer.h"
#include "domain/ports/commit_listener.h"

namespace muster {

// Who can take a center's cache out of use: the topology, by somebody who may change it. Thread-safe; replies come on
// any thread, by the deadline.
class BypassSource {
 public:
  virtual ~BypassSource() = default;
  using Reply = std::move_only_function<void(Result<void>)>;

  // Makes the center's epoch higher than `failed`, in BYPASS, unless it is higher already. Once it is replied, the
  // CacheStateSource of this process says so.
  virtual void Bypass(const std::string& center, Epoch failed, Deadline deadline, Reply reply) = 0;
  // Until each process that reads in the center has confirmed `epoch` or a later one, or has lost its lease.
  virtual void AwaitReaders(const std::string& center, Epoch epoch, Deadline deadline, Reply reply) = 0;
};

// Tells the caches of all centers what a write has touched, between its commit and its acknowledgement.
//
//                    ┌──────────── again, for `reach_timeout` ────────────┐
//                    ▼                                                    │
//   of each center: INVALIDATE ── done ──► TOLD                           │
//                    │  │  └── out of reach ──────────────────────────────┤
//                    │  └── lost what it had ──► BYPASS ◄─────────────────┘ that is over
//                    │                             │ the topology has a newer epoch: INVALIDATE under that
//                    └── bypassed ──► AWAIT READERS of that epoch ──► TOLD
//
// A center that cannot be reached does not make writes fail: the first one pays for taking it out of use, and whoever
// begins meanwhile waits for that (`Prepare`).
class CenterInvalidator final : public CommitListener {
 public:
  struct Center {
    std::string name;
    CenterCache* cache = nullptr;  // of `loop`
    CacheStateSource state;
    std::function<bool()> is_reachable;  // on `loop`
  };
  struct Options {
    Duration attempt_timeout = std::chrono::milliseconds(250);
    Duration attempt_pause = std::chrono::milliseconds(10);
    Duration reach_timeout = std::chrono::milliseconds(500);  // then the center is bypassed
    Duration bypass_timeout = std::chrono::seconds(5);        // for that, with its readers; then the outcome is unknown
  };
  struct Dependencies {
    EventLoop* loop = nullptr;  // that of the caches
    const Clock* clock = nullptr;
    Timer* timer = nullptr;
    BypassSource* bypass = nullptr;
    Logger* logger = nullptr;
    MetricRegistry* metrics = nullptr;
  };

  // Epochs that one invalidation may go through in a center.
  static constexpr int kEpochsMax = 4;

  // Everything outlives it.
  CenterInvalidator(std::vector<Center> centers, const Dependencies& dependencies, Options options);
  ~CenterInvalidator() override;  // nothing is outstanding
  CenterInvalidator(const CenterInvalidator&) = delete;

  // Looked at by Look, and at the end of each Prepare.
  bool IsReady() const override;
  // On the loop, every few milliseconds: which centers are out of reach.
  void Look();

  // As the port says. Takes out of use what is known to be out of reach, and replies on the loop.
  void Prepare(Deadline deadline, Reply reply) override;
  void Announce(TouchedEntries touched, Reply reply) override;

 private:
  class Rounds;  // what the steps of all writes share
  const std::unique_ptr<Rounds> rounds_;
};

}  // namespace muster
