#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <mutex>

#include "base/metrics.h"

namespace muster {
namespace {

// What a counter would cost without stripes: the reference of the figures below.
struct LockedCounter {
  void Add() {
    std::lock_guard lock(mutex);
    ++value;
  }
  std::mutex mutex;
  std::uint64_t value = 0;
};

void BM_LockedCounterAdd(benchmark::State& state) {
  static LockedCounter counter;
  for (auto unused : state) counter.Add();
}
BENCHMARK(BM_LockedCounterAdd)->ThreadRange(1, 2);

void BM_CounterAdd(benchmark::State& state) {
  static Counter counter;
  for (auto unused : state) counter.Add();
}
BENCHMARK(BM_CounterAdd)->ThreadRange(1, 2);

void BM_HistogramRecord(benchmark::State& state) {
  static Histogram histogram;
  std::int64_t micros = 0;
  for (auto unused : state) {
    histogram.Record(std::chrono::microseconds(micros));
    micros = (micros + 37) % 100'000;
  }
}
BENCHMARK(BM_HistogramRecord)->ThreadRange(1, 2);

void BM_HistogramRead(benchmark::State& state) {
  Histogram histogram;
  histogram.Record(std::chrono::microseconds(1));
  for (auto unused : state) benchmark::DoNotOptimize(histogram.Read());
}
BENCHMARK(BM_HistogramRead);

}  // namespace
}  // namespace muster
