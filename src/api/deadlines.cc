#include "api/deadlines.h"

namespace muster {

void DeadlineOptions::Declare(OptionRegistry& options) {
  options.AddDuration("deadline.default", &default_ms,
                      "How long a request may take whose caller sends no deadline, over HTTP and over gRPC.",
                      {.min = 10, .max = std::chrono::duration_cast<std::chrono::milliseconds>(kDeadlineMax).count()});
}

}  // namespace muster
