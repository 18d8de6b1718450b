#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace muster {

// A number that means one thing: MemberId, Version, ShardId … are each Strong<SomeTag, Representation>, so that none
// converts into another or into a bare integer without being asked (`value()`).
template <typename Tag, typename Representation>
class Strong {
 public:
  constexpr Strong() = default;
  constexpr explicit Strong(Representation value) : value_(value) {}

  constexpr Representation value() const { return value_; }
  friend constexpr auto operator<=>(const Strong&, const Strong&) = default;

 private:
  Representation value_{};
};

}  // namespace muster

template <typename Tag, typename Representation>
struct std::hash<muster::Strong<Tag, Representation>> {
  std::size_t operator()(const muster::Strong<Tag, Representation>& strong) const {
    return std::hash<Representation>{}(strong.value());
  }
};
