#include "bench/bench_run.h"

#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "bench/thread_usage.h"

namespace muster {
namespace {

// Connections that are not open by then are opened while the load runs.
constexpr BenchTime kOpenPatience = std::chrono::seconds(2);
// Threads begin together.
constexpr BenchTime kHeadStart = std::chrono::milliseconds(5);

}  // namespace

BenchRun::BenchRun(const Options& options, const Population& population,
                   std::vector<std::unique_ptr<LoadTransport>> transports)
    : options_(options) {
  MUSTER_CHECK(!transports.empty());
  for (std::size_t i = 0; i < transports.size(); ++i) {
    Worker worker;
    worker.transport = std::move(transports[i]);
    CallMaker::Options calls = options.calls;
    calls.seed = Mix64(options.calls.seed + i);
    calls.part = i;
    calls.parts = transports.size();
    worker.calls = std::make_unique<CallMaker>(calls, population);
    const LoadSchedule schedule{.rate = options.rate,
                                .index = i,
                                .threads = transports.size(),
                                .warm_up = options.warm_up,
                                .duration = options.duration,
                                .patience = options.patience};
    worker.load = std::make_unique<LoadWorker>(schedule, *worker.calls, *worker.transport, ReadThreadUsage,
                                               [this](LoadWindow&& window) { TakeWindow(std::move(window)); });
    workers_.push_back(std::move(worker));
  }
}

BenchRun::~BenchRun() {
  Stop();
  for (Worker& worker : workers_)
    if (worker.thread.joinable()) worker.thread.join();
}

void BenchRun::Start() {
  const BenchTime patient_until = workers_.front().transport->Now() + kOpenPatience;
  for (Worker& worker : workers_) worker.transport->Open(patient_until);
  const BenchTime begin = workers_.front().transport->Now() + kHeadStart;
  for (Worker& worker : workers_) {
    worker.thread = std::thread([this, begin, load = worker.load.get()] {
      WantExactTimers();
      load->Run(begin, stopping_);
      finished_.fetch_add(1);
    });
  }
}

void BenchRun::TakeWindow(LoadWindow&& window) {
  std::lock_guard lock(mutex_);
  Second& second = open_[window.index];
  if (second.threads == 0) {
    second.window = std::move(window);
  } else {
    second.window.Merge(window);
  }
  ++second.threads;
  // In order: each thread gives its own in order.
  while (!open_.empty() && open_.begin()->second.threads == workers_.size()) CloseFirst();
}

void BenchRun::CloseFirst() {
  const SecondRow row = RowOf(open_.begin()->second.window);
  if (row.second >= 0) measured_.push_back(row);
  untaken_.push_back(row);
  open_.erase(open_.begin());
}

SecondRow BenchRun::RowOf(const LoadWindow& window) const {
  return {.second = window.index,
          .length_seconds = std::chrono::duration<double>(window.length).count(),
          .sent = window.sent,
          .succeeded = window.succeeded,
          .failed = window.failed,
          .p50 = window.latency.Percentile(50),
          .p90 = window.latency.Percentile(90),
          .p99 = window.latency.Percentile(99),
          .p999 = window.latency.Percentile(99.9),
          .max = window.latency.max(),
          .service_p99 = window.service.Percentile(99),
          .own_lag_p99 = window.own_lag.Percentile(99),
          .busiest = window.busiest,
          .is_generator_limited = IsGeneratorLimited(window, options_.rate > 0)};
}

std::vector<SecondRow> BenchRun::TakeSeconds() {
  std::lock_guard lock(mutex_);
  return std::exchange(untaken_, {});
}

BenchResult BenchRun::Finish() {
  BenchResult result;
  BenchTime measured{0};
  std::vector<std::vector<Silence>> silences;
  for (Worker& worker : workers_) {
    worker.thread.join();
    result.measurement.Merge(worker.load->measurement());
    measured = std::max(measured, worker.load->measured());
    silences.push_back(worker.load->silences());
  }
  result.is_interrupted = stopping_.load();
  result.measured_seconds = std::chrono::duration<double>(measured).count();
  result.verdict = Judge(result.measurement, options_.rate > 0);
  result.stalls = FindStalls(silences, result.measurement.answered.Percentile(50));
  std::lock_guard lock(mutex_);
  // A stop may end threads in different seconds.
  while (!open_.empty()) CloseFirst();
  result.seconds = measured_;
  for (SecondRow& row : result.seconds) {
    const auto length = std::chrono::duration_cast<BenchTime>(std::chrono::duration<double>(row.length_seconds));
    row.stalled = TimeWithin(result.stalls, std::chrono::seconds(row.second), length);
  }
  return result;
}

}  // namespace muster
