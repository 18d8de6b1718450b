#include "bench/verdict.h"

#include <fmt/format.h>

namespace muster {
std::string_view LimitName(LoadLimit limit) {
  switch (limit) {
    case LoadLimit::kNone:
      return "none";
    case LoadLimit::kServer:
      return "server";
    case LoadLimit::kGenerator:
      return "generator";
  }
  return "none";
}

LoadVerdict Judge(const Measurement& measurement, bool is_open_loop) {
  const auto own_lag = measurement.own_lag.Percentile(99);
  const bool is_late = measurement.unsent > 0 || measurement.delay.Percentile(99) > kDelayMax;
  if (is_open_loop && own_lag > kOwnLagMax) {
    return {
        .limit = LoadLimit::kGenerator,
        .reason = fmt::format("1 % of the requests were sent {:.1f} ms late or more by the generator itself; run it "
                              "on a machine of its own, with more --threads, or at a lower rate",
                              Milliseconds(own_lag))};
  }
  if (measurement.busiest >= kBusyMax && (!is_open_loop || is_late)) {
    return {.limit = LoadLimit::kGenerator,
            .reason = fmt::format("a thread of the generator was at work, or waited for a processor, {:.0f} % of the "
                                  "time; give it more --threads or a machine of its own",
                                  measurement.busiest * 100)};
  }
  if (!is_open_loop) {
    const bool is_answered = measurement.answered.count() > 0;
    return {.limit = LoadLimit::kServer,
            .reason = is_answered ? "the generator had time left: this is what the server does"
                                  : "nothing that was sent after the warm-up was answered; look whether the server "
                                    "runs, and is the one that is named"};
  }
  if (!is_late) return {};
  return {.limit = LoadLimit::kServer,
          .reason =
              "requests waited for a free connection: the server did not answer as fast as it was asked, or stood "
              "still for a while; if it has time left, give it more --connections"};
}

bool IsGeneratorLimited(const LoadWindow& window, bool is_open_loop) {
  return is_open_loop ? window.own_lag.Percentile(99) > kOwnLagMax : window.busiest >= kBusyMax;
}

}  // namespace muster
