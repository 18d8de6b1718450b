#include "domain/hmac_sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/encoding.h"

namespace muster {
namespace {

std::vector<std::uint8_t> Repeat(std::uint8_t byte, std::size_t count) {
  return std::vector<std::uint8_t>(count, byte);
}

std::string Hmac(const std::vector<std::uint8_t>& key, std::vector<std::string_view> parts) {
  HmacSha256 hmac(key);
  return ToHex(hmac.Hash(parts));
}

std::vector<std::uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

// RFC 4231, section 4; its cases 6 and 7 have keys that are longer than a block, which this class does not take.
TEST(HmacSha256Test, Rfc4231) {
  EXPECT_EQ(Hmac(Repeat(0x0b, 20), {"Hi There"}), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hmac(Bytes("Jefe"), {"what do ya want for nothing?"}),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hmac(Repeat(0xaa, 20), {std::string(50, '\xdd')}),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  std::vector<std::uint8_t> counting;
  for (std::uint8_t i = 1; i <= 25; ++i) counting.push_back(i);
  EXPECT_EQ(Hmac(counting, {std::string(50, '\xcd')}),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  EXPECT_TRUE(Hmac(Repeat(0x0c, 20), {"Test With Truncation"}).starts_with("a3b6167473100ee06e0c796c2955552b"));
}

TEST(HmacSha256Test, PartsAreConcatenated) {
  EXPECT_EQ(Hmac(Bytes("Jefe"), {"what do ya ", "", "want for nothing?"}),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(HmacSha256Test, OneObjectHashesManyMessages) {
  HmacSha256 hmac(Bytes("Jefe"));
  const std::vector<std::string_view> message = {"what do ya want for nothing?"};
  const std::vector<std::string_view> other = {"other"};
  const auto first = hmac.Hash(message);
  EXPECT_NE(hmac.Hash(other), first);
  EXPECT_EQ(hmac.Hash(message), first);
}

}  // namespace
}  // namespace muster
