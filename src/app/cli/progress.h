#pragma once

#include <cstdint>
#include <string>

#include "app/cli/terminal.h"
#include "base/clock.h"

namespace muster {

// How far a long command is, on standard error: a bar with rate and time left that redraws itself on a terminal, a
// plain line every ten seconds elsewhere. Not thread-safe. Report as often as you like: it draws at most ten times a
// second.
class Progress {
 public:
  // `what` begins the line ("importing"), `unit` counts ("lines").
  Progress(std::string what, std::string unit, const Clock& clock);
  ~Progress();  // as Finish

  // `total` zero: not known. `done` includes what an earlier run did: the first report is where the rate is counted
  // from.
  void Report(std::uint64_t done, std::uint64_t total);
  // The same, with the part that is done measured otherwise (bytes of a file whose lines nobody counted): 0 to 1.
  void ReportFraction(std::uint64_t done, double fraction);
  // Takes the bar away. Idempotent.
  void Finish();

  // One state of the line; for tests.
  struct Moment {
    std::uint64_t done = 0;
    double fraction = -1;  // below zero: not known
    double rate = 0;       // a second
    double seconds_left = -1;
  };
  static std::string Line(const std::string& what, const std::string& unit, const Moment& moment,
                          std::size_t bar_columns);

 private:
  const std::string what_;
  const std::string unit_;
  const Clock& clock_;
  const Terminal terminal_;
  const Instant start_;
  Instant next_;
  bool has_begun_ = false;
  bool is_drawn_ = false;
  std::uint64_t first_done_ = 0;
  double first_fraction_ = 0;
};

// "1,234,567".
std::string WithThousands(std::uint64_t number);
// "1h 02m", "3m 20s", "12s".
std::string ShortDuration(double seconds);

}  // namespace muster
