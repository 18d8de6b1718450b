#include "domain/normalise.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <string>
#include <vector>

#include "base/encoding.h"
#include "domain/member_document.h"
#include "domain/normalise_unicode.h"
#include "domain/testing/arbitrary_member.h"

namespace muster {
namespace {

using namespace std::string_literals;
using enum Normaliser;

constexpr Normaliser kAll[] = {kPhone, kEmail, kOpaque, kCard, kAccount, kDocument};

void ExpectValue(Normaliser normaliser, std::string_view value, std::string_view expected) {
  const Normalised normalised = NormaliseValue(normaliser, value, "CN");
  ASSERT_TRUE(normalised) << value << ": " << normalised.error();
  EXPECT_EQ(*normalised, expected);
}

void ExpectRefused(Normaliser normaliser, std::string_view value) {
  const Normalised normalised = NormaliseValue(normaliser, value, "CN");
  ASSERT_FALSE(normalised) << value;
  EXPECT_TRUE(normalised.error().starts_with("must be ") || normalised.error().starts_with("must not ") ||
              normalised.error().starts_with("its check ") || normalised.error().starts_with("looks like a masked "))
      << normalised.error();
}

TEST(NormaliseTest, NoKindTakesNulInvalidUtf8OrTooMuch) {
  for (const Normaliser normaliser : kAll) {
    for (const std::string& bad : {""s, " "s, "\0"s, "1234\0005678"s, "\xff"s, "a@b.cn\xc3"s, "\xed\xa0\x80"s,
                                   "\xc0\x80"s, "1234\nabcd"s, std::string(513, 'a'), std::string(1 << 20, '1')}) {
      ExpectRefused(normaliser, bad);
    }
  }
}

TEST(NormaliseTest, NoKindTakesAMask) {
  for (const Normaliser normaliser : kAll) {
    for (const char* mask : {"z***@mask.example", "***@mask.example", "+86138****0001", "****6789", "****", "***"}) {
      const Normalised normalised = NormaliseValue(normaliser, mask, "CN");
      ASSERT_FALSE(normalised) << mask;
      EXPECT_TRUE(normalised.error().starts_with("looks like a masked value")) << normalised.error();
    }
  }
  ExpectValue(kAccount, "a**b", "a**b");
  ExpectValue(kEmail, "**@a.cn", "**@a.cn");
}

TEST(NormaliseTest, EveryKindIsTrimmedAlike) {
  const std::vector<std::pair<Normaliser, std::string>> values = {
      {kPhone, "+8613800000001"}, {kPhone, "+442070313000"},         {kEmail, "li@a.cn"},
      {kOpaque, "oA1b2"},         {kCard, "4111111111111111"},       {kAccount, "Li"},
      {kDocument, "E12345678"},   {kDocument, "11010519491231002X"}, {kEmail, "é@a.cn"}};
  for (const auto& [normaliser, value] : values) {
    for (const std::string space : {" ", "\t", "\n", "\r\n", "\u00a0", "\u3000", " \t\n"}) {
      ExpectValue(normaliser, space + value, value);
      ExpectValue(normaliser, value + space, value);
      ExpectValue(normaliser, space + value + space, value);
    }
  }
}

TEST(NormaliseEmailTest, IsTrimmedAndLowered) {
  ExpectValue(kEmail, "Li.Lei@Example.COM", "li.lei@example.com");
  ExpectValue(kEmail, " \t li@a.cn \n", "li@a.cn");
  ExpectValue(kEmail, "\u3000li@a.cn\u00a0", "li@a.cn");
  ExpectValue(kEmail, "a+b_c-d!#$%&'*/=?^`{|}~@a-b.c-d.example", "a+b_c-d!#$%&'*/=?^`{|}~@a-b.c-d.example");
  ExpectValue(kEmail, "double..dot.@docomo.ne.jp", "double..dot.@docomo.ne.jp");  // they exist
  ExpectValue(kEmail, "1@2.3", "1@2.3");
}

TEST(NormaliseEmailTest, HasOneSpellingInAllScripts) {
  ExpectValue(kEmail, "李雷@例子.中国", "李雷@xn--fsqu00a.xn--fiqs8s");
  for (const char* spelling : {"li.lei@例子.中国", "li.lei@xn--fsqu00a.xn--fiqs8s", "Li.Lei@XN--FSQU00A.xn--fiqs8s",
                               "li.lei＠例子。中国", "ｌｉ.lei@例子．中国", "li.lei@xn--fsqu00a.中国"}) {
    ExpectValue(kEmail, spelling, "li.lei@xn--fsqu00a.xn--fiqs8s");
  }
  for (const char* spelling :
       {"éric@example.com", "e\u0301ric@example.com", "Éric@Example.com", "E\u0301RIC@example.com"}) {
    ExpectValue(kEmail, spelling, "éric@example.com");
  }
  ExpectValue(kEmail, "ÉA@MÜNCHEN.de", "éa@xn--mnchen-3ya.de");
  ExpectValue(kEmail, "äb@xx.de", "äb@xx.de");
  ExpectValue(kEmail, "ÄB@xx.de", "äb@xx.de");
  ExpectValue(kEmail, "ｌｉ@example.com", "li@example.com");
  ExpectValue(kEmail, "ＬＩ＠ＥＸＡＭＰＬＥ．ＣＯＭ", "li@example.com");
  ExpectValue(kEmail, "é@r3--x.cn", "é@r3--x.cn");
  ExpectValue(kEmail, "é@r3--ü.cn", "é@xn--r3---3ra.cn");
}

// IDNA 2008 made these domains different; the same letters before the @ are folded.
TEST(NormaliseEmailTest, ADomainWithAnEszettIsAnotherThanOneWithSs) {
  ExpectValue(kEmail, "li@straße.de", "li@xn--strae-oqa.de");
  ExpectValue(kEmail, "li@strasse.de", "li@strasse.de");
  ExpectValue(kEmail, "Straße@a.de", "strasse@a.de");
}

TEST(NormaliseEmailTest, RefusesInternationalDomainsThatCannotBe) {
  for (const char* bad : {"li@xn--a.cn", "li@xn--.cn", "li@xn--fsqu00a\u0301.cn", "li@xn--strasse-.de", "é@a_b.cn",
                          "li@-例.cn", "li@例..cn", "li@例子", "li@例子.中国.", "li@\u0301例.cn", "li@a\u05d0.cn",
                          "li@\ufffd.cn", "li@a@例.cn", "li@例＠b.cn", "l¨i@a.cn", "li\u00a0@例.cn", "＊＊＊@a.cn"}) {
    ExpectRefused(kEmail, bad);
  }
}

TEST(NormaliseEmailTest, RefusesWhatIsNoAddress) {
  for (const char* bad : {"li",
                          "@a.cn",
                          "li@",
                          "li@cn",
                          "li@@a.cn",
                          "li@a@b.cn",
                          "li lei@a.cn",
                          "li@a .cn",
                          "li@.cn",
                          "li@a.",
                          "li@a..cn",
                          "li@-a.cn",
                          "li@a-.cn",
                          "li@a_b.cn",
                          "li@[1.2.3.4]",
                          "\"li\"@a.cn",
                          "li(x)@a.cn",
                          "<li@a.cn>",
                          "li,x@a.cn",
                          "li;x@a.cn",
                          "li:x@a.cn",
                          "li\\x@a.cn",
                          "li@a.cn,b.cn",
                          "li\u200b@a.cn",
                          "li\u00a0x@a.cn",
                          "li@a\u3000b.cn",
                          "li\u202e@a.cn",
                          "li\u0085@a.cn",
                          "li\x7f@a.cn",
                          "mailto:li@a.cn",
                          "li@a.cn?x"}) {
    ExpectRefused(kEmail, bad);
  }
}

TEST(NormaliseEmailTest, Lengths) {
  const std::string label(63, 'd');
  ExpectValue(kEmail, std::string(64, 'l') + "@a.cn", std::string(64, 'l') + "@a.cn");
  ExpectRefused(kEmail, std::string(65, 'l') + "@a.cn");
  ExpectValue(kEmail, "l@" + label + ".cn", "l@" + label + ".cn");
  ExpectRefused(kEmail, "l@" + label + "d.cn");
  const std::string longest = std::string(62, 'l') + "@" + label + "." + label + "." + label;  // 62 + 1 + 191
  ASSERT_EQ(longest.size(), 254u);
  ExpectValue(kEmail, longest, longest);
  ExpectRefused(kEmail, "l" + longest);
}

TEST(NormaliseOpaqueTest, KeepsCaseAndRefusesWhatCannotBeTyped) {
  ExpectValue(kOpaque, " oA1b2-_C ", "oA1b2-_C");
  ExpectValue(kOpaque, "!~", "!~");
  ExpectValue(kOpaque, std::string(128, 'o'), std::string(128, 'o'));
  for (const std::string& bad : {"o A"s, "o\tA"s, "oé"s, "o\x7f"s, std::string(129, 'o')}) ExpectRefused(kOpaque, bad);
}

TEST(NormaliseAccountTest, KeepsAllButSpaceAround) {
  ExpectValue(kAccount, " Li Lei 李雷 😀 ", "Li Lei 李雷 😀");
  ExpectValue(kAccount, std::string(128, 'a'), std::string(128, 'a'));
  for (const std::string& bad :
       {"a\tb"s, "a\x1b"s, "a\u0085"s, "a\u200bb"s, "a\u202eb"s, "a\u3164b"s, "a\ufe0fb"s, "a\u180eb"s, "a\u034fb"s,
        "a\u00a0b"s, "a\u2003b"s, "a\U000e0041b"s, "\ufeffa"s, "a\u00adb"s, "a\u2028b"s, std::string(129, 'a')}) {
    ExpectRefused(kAccount, bad);
  }
}

TEST(NormaliseAccountTest, CanonicalSpellingsAreOne) {
  ExpectValue(kAccount, "José", "José");
  ExpectValue(kAccount, "Jose\u0301", "José");
  ExpectValue(kAccount, "\u212bngstro\u0308m", "Ångström");
  ExpectValue(kAccount, "\u1112\u1161\u11ab", "한");
  ExpectValue(kAccount, "ＬＩ ﬁ", "ＬＩ ﬁ");  // looks different, is different
}

TEST(NormaliseCardTest, GroupsGoAndTheCheckDigitCounts) {
  ExpectValue(kCard, "4111 1111 1111 1111", "4111111111111111");
  ExpectValue(kCard, "4111-1111-1111-1111", "4111111111111111");
  ExpectValue(kCard, "6222020000000000000", "6222020000000000000");  // 19 digits
  ExpectValue(kCard, "4222222222222", "4222222222222");              // 13
  ExpectValue(kCard, "2900000000018", "2900000000018");              // EAN-13, of those that shops give out themselves
  ExpectValue(kCard, "4 006381-333931", "4006381333931");            // the example of GS1
  ExpectValue(kCard, "vip-00012", "VIP00012");
  ExpectValue(kCard, "1234", "1234");
  ExpectValue(kCard, "123456789012", "123456789012");                  // 12: no check digit
  ExpectValue(kCard, "12345678901234567890", "12345678901234567890");  // 20
  ExpectValue(kCard, "A111111111111112", "A111111111111112");          // not all digits
  for (const std::string& bad : {"4111111111111112"s, "4111111111111121"s, "1234567890123"s, "123"s, "12 3"s,
                                 "1234_5678"s, "1234５678"s, std::string(33, 'A')}) {
    ExpectRefused(kCard, bad);
  }
}

TEST(NormaliseCardTest, LuhnFindsEveryWrongDigit) {
  const std::string card = "4111111111111111";
  for (std::size_t at = 0; at < card.size(); ++at) {
    for (char digit = '0'; digit <= '9'; ++digit) {
      std::string changed = card;
      changed[at] = digit;
      EXPECT_EQ(NormaliseValue(kCard, changed, "CN").has_value(), changed == card) << changed;
    }
  }
}

TEST(NormaliseCardTest, OnlyThirteenDigitsMayBeAnEan) {
  for (const char* bad : {"2900000000014", "29000000000018", "00002900000000018"}) ExpectRefused(kCard, bad);
  const std::string card = "2900000000018";
  for (std::size_t at = 0; at < card.size(); ++at) {
    int accepted = 0;
    for (char digit = '0'; digit <= '9'; ++digit) {
      std::string changed = card;
      changed[at] = digit;
      accepted += NormaliseValue(kCard, changed, "CN").has_value() ? 1 : 0;
    }
    EXPECT_LE(accepted, 2) << "one by each rule, at " << at;
  }
}

TEST(NormaliseDocumentTest, ResidentIdsPassTheirCheck) {
  ExpectValue(kDocument, "11010519491231002x", "11010519491231002X");  // the example of GB 11643
  ExpectValue(kDocument, "110105 19491231 002X", "11010519491231002X");
  ExpectValue(kDocument, "440524188001010014", "440524188001010014");
  ExpectValue(kDocument, "e12345678", "E12345678");
  ExpectValue(kDocument, "ABCDEFGHIJKLMNOPQR", "ABCDEFGHIJKLMNOPQR");  // 18 letters
  ExpectValue(kDocument, "110105491231002", "110105491231002");        // 15 digits, as before 1999
  for (const char* bad : {"110105194912310021", "11010519491231003X", "440524188001010015", "X21", "a/b/c/d"}) {
    ExpectRefused(kDocument, bad);
  }
}

TEST(NormaliseDocumentTest, TheCheckFindsEveryWrongCharacter) {
  const std::string id = "11010519491231002X";
  for (std::size_t at = 0; at < id.size(); ++at) {
    for (const char character : std::string("0123456789X")) {
      if (character == 'X' && at != 17) continue;
      std::string changed = id;
      changed[at] = character;
      EXPECT_EQ(NormaliseValue(kDocument, changed, "CN").has_value(), changed == id) << changed;
    }
  }
}

TEST(TrimSpaceTest, TakesSpaceOffBothEnds) {
  EXPECT_EQ(TrimSpace(" \t\r\n\u3000\u00a0 a b \u3000"), "a b");
  EXPECT_EQ(TrimSpace(" \u3000 "), "");
  EXPECT_EQ(TrimSpace(""), "");
  EXPECT_EQ(TrimSpace("\u3001"), "\u3001") << "shares two bytes with a space";
}

TEST(HasControlCharacterTest, C0DelAndC1) {
  for (const std::string& text : {"\x01"s, "\x1f"s, "\x7f"s, "\u0080"s, "\u009f"s, "李\u0085"s})
    EXPECT_TRUE(HasControlCharacter(text));
  for (const std::string& text : {""s, " "s, "~"s, "\u00a0"s, "李雷"s, "😀"s, "\U0010ffff"s})
    EXPECT_FALSE(HasControlCharacter(text));
}

rc::Gen<std::string> ArbitraryInput() {
  return rc::gen::oneOf(rc::gen::arbitrary<std::string>(), testing::ArbitraryText(100),
                        rc::gen::container<std::string>(rc::gen::elementOf("0123456789+-() .@aAzZxX_"s)),
                        rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
                                         "a", "@", ".", "cn", "1", "李", " ", "\u3000", "-", "138")),
                                     [](const std::vector<std::string>& pieces) {
                                       std::string text;
                                       for (const std::string& piece : pieces) text += piece;
                                       return text;
                                     }));
}

