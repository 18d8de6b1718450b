#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/transport.h"

namespace muster {

// A time in which no answer at all came although one was owed. From the beginning of the measurement.
struct Silence {
  BenchTime from{};
  BenchTime length{};
  friend bool operator==(const Silence&, const Silence&) = default;
};

// Listens for one thread. Requests that are given up, or cannot even be sent, leave the answer owed: only an answer
// ends a silence.
class SilenceWatch {
 public:
  // The longest are kept, and none that is shorter.
  static constexpr std::size_t kKeptMax = 256;
  static constexpr BenchTime kShortest = std::chrono::milliseconds(100);

  // What is before does not count.
  explicit SilenceWatch(BenchTime measure_from = BenchTime{0}) : measure_from_(measure_from) {}

  // A request was sent, or was due and could not be.
  void Owe(BenchTime at) {
    if (!owed_from_) owed_from_ = at;
  }
  // An answer came; `owes`: others are under way.
  void Hear(BenchTime at, bool owes) {
    if (owed_from_) Keep(*owed_from_, at);
    owed_from_ = owes ? std::optional(at) : std::nullopt;
  }
  // The thread itself did not listen: that says nothing about the server.
  void Miss(BenchTime from, BenchTime to);
  void End(BenchTime at) { Hear(at, false); }

  // In their order, after End.
  std::vector<Silence> Kept() const;

 private:
  void Keep(BenchTime from, BenchTime to);

  BenchTime measure_from_;
  std::optional<BenchTime> owed_from_;
  std::vector<Silence> kept_;
};

// When the server stood still: silences that all threads share, if they are a fifth of a second or longer and many
// times as long as answers take (`usual`, the median of times from sent). In their order.
std::vector<Silence> FindStalls(std::span<const std::vector<Silence>> threads, BenchTime usual);

// How much of the time from `from` on lies in them.
BenchTime TimeWithin(std::span<const Silence> stalls, BenchTime from, BenchTime length);

// "no answer for 1.02 s from 14.3 s on"; of many the longest. Empty when there are none.
std::string DescribeStalls(std::span<const Silence> stalls);

}  // namespace muster
