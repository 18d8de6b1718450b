#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/call_maker.h"
#include "bench/load_worker.h"
#include "bench/population.h"
#include "bench/silence.h"
#include "bench/transport.h"
#include "bench/verdict.h"

namespace muster {

// One second as it is shown and kept, in the order of `second`.
struct SecondRow {
  std::int64_t second = 0;  // of the measurement, from 0; below: warm-up
  double length_seconds = 1;
  std::uint64_t sent = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  LatencyHistogram::Time p50{}, p90{}, p99{}, p999{}, max{};
  LatencyHistogram::Time service_p99{};
  LatencyHistogram::Time own_lag_p99{};
  double busiest = 0;
  bool is_generator_limited = false;
  BenchTime stalled{0};  // how much of it lies in stalls; known at the end
};

// What a run found.
struct BenchResult {
  Measurement measurement = {};
  std::vector<SecondRow> seconds = {};  // measured ones only
  double measured_seconds = 0;
  bool is_interrupted = false;
  LoadVerdict verdict = {};
  std::vector<Silence> stalls = {};  // of the server: nobody was answered
};

// A load over several threads, a transport each, from Start to Finish.
class BenchRun {
 public:
  struct Options {
    std::uint64_t rate = 0;  // requests a second; 0: as many as possible
    BenchTime warm_up{0};
    BenchTime duration{0};
    BenchTime patience{0};
    CallMaker::Options calls;
  };
  // At least one transport. The population outlives this.
  BenchRun(const Options& options, const Population& population,
           std::vector<std::unique_ptr<LoadTransport>> transports);
  // Stops, and waits for the threads.
  ~BenchRun();
  BenchRun(const BenchRun&) = delete;
  BenchRun& operator=(const BenchRun&) = delete;

  // Opens the connections, then begins. Once.
  void Start();
  // Ends it soon, with what has been measured so far. From any thread.
  void Stop() { stopping_.store(true); }
  bool is_finished() const { return finished_.load() == workers_.size(); }
  // The seconds that are over for all threads and have not been taken, warm-up too.
  std::vector<SecondRow> TakeSeconds();
  // Waits for the end. Once.
  BenchResult Finish();

 private:
  struct Worker {
    std::unique_ptr<LoadTransport> transport;
    std::unique_ptr<CallMaker> calls;
    std::unique_ptr<LoadWorker> load;
    std::thread thread;
  };
  struct Second {
    LoadWindow window;
    std::size_t threads = 0;  // that have given theirs
  };

  void TakeWindow(LoadWindow&& window);
  void CloseFirst();  // under the lock
  SecondRow RowOf(const LoadWindow& window) const;

  const Options options_;
  std::vector<Worker> workers_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> finished_ = 0;

  std::mutex mutex_;  // guards the three below
  std::map<std::int64_t, Second> open_;
  std::vector<SecondRow> measured_;
  std::vector<SecondRow> untaken_;
};

}  // namespace muster
