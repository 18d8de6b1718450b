#include "base/strong.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <type_traits>
#include <unordered_set>

namespace muster {
namespace {

using Apples = Strong<struct ApplesTag, std::int64_t>;
using Pears = Strong<struct PearsTag, std::int64_t>;

static_assert(!std::is_convertible_v<std::int64_t, Apples> && !std::is_convertible_v<Apples, std::int64_t>);
static_assert(!std::is_constructible_v<Apples, Pears> && !std::is_assignable_v<Apples&, Pears>);
static_assert(sizeof(Apples) == sizeof(std::int64_t));

TEST(Strong, OrdersAndHashesAsItsNumber) {
  EXPECT_LT(Apples(1), Apples(2));
  EXPECT_EQ(Apples().value(), 0);
  EXPECT_EQ((std::unordered_set<Apples>{Apples(1), Apples(2), Apples(1)}.size()), 2U);
}

}  // namespace
}  // namespace muster
