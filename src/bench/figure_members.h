#pragma once

#include <array>

// What tests/figures/members.py makes members of: the city of member n is kCities[n % 8], its tier kTiers[n % 4].
namespace bench {

inline constexpr std::array<const char*, 8> kCities = {"Suzhou",   "Shanghai", "Beijing",   "Chengdu",
                                                       "Hangzhou", "Wuhan",    "Singapore", "Berlin"};
inline constexpr std::array<const char*, 4> kTiers = {"basic", "silver", "gold", "platinum"};

}  // namespace bench
