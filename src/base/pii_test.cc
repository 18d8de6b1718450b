#include "base/pii.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <ostream>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "base/log.h"

namespace muster {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };
template <typename T>
concept Appendable = requires(std::string& out, const T& value) { out += value; };
template <typename T>
concept Loggable = std::is_constructible_v<LogField, std::string_view, T>;

// The concepts do recognise what can be printed ...
static_assert(Streamable<std::string> && Appendable<std::string> && Loggable<std::string>);
static_assert(fmt::is_formattable<std::string>::value && fmt::is_formattable<std::vector<std::string>>::value);

// ... and a personal value cannot, by itself or inside of something.
static_assert(!Streamable<Pii<std::string>> && !Streamable<Pii<int>>);
static_assert(!Appendable<Pii<std::string>>);
static_assert(!Loggable<Pii<std::string>> && !Loggable<const Pii<std::string>&> && !Loggable<Pii<bool>>);
static_assert(!fmt::is_formattable<Pii<std::string>>::value);
static_assert(!fmt::is_formattable<Pii<std::vector<std::string>>>::value);
static_assert(!fmt::is_formattable<std::vector<Pii<std::string>>>::value);

// Nothing converts in or out of it unasked.
static_assert(!std::is_convertible_v<std::string, Pii<std::string>>);
static_assert(!std::is_convertible_v<Pii<std::string>, std::string>);
static_assert(!std::is_convertible_v<Pii<std::string>, std::string_view>);

// A pointer would be logged as "true".
static_assert(!Loggable<const void*> && !Loggable<int*>);

TEST(Pii, RevealsWhatItHolds) {
  const Pii<std::string> name(std::string("Li Lei"));
  EXPECT_EQ(name.Reveal(), "Li Lei");
  EXPECT_FALSE(name.empty());
  EXPECT_TRUE(Pii<std::string>().empty());
}

TEST(Pii, ComparesAndCopiesAsItsContent) {
  const Pii<std::string> one(std::string("a"));
  const Pii<std::string> copy = one;
  EXPECT_TRUE(one == copy);
  EXPECT_TRUE(one != Pii<std::string>(std::string("b")));
}

}  // namespace
}  // namespace muster
