#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "scheduler.h"

namespace muster::sim {

// The last events of a run, for whoever reads a failure. Off, it costs nothing: the text is not even made.
class Trace {
 public:
  Trace(const Scheduler& scheduler, bool on, std::size_t lines_max = 120)
      : scheduler_(scheduler), on_(on), lines_max_(lines_max) {}

  template <typename MakeText>
  void operator()(const MakeText& make_text) {
    if (!on_) return;
    const auto micros = scheduler_.now().count();
    lines_.push_back(std::to_string(micros / 1'000'000) + "." +
                     std::to_string(1'000'000 + micros % 1'000'000).substr(1) + " " + make_text());
    if (lines_.size() > lines_max_) lines_.pop_front();
  }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  const Scheduler& scheduler_;
  const bool on_;
  const std::size_t lines_max_;
  std::deque<std::string> lines_;
};

}  // namespace muster::sim
