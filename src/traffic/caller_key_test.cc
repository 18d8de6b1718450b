#include "traffic/caller_key.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace muster {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

TEST(CallerKey, HasItsForm) {
  SystemRandom random;
  const std::string text = MakeCallerKey(random);
  EXPECT_EQ(text.size(), 49U);
  EXPECT_TRUE(text.starts_with("mk_"));
  EXPECT_EQ(text.find_first_not_of(kDigits, 3), std::string::npos);
  const auto parts = ParseCallerKey(text);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->id, text.substr(3, 8));
  EXPECT_EQ(parts->secret, text.substr(11, 32));
}

// Pins the form for keys that are out in the world. The checksum is zlib's crc32 of the 40 characters, in base62.
TEST(CallerKey, AKeyThatWasGivenOutStaysValid) {
  EXPECT_TRUE(ParseCallerKey("mk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd0omAup"));
}

TEST(CallerKey, DiffersFromEveryOther) {
  SystemRandom random;
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(std::string(ParseCallerKey(MakeCallerKey(random))->id));
  EXPECT_EQ(ids.size(), 1000U);
}

TEST(CallerKey, EveryEditOfOneCharacterIsFound) {
  SeededRandom random(1);
  for (int round = 0; round < 20; ++round) {
    const std::string text = MakeCallerKey(random);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string edited = text;
        edited[at] = static_cast<char>(c);
        if (edited != text) EXPECT_FALSE(ParseCallerKey(edited)) << at << " " << c;
      }
    }
  }
}

TEST(CallerKey, EveryExchangeOfTwoCharactersIsFound) {
  SeededRandom random(2);
  for (int round = 0; round < 100; ++round) {
    const std::string text = MakeCallerKey(random);
    for (std::size_t a = 0; a < text.size(); ++a) {
      for (std::size_t b = a + 1; b < text.size(); ++b) {
        std::string edited = text;
        std::swap(edited[a], edited[b]);
        if (edited != text) EXPECT_FALSE(ParseCallerKey(edited)) << a << " " << b;
      }
    }
  }
}

TEST(CallerKey, EveryTruncationInsertionAndDeletionIsFound) {
  SeededRandom random(3);
  const std::string text = MakeCallerKey(random);
  for (std::size_t at = 0; at < text.size(); ++at) {
    EXPECT_FALSE(ParseCallerKey(text.substr(0, at)));
    std::string shorter = text;
    shorter.erase(at, 1);
    EXPECT_FALSE(ParseCallerKey(shorter));
    EXPECT_FALSE(ParseCallerKey(shorter + "0"));
    std::string longer = text;
    longer.insert(at, 1, 'x');
    EXPECT_FALSE(ParseCallerKey(longer));
  }
  EXPECT_FALSE(ParseCallerKey(text + " "));
}

RC_GTEST_PROP(CallerKey, AnyTextIsRefusedWithoutHarm, (const std::string& text)) {
  RC_ASSERT(!ParseCallerKey(text));
  RC_ASSERT(!ParseCallerKey("mk_" + text));
}

}  // namespace
}  // namespace muster
