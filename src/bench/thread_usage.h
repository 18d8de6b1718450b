#pragma once

#include "bench/measurement.h"

namespace muster {

// Of the calling thread since it began. The waiting part is zero where the kernel does not tell (schedstat).
ThreadUsage ReadThreadUsage();

// Wakes the calling thread from its waits as exactly as the machine can, instead of up to 50 µs later.
void WantExactTimers();

}  // namespace muster