RC_GTEST_PROP(NormaliseProperty, TwiceIsOnceAndTheResultIsClean, ()) {
  const Normaliser normaliser = *rc::gen::elementOf(std::vector<Normaliser>(std::begin(kAll), std::end(kAll)));
  const std::string region = *rc::gen::element<std::string>("CN", "US", "GB", "IT", "AR");
  const std::string value = *ArbitraryInput();
  const Normalised once = NormaliseValue(normaliser, value, region);
  if (!once) return;
  RC_ASSERT(!once->empty());
  RC_ASSERT(IsValidUtf8(*once));
  RC_ASSERT(!HasControlCharacter(*once));
  RC_ASSERT(once->size() <= 254u);
  RC_ASSERT((NormaliseValue(normaliser, *once, region) == once));
  // What is stored does not depend on the region under which it is read again.
  RC_ASSERT((NormaliseValue(normaliser, *once, "DE") == once));
}

// Text of marks that combine, in every order, of letters that decompose, and of what they fold to.
rc::Gen<std::string> ArbitraryUnicode() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
                          "e", "E", "é", "É", "\u0301", "\u0323", "\u0308", "ạ\u0301", "Å", "\u212b", "한", "\u1112",
                          "\u1161", "\u11ab", "ß", "ẞ", "İ", "ı", "ς", "Σ", "ﬁ", "Ａ", "ａ", "１", "例", "子", "。",
                          "．", "＊", "*", "ǆ", "ϓ\u0301", "ﬀ", "\u0345", "ᾳ", "Ω", "\u2126", "-", "1", ".", "@", "＠",
                          "א", "xn--", "\u1e9b\u0323", "\U0001d15f")),
                      [](const std::vector<std::string>& pieces) {
                        std::string text;
                        for (const std::string& piece : pieces) {
                          if (text.size() + piece.size() <= 100) text += piece;
                        }
                        return text;
                      });
}

