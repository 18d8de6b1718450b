#pragma once

#include <string>

#include "bench/report.h"

namespace muster {

// A run as one SVG document (1.1, in UTF-8, without scripts): latency over time, throughput over time, and latency by
// percentile on an axis of nines. Follows the reader's light or dark scheme. Its size does not grow with the run:
// longer ones are drawn in steps of several seconds, each with the highest latency of its seconds.
std::string RenderBenchSvg(const BenchFacts& facts, const BenchResult& result);

}  // namespace muster
