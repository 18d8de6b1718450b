#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "domain/keyring.h"

namespace muster {
namespace {

SecretKey CountingKey() {
  SecretKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  return key;
}

// Computed with Python's hmac module over the length-prefixed parts. Never changes: every identity key on disk depends
// on it.
TEST(KeyedHashTest, IsWhatItEverWas) {
  KeyedHash hash(CountingKey());
  const std::array<std::string_view, 3> parts = {"phone", "", "+8613800000001"};
  EXPECT_EQ(ToHex(hash.Hash(parts)), "453724a2c763f590bfb20de08bac78958064dae5dc8bea3dc9bb122d4357839c");
  EXPECT_EQ(ToHex(hash.KeyOf("phone", "", "+8613800000001").bytes),
            std::string("453724a2c763f590bfb20de08bac78958064dae5dc8bea3dc9bb122d4357839c").substr(0, 32));
  EXPECT_EQ(ToHex(hash.KeyOf("unionid", "wechat", "oA1b2").bytes), "0d93b9b79e281f5b2ebde6e32f338e36");
  EXPECT_EQ(ToHex(hash.Hash({})), "d38b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb");
}

TEST(KeyedHashTest, WhereOnePartEndsMatters) {
  KeyedHash hash(CountingKey());
  EXPECT_NE(hash.KeyOf("ab", "c", "d"), hash.KeyOf("a", "bc", "d"));
  EXPECT_NE(hash.KeyOf("a", "b", ""), hash.KeyOf("a", "", "b"));
  const std::array<std::string_view, 2> two = {"a", ""};
  const std::array<std::string_view, 1> one = {"a"};
  EXPECT_NE(hash.Hash(two), hash.Hash(one));
}

TEST(KeyedHashTest, KindPlatformValueAndSecretAllCount) {
  KeyedHash hash(CountingKey());
  SecretKey other_key = CountingKey();
  other_key[31] ^= 1;
  KeyedHash other(other_key);
  const IdentityKey key = hash.KeyOf("openid", "wechat", "o1");
  EXPECT_EQ(hash.KeyOf("openid", "wechat", "o1"), key);
  EXPECT_NE(hash.KeyOf("unionid", "wechat", "o1"), key);
  EXPECT_NE(hash.KeyOf("openid", "alipay", "o1"), key);
  EXPECT_NE(hash.KeyOf("openid", "wechat", "o2"), key);
  EXPECT_NE(other.KeyOf("openid", "wechat", "o1"), key);
}

RC_GTEST_PROP(KeyedHashProperty, DifferentPartsHaveDifferentHashes,
              (std::vector<std::string> a, std::vector<std::string> b)) {
  a.resize(std::min(a.size(), KeyedHash::kPartsMax));
  b.resize(std::min(b.size(), KeyedHash::kPartsMax));
  KeyedHash hash(CountingKey());
  const std::vector<std::string_view> a_parts(a.begin(), a.end());
  const std::vector<std::string_view> b_parts(b.begin(), b.end());
  RC_ASSERT((hash.Hash(a_parts) == hash.Hash(b_parts)) == (a == b));
}

TEST(KeyedHashTest, MovesWithItsState) {
  KeyedHash hash(CountingKey());
  const IdentityKey key = hash.KeyOf("phone", "", "+8613800000001");
  KeyedHash moved(std::move(hash));
  EXPECT_EQ(moved.KeyOf("phone", "", "+8613800000001"), key);
}

}  // namespace
}  // namespace muster
