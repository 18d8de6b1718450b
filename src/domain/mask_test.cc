#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>

#include "base/encoding.h"
#include "domain/member_document.h"
#include "domain/testing/arbitrary_member.h"

namespace muster {
namespace {

TEST(MaskTest, Phones) {
  EXPECT_EQ(Mask("+8613800000001", MaskStyle::kPhone), "+86138****0001");
  EXPECT_EQ(Mask("+16502530000", MaskStyle::kPhone), "+1650****0000");
  EXPECT_EQ(Mask("+79161234567", MaskStyle::kPhone), "+7916****4567");
  EXPECT_EQ(Mask("+447711123456", MaskStyle::kPhone), "+44771****3456");
  EXPECT_EQ(Mask("+3531234567890", MaskStyle::kPhone), "+353123****7890") << "a country code of three digits";
  EXPECT_EQ(Mask("+4212345678901", MaskStyle::kPhone), "+421234****8901") << "421 is Slovakia; there is no 42";
}

TEST(MaskTest, ShortPhonesShowTheirLastDigitsOnly) {
  EXPECT_EQ(Mask("+85212345678", MaskStyle::kPhone), "****5678");
  EXPECT_EQ(Mask("+4912345", MaskStyle::kPhone), "****2345");
  EXPECT_EQ(Mask("+491234", MaskStyle::kPhone), "****") << "below eight characters";
}

TEST(MaskTest, WhatIsNoPhoneIsHiddenWhole) {
  for (const char* text : {"", "+", "+8", "13800000000", "+86138x0000001", "8613800000001+", "+86 13800000001"}) {
    EXPECT_EQ(Mask(text, MaskStyle::kPhone), "****") << text;
  }
}

TEST(MaskTest, Emails) {
  EXPECT_EQ(Mask("lilei@example.com", MaskStyle::kEmail), "l***@example.com");
  EXPECT_EQ(Mask("éa@b.cn", MaskStyle::kEmail), "é***@b.cn");
  EXPECT_EQ(Mask("l@example.com", MaskStyle::kEmail), "***@example.com");
  EXPECT_EQ(Mask("@example.com", MaskStyle::kEmail), "***@example.com");
  EXPECT_EQ(Mask("lilei", MaskStyle::kEmail), "***");
  EXPECT_EQ(Mask("", MaskStyle::kEmail), "***");
}

TEST(MaskTest, Tails) {
  EXPECT_EQ(Mask("4111111111116789", MaskStyle::kTail), "****6789");
  EXPECT_EQ(Mask("12345678", MaskStyle::kTail), "****5678");
  EXPECT_EQ(Mask("1234567", MaskStyle::kTail), "****");
  EXPECT_EQ(Mask("李李李李李李李", MaskStyle::kTail), "****") << "seven characters of three bytes";
  EXPECT_EQ(Mask("一二三四五六七八", MaskStyle::kTail), "****五六七八");
  EXPECT_EQ(Mask("", MaskStyle::kTail), "****");
}

TEST(MaskTest, Names) {
  EXPECT_EQ(Mask("Lei Li", MaskStyle::kName), "L***");
  EXPECT_EQ(Mask("李雷", MaskStyle::kName), "李***");
  EXPECT_EQ(Mask("李", MaskStyle::kName), "***");
  EXPECT_EQ(Mask("😀x", MaskStyle::kName), "😀***");
  EXPECT_EQ(Mask("", MaskStyle::kName), "***");
}

TEST(MaskTest, ABackslashHidesAll) {
  for (const MaskStyle style : {MaskStyle::kPhone, MaskStyle::kEmail, MaskStyle::kTail, MaskStyle::kName}) {
    EXPECT_EQ(Mask("a\\\"bcdefghijk@example.com", style), "***");
  }
}

TEST(MaskTest, StylesOfKinds) {
  EXPECT_EQ(MaskStyleOf("phone"), MaskStyle::kPhone);
  EXPECT_EQ(MaskStyleOf("email"), MaskStyle::kEmail);
  for (const char* kind : {"unionid", "openid", "card", "account", "document", "anything"}) {
    EXPECT_EQ(MaskStyleOf(kind), MaskStyle::kTail);
  }
}

// A phone shows at most its country code, three digits and the last four, with four hidden ones or more between them or
// a country code that is hidden too.
RC_GTEST_PROP(MaskProperty, APhoneShowsNoMoreThanItsStyle, ()) {
  const std::string digits = *rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>('0', '9' + 1)));
  const std::string masked = Mask("+" + digits, MaskStyle::kPhone);
  const std::size_t stars = masked.find("****");
  RC_ASSERT(stars != std::string::npos);
  const std::string before = masked.substr(0, stars);
  const std::string after = masked.substr(stars + 4);
  RC_ASSERT(after.size() <= 4u);
  RC_ASSERT(before.size() <= 1u + 3u + 3u);
  RC_ASSERT(("+" + digits).starts_with(before));
  RC_ASSERT(digits.ends_with(after));
  RC_ASSERT(before.empty() || digits.size() + 1 >= before.size() + after.size() + 3);
  if (digits.size() < 7) RC_ASSERT(masked == "****");
}

RC_GTEST_PROP(MaskProperty, TheMaskOfATextIsValidAndSaysLittle, ()) {
  const std::string text = *testing::ArbitraryText(64);
  const MaskStyle style = *rc::gen::element(MaskStyle::kPhone, MaskStyle::kEmail, MaskStyle::kTail, MaskStyle::kName);
  const std::string masked = Mask(text, style);
  RC_ASSERT(IsValidUtf8(masked));
  RC_ASSERT(IsMasked(masked));
  const auto characters = [](std::string_view utf8) {
    return std::ranges::count_if(utf8, [](char c) { return (c & 0xc0) != 0x80; });
  };
  // What is hidden of an e-mail address is the part before the @.
  const std::size_t at = style == MaskStyle::kEmail ? text.rfind('@') : std::string::npos;
  const std::string shown = at == std::string::npos ? masked : masked.substr(0, masked.size() - (text.size() - at));
  const auto limit = style == MaskStyle::kTail ? 4 + 4 : style == MaskStyle::kPhone ? 1 + 6 + 4 + 4 : 1 + 3;
  RC_ASSERT(characters(shown) <= limit);
}

}  // namespace
}  // namespace muster
