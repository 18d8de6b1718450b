#include "api/page_token.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"

namespace muster {
namespace {

constexpr Timestamp kNow(std::chrono::seconds(1'800'000'000));
constexpr MemberId kMember(7);

KeyedHash TestHash(std::uint64_t seed = 1) {
  SeededRandom random(seed);
  return KeyedHash(Keyring::Generate(random).hash_key());
}

TEST(PageTokenTest, IsRefusedToEverybodyElse) {
  KeyedHash hash = TestHash();
  const std::string token = MakePageToken(hash, "orders", kMember, Version(5), kNow);
  EXPECT_TRUE(ReadPageToken(hash, "orders", kMember, token, kNow));
  EXPECT_FALSE(ReadPageToken(hash, "coupons", kMember, token, kNow));
  EXPECT_FALSE(ReadPageToken(hash, "orders", MemberId(8), token, kNow));
  KeyedHash other = TestHash(2);
  EXPECT_FALSE(ReadPageToken(other, "orders", kMember, token, kNow));
}

TEST(PageTokenTest, ExpiresAndSaysSo) {
  KeyedHash hash = TestHash();
  const std::string token = MakePageToken(hash, "orders", kMember, Version(5), kNow);
  EXPECT_TRUE(ReadPageToken(hash, "orders", kMember, token, kNow + kPageTokenLifetime - Duration(1)));
  const auto late = ReadPageToken(hash, "orders", kMember, token, kNow + kPageTokenLifetime);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, Reason::kInvalidArgument);
  EXPECT_EQ(late.error().violations.at(0).field, "pageToken");
}

TEST(PageTokenTest, IsRefusedWhenMalformed) {
  KeyedHash hash = TestHash();
  const std::string token = MakePageToken(hash, "orders", kMember, Version(5), kNow);
  for (const std::string& text : {std::string(), std::string("x"), token + "A", token.substr(1), std::string(43, '!'),
                                  std::string(43, 'A'), std::string(4096, 'A')}) {
    const auto read = ReadPageToken(hash, "orders", kMember, text, kNow);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().reason, Reason::kInvalidArgument);
  }
}

RC_GTEST_PROP(PageTokenTest, ComesBackAsItWas, ()) {
  KeyedHash hash = TestHash();
  const Version version(*rc::gen::inRange<std::int64_t>(0, INT64_MAX));
  const auto caller = *rc::gen::arbitrary<std::string>();
  const std::string token = MakePageToken(hash, caller, kMember, version, kNow);
  RC_ASSERT(token.size() == 43u);
  RC_ASSERT(ReadPageToken(hash, caller, kMember, token, kNow).value() == version);
}

TEST(PageTokenTest, ThatOfASearchIsBoundToItsQuestion) {
  KeyedHash hash = TestHash();
  const SearchQueryText query{"city = \"Suzhou\"", "updateTime desc, id"};
  const SearchKey after{-5, MemberId(INT64_MAX)};
  const std::string token = MakeSearchToken(hash, "orders", query, after, kNow);
  EXPECT_EQ(ReadSearchToken(hash, "orders", query, token, kNow), after);
  EXPECT_FALSE(ReadSearchToken(hash, "coupons", query, token, kNow));
  EXPECT_FALSE(ReadSearchToken(hash, "orders", {query.filter, "id"}, token, kNow));
  EXPECT_FALSE(ReadSearchToken(hash, "orders", {"", query.order}, token, kNow));
  EXPECT_FALSE(ReadSearchToken(hash, "orders", query, token, kNow + kPageTokenLifetime));
  // Neither list takes the other's.
  EXPECT_FALSE(ReadPageToken(hash, "orders", kMember, token, kNow));
  EXPECT_FALSE(ReadSearchToken(hash, "orders", query, MakePageToken(hash, "orders", kMember, Version(5), kNow), kNow));
}

RC_GTEST_PROP(PageTokenTest, EveryChangeOfACharacterIsSeen, ()) {
  KeyedHash hash = TestHash();
  std::string token = MakePageToken(hash, "orders", kMember, Version(5), kNow);
  // The last character carries four bits; its two others are not part of the token.
  const auto at = *rc::gen::inRange<std::size_t>(0, token.size() - 1);
  const char replacement =
      *rc::gen::elementOf(std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"));
  RC_PRE(token[at] != replacement);
  token[at] = replacement;
  RC_ASSERT(!ReadPageToken(hash, "orders", kMember, token, kNow));
}

}  // namespace
}  // namespace muster
