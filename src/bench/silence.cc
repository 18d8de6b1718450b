#include "bench/silence.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace muster {
namespace {

constexpr BenchTime kStallMin = std::chrono::milliseconds(200);
constexpr int kStallFactor = 8;
constexpr std::size_t kDescribedMax = 3;

// Both in their order.
std::vector<Silence> Common(std::span<const Silence> a, std::span<const Silence> b) {
  std::vector<Silence> common;
  for (std::size_t i = 0, k = 0; i < a.size() && k < b.size();) {
    const BenchTime from = std::max(a[i].from, b[k].from);
    const BenchTime end_a = a[i].from + a[i].length;
    const BenchTime end_b = b[k].from + b[k].length;
    if (const BenchTime end = std::min(end_a, end_b); end > from)
      common.push_back({.from = from, .length = end - from});
    ++(end_a < end_b ? i : k);
  }
  return common;
}

}  // namespace

void SilenceWatch::Miss(BenchTime from, BenchTime to) {
  if (!owed_from_) return;
  Keep(*owed_from_, from);
  owed_from_ = std::max(*owed_from_, to);
}

void SilenceWatch::Keep(BenchTime from, BenchTime to) {
  from = std::max(from, measure_from_);
  if (to - from < kShortest) return;
  const Silence silence{.from = from - measure_from_, .length = to - from};
  if (kept_.size() < kKeptMax) {
    kept_.push_back(silence);
    return;
  }
  const auto shortest = std::ranges::min_element(kept_, {}, &Silence::length);
  if (shortest->length < silence.length) *shortest = silence;
}

std::vector<Silence> SilenceWatch::Kept() const {
  std::vector<Silence> kept = kept_;
  std::ranges::sort(kept, {}, &Silence::from);
  return kept;
}

std::vector<Silence> FindStalls(std::span<const std::vector<Silence>> threads, BenchTime usual) {
  if (threads.empty()) return {};
  std::vector<Silence> stalls = threads.front();
  for (const std::vector<Silence>& thread : threads.subspan(1)) stalls = Common(stalls, thread);
  const BenchTime least = std::max(kStallMin, usual * kStallFactor);
  std::erase_if(stalls, [least](const Silence& silence) { return silence.length < least; });
  return stalls;
}

BenchTime TimeWithin(std::span<const Silence> stalls, BenchTime from, BenchTime length) {
  BenchTime within{0};
  for (const Silence& stall : stalls) {
    const BenchTime begin = std::max(stall.from, from);
    const BenchTime end = std::min(stall.from + stall.length, from + length);
    within += std::max(end - begin, BenchTime{0});
  }
  return within;
}

std::string DescribeStalls(std::span<const Silence> stalls) {
  std::vector<Silence> longest(stalls.begin(), stalls.end());
  if (longest.size() > kDescribedMax) {
    std::ranges::sort(longest, std::greater(), &Silence::length);
    longest.resize(kDescribedMax);
    std::ranges::sort(longest, {}, &Silence::from);
  }
  const auto seconds = [](BenchTime time) { return std::chrono::duration<double>(time).count(); };
  std::string text;
  for (const Silence& stall : longest) {
    text += fmt::format("{}no answer for {:.2f} s from {:.1f} s on", text.empty() ? "" : "; ", seconds(stall.length),
                        seconds(stall.from));
  }
  if (stalls.size() > longest.size()) text += fmt::format("; and {} more", stalls.size() - longest.size());
  return text;
}

}  // namespace muster
