#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/metrics.h"

namespace muster {

// What a server counts; shared by its loops.
struct HttpMetrics {
  HttpMetrics(MetricRegistry& registry, std::string_view server);

  void CountAnswer(int status, Duration handling) {
    answers[static_cast<std::size_t>(status / 100) % answers.size()]->Add();
    duration.Record(handling);
  }

  // Outlives the server, as the registry reads it for a gauge.
  std::shared_ptr<std::atomic<std::int64_t>> open;
  Counter& accepted;
  Counter& refused;
  Counter& shed;
  Counter& received_bytes;
  Counter& sent_bytes;
  std::array<Counter*, 6> answers{};  // by the first digit of the status
  Histogram& duration;
};

}  // namespace muster
