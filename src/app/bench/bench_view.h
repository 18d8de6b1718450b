#pragma once

#include <unistd.h>

#include <string>

#include "app/cli/terminal.h"
#include "bench/report.h"

namespace muster {

// A run as it shows on standard error while it goes on: one line that redraws itself on a terminal, one line a second
// elsewhere.
class BenchView {
 public:
  BenchView() : terminal_(DescribeTerminal(STDERR_FILENO)) {}
  ~BenchView() { Finish(); }
  BenchView(const BenchView&) = delete;
  BenchView& operator=(const BenchView&) = delete;

  void Show(const SecondRow& row);
  void Finish();  // leaves the line behind; idempotent

  // "12 s  1,000/s  p50 0.31  p99 1.20  max 4.10 ms  0 failed".
  static std::string Line(const SecondRow& row);

 private:
  const Terminal terminal_;
  bool is_drawn_ = false;
};

// The result for people, on standard output.
std::string RenderBenchTable(const Terminal& terminal, const BenchFacts& facts, const BenchResult& result);

}  // namespace muster
