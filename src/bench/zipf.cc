#include "bench/zipf.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace muster {
namespace {

// Below this the quotients are taken from their series: they are 0 / 0 at zero.
constexpr double kNearZero = 1e-8;

// log(1 + x) / x
double LogQuotient(double x) { return std::abs(x) > kNearZero ? std::log1p(x) / x : 1 - x * (0.5 - x / 3); }

// (exp(x) - 1) / x
double ExponentialQuotient(double x) { return std::abs(x) > kNearZero ? std::expm1(x) / x : 1 + x * 0.5 * (1 + x / 3); }

}  // namespace

double DrawUnit(Random& random) { return static_cast<double>(random.Next() >> 11) * 0x1p-53; }

Zipf::Zipf(std::uint64_t size, double exponent) : size_(size), exponent_(exponent) {
  MUSTER_CHECK(size > 0 && exponent >= 0 && exponent <= kExponentMax);
  integral_first_ = Integral(1.5) - 1;
  integral_last_ = Integral(static_cast<double>(size) + 0.5);
  sure_ = 2 - IntegralInverse(Integral(2.5) - Density(2));
}

double Zipf::Density(double x) const { return std::exp(-exponent_ * std::log(x)); }

double Zipf::Integral(double x) const {
  const double log_x = std::log(x);
  return ExponentialQuotient((1 - exponent_) * log_x) * log_x;
}

double Zipf::IntegralInverse(double y) const {
  // Rounding must not lead out of the logarithm's domain.
  const double t = std::max(y * (1 - exponent_), -1.0);
  return std::exp(LogQuotient(t) * y);
}

std::uint64_t Zipf::Draw(Random& random) const {
  if (exponent_ == 0) return random.Below(size_);
  // A trial is accepted with a probability above 0.7 whatever the size and the exponent; the bound is for a source that
  // is not random.
  constexpr int kTrialsMax = 1000;
  for (int trial = 0; trial < kTrialsMax; ++trial) {
    const double u = integral_last_ + DrawUnit(random) * (integral_first_ - integral_last_);
    const double x = IntegralInverse(u);
    const double rank = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(size_));
    if (rank - x <= sure_ || u >= Integral(rank + 0.5) - Density(rank)) return static_cast<std::uint64_t>(rank) - 1;
  }
  return 0;
}

}  // namespace muster