std::string Decompose(const std::string& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* const normalizer = icu::Normalizer2::getNFDInstance(status);
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  normalizer->normalizeUTF8(0, text, sink, nullptr, status);
  RC_ASSERT(U_SUCCESS(status));
  return out;
}

RC_GTEST_PROP(NormaliseProperty, CanonicallyEquivalentValuesAreOne, ()) {
  const Normaliser normaliser = *rc::gen::element(kEmail, kAccount, kOpaque, kCard);
  std::string value = *ArbitraryUnicode();
  if (normaliser == kEmail) value += "@" + *ArbitraryUnicode() + *rc::gen::element<std::string>("", ".cn", ".中国");
  const Normalised composed = NormaliseValue(normaliser, Compose(value), "CN");
  RC_ASSERT((NormaliseValue(normaliser, value, "CN") == composed));
  RC_ASSERT((NormaliseValue(normaliser, Decompose(value), "CN") == composed));
  if (!composed) return;
  RC_ASSERT((NormaliseValue(normaliser, *composed, "CN") == composed));
  RC_ASSERT(!IsMasked(*composed));
}

// Whoever is shown only the mask of a value cannot find or bind anything by it.
RC_GTEST_PROP(NormaliseProperty, WhatIsShownMaskedIsNoValue, ()) {
  const Normaliser normaliser = *rc::gen::elementOf(std::vector<Normaliser>(std::begin(kAll), std::end(kAll)));
  const MaskStyle style = *rc::gen::element(MaskStyle::kPhone, MaskStyle::kEmail, MaskStyle::kTail, MaskStyle::kName);
  RC_ASSERT(!NormaliseValue(normaliser, Mask(*ArbitraryInput(), style), "CN").has_value());
}

}  // namespace
}  // namespace muster
