#include "traffic/siphash.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

namespace muster {
namespace {

// The reference vectors (vectors_sip128 of github.com/veorq/SipHash): key 00..0f, text 00..(n-1).
TEST(SipHash, GivesTheReferenceVectors) {
  const SipHash hash({0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL});
  std::string text;
  for (char c = 0; c < 16; ++c) text += c;
  const auto bytes = [](std::uint64_t big_endian) { return std::byteswap(big_endian); };
  EXPECT_EQ(hash.Hash({}), (Digest128{bytes(0xa3817f04ba25a8e6ULL), bytes(0x6df67214c7550293ULL)}));
  EXPECT_EQ(hash.Hash(text.substr(0, 1)), (Digest128{bytes(0xda87c1d86b99af44ULL), bytes(0x347659119b22fc45ULL)}));
  EXPECT_EQ(hash.Hash(text.substr(0, 15)), (Digest128{bytes(0x5493e99933b0a811ULL), bytes(0x7e08ec0f97cfc3d9ULL)}));
}

TEST(SipHash, DependsOnEveryByteAndOnTheKey) {
  const SipHash hash({1, 2});
  const std::string text = "Bearer mk_0123456789012345678901234567890123456789abcdef";
  const Digest128 digest = hash.Hash(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = static_cast<char>(other[i] + 1);
    EXPECT_NE(hash.Hash(other), digest) << i;
    EXPECT_NE(hash.Hash(text.substr(0, i)), digest) << i;
  }
  EXPECT_NE(SipHash({2, 1}).Hash(text), digest);
}

}  // namespace
}  // namespace muster
