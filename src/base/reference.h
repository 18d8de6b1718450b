#pragma once

#include <string>

#include "base/metrics.h"
#include "base/options.h"

namespace muster {

// The tables of the reference pages, in Markdown, generated from the declarations themselves. Sorted; the same
// declarations give the same bytes.
std::string RenderOptionReference(
    const OptionRegistry& options);  // repeated tables follow, each with a table of its own
std::string RenderMetricReference(const MetricRegistry& metrics);
std::string RenderErrorReference();

}  // namespace muster
