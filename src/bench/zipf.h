#pragma once

#include <cstdint>

#include "base/random.h"

namespace muster {

// Ranks by Zipf's law: rank k (from 0) is drawn with a probability proportional to 1 / (k + 1)^exponent. An exponent of
// 0 draws uniformly; 0.99 is what YCSB takes for skewed loads. Exact for every size at a constant cost and without
// tables: rejection-inversion (Hörmann, Derflinger: "Rejection-inversion to generate variates from monotone discrete
// distributions", ACM TOMACS 6, 1996). Immutable, so thread-safe.
class Zipf {
 public:
  static constexpr double kExponentMax = 10;

  // size > 0, 0 <= exponent <= kExponentMax.
  Zipf(std::uint64_t size, double exponent);

  // A rank below size().
  std::uint64_t Draw(Random& random) const;
  std::uint64_t size() const { return size_; }

 private:
  double Density(double x) const;          // h
  double Integral(double x) const;         // H, of the density
  double IntegralInverse(double y) const;  // H^-1

  std::uint64_t size_;
  double exponent_;
  double integral_first_ = 0;
  double integral_last_ = 0;
  double sure_ = 0;  // so near to its rank no point is rejected
};

// Uniform in [0, 1), 53 bits.
double DrawUnit(Random& random);

}  // namespace muster
