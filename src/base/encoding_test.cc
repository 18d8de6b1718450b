#include "base/encoding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace muster {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes BytesOf(std::string_view text) { return Bytes(text.begin(), text.end()); }

TEST(Hex, WritesLowerCase) { EXPECT_EQ(ToHex(Bytes{0x00, 0x0F, 0xA5, 0xFF}), "000fa5ff"); }

TEST(Hex, ReadsEitherCase) { EXPECT_EQ(FromHex("00Fa5fFF"), (Bytes{0x00, 0xFA, 0x5F, 0xFF})); }

TEST(Hex, RefusesWhatIsNotHex) {
  for (const std::string_view text : {"0", "abc", "0g", "g0", "0x", " 0", "0 ", "00\n", "-1", "\xC3\xA9"}) {
    EXPECT_EQ(FromHex(text), std::nullopt) << text;
  }
  EXPECT_EQ(FromHex(std::string_view("0\0", 2)), std::nullopt);
}

TEST(Hex, NothingIsNothing) {
  EXPECT_EQ(ToHex({}), "");
  EXPECT_EQ(FromHex(""), Bytes{});
}

RC_GTEST_PROP(Hex, ComesBack, (const Bytes& bytes)) { RC_ASSERT(FromHex(ToHex(bytes)) == bytes); }

// The vectors of RFC 4648, section 10, without their padding.
TEST(Base64Url, MatchesTheStandardsVectors) {
  const std::array<std::pair<std::string_view, std::string_view>, 7> vectors = {{{"", ""},
                                                                                 {"f", "Zg"},
                                                                                 {"fo", "Zm8"},
                                                                                 {"foo", "Zm9v"},
                                                                                 {"foob", "Zm9vYg"},
                                                                                 {"fooba", "Zm9vYmE"},
                                                                                 {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(ToBase64Url(BytesOf(plain)), encoded);
    EXPECT_EQ(FromBase64Url(encoded), BytesOf(plain)) << encoded;
  }
}

TEST(Base64Url, UsesTheUrlAlphabet) {
  EXPECT_EQ(ToBase64Url(Bytes{0xFB, 0xFF, 0xBF}), "-_-_");
  EXPECT_EQ(FromBase64Url("-_-_"), (Bytes{0xFB, 0xFF, 0xBF}));
}

TEST(Base64Url, RefusesEverySecondSpelling) {
  // Padding, the other alphabet, blanks, a length no bytes have, and left-over bits that are not zero.
  for (const std::string_view text : {"Zg==", "Zm8=", "+_+_", "//8A", "Zm9v\n", " Zm9", "Z", "Zm9vY", "Zh", "Zm9"}) {
    EXPECT_EQ(FromBase64Url(text), std::nullopt) << text;
  }
  EXPECT_EQ(FromBase64Url(std::string_view("Zm\0v", 4)), std::nullopt);
  EXPECT_EQ(FromBase64Url("Zm\xC3\xA9"), std::nullopt);
}

RC_GTEST_PROP(Base64Url, ComesBack, (const Bytes& bytes)) { RC_ASSERT(FromBase64Url(ToBase64Url(bytes)) == bytes); }

RC_GTEST_PROP(Base64Url, WhatIsAcceptedHasOneSpelling, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element('A', 'Q', 'g', 'w', 'Z', 'h', '-', '_', '='));
  if (const auto bytes = FromBase64Url(text)) RC_ASSERT(ToBase64Url(*bytes) == text);
}

TEST(Timestamp, HasAsFewDigitsAsSayIt) {
  EXPECT_EQ(FormatTimestamp(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatTimestamp(1'767'323'045'000'000), "2026-01-02T03:04:05Z");
  EXPECT_EQ(FormatTimestamp(1'767'323'045'120'000), "2026-01-02T03:04:05.120Z");
  EXPECT_EQ(FormatTimestamp(1'767'323'045'000'123), "2026-01-02T03:04:05.000123Z");
  EXPECT_EQ(FormatTimestamp(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(FormatTimestamp(951'782'400'000'000), "2000-02-29T00:00:00Z");
}

TEST(Timestamp, FormattingClampsToTheYearsOfProtobuf) {
  EXPECT_EQ(FormatTimestamp(INT64_MIN), "0001-01-01T00:00:00Z");
  EXPECT_EQ(FormatTimestamp(INT64_MAX), "9999-12-31T23:59:59.999999Z");
}

TEST(Timestamp, ReadsOffsetsAndFractions) {
  constexpr std::int64_t kWhole = 1'767'323'045'000'000;
  EXPECT_EQ(ParseTimestamp("2026-01-02T03:04:05Z"), kWhole);
  EXPECT_EQ(ParseTimestamp("2026-01-02t03:04:05z"), kWhole);
  EXPECT_EQ(ParseTimestamp("2026-01-02T11:04:05+08:00"), kWhole);
  EXPECT_EQ(ParseTimestamp("2026-01-01T21:34:05-05:30"), kWhole);
  EXPECT_EQ(ParseTimestamp("2026-01-02T03:04:05-00:00"), kWhole);
  EXPECT_EQ(ParseTimestamp("2026-01-02T03:04:05.1Z"), kWhole + 100'000);
  EXPECT_EQ(ParseTimestamp("2026-01-02T03:04:05.000123Z"), kWhole + 123);
  EXPECT_EQ(ParseTimestamp("2026-01-02T03:04:05.000123999Z"), kWhole + 123);
  // Before 1970 too the digits beyond microseconds are cut, not rounded to zero.
  EXPECT_EQ(ParseTimestamp("1969-12-31T23:59:59.9999999Z"), -1);
}

TEST(Timestamp, RefusesWhatIsNotRfc3339) {
  for (const std::string_view text : {"",
                                      "2026",
                                      "2026-01-02",
                                      "2026-01-02T03:04:05",
                                      "2026-01-02 03:04:05Z",
                                      "2026-01-02T03:04Z",
                                      "2026-01-02T03:04:05.Z",
                                      "2026-01-02T03:04:05.1234567890Z",
                                      "2026-01-02T03:04:05,1Z",
                                      "2026-1-2T03:04:05Z",
                                      "2026-01-02T03:04:05+8:00",
                                      "2026-01-02T03:04:05+0800",
                                      "2026-01-02T03:04:05+08",
                                      "2026-01-02T03:04:05ZZ",
                                      " 2026-01-02T03:04:05Z",
                                      "2026-01-02T03:04:05Z ",
                                      "+2026-01-02T03:04:05Z",
                                      "02026-01-02T03:04:05Z",
                                      "2026-01-02T-3:04:05Z",
                                      "2026-01-02T03:04:05.-1Z"}) {
    EXPECT_EQ(ParseTimestamp(text), std::nullopt) << text;
  }
}

TEST(Timestamp, RefusesDatesAndTimesThatDoNotExist) {
  for (const std::string_view text :
       {"2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2016-12-31T23:59:60Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60",
        // Outside the years 1 to 9999, by themselves or once the offset is applied.
        "0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"}) {
    EXPECT_EQ(ParseTimestamp(text), std::nullopt) << text;
  }
  EXPECT_NE(ParseTimestamp("0001-01-01T00:00:00Z"), std::nullopt);
  EXPECT_NE(ParseTimestamp("9999-12-31T23:59:59.999999999Z"), std::nullopt);
}

RC_GTEST_PROP(Timestamp, ComesBack, ()) {
  const auto micros = *rc::gen::inRange<std::int64_t>(-62'135'596'800'000'000, 253'402'300'800'000'000);
  RC_ASSERT(ParseTimestamp(FormatTimestamp(micros)) == micros);
}

RC_GTEST_PROP(Timestamp, TextsOrderAsTheirTimesDo, ()) {
  const auto seconds = rc::gen::inRange<std::int64_t>(-62'135'596'800, 253'402'300'800);
  const auto a = *seconds;
  const auto b = *seconds;
  RC_ASSERT((FormatTimestamp(a * 1'000'000) < FormatTimestamp(b * 1'000'000)) == (a < b));
}

RC_GTEST_PROP(Timestamp, NoTextIsTooStrange, ()) {
  auto text = FormatTimestamp(*rc::gen::inRange<std::int64_t>(0, 4'000'000'000'000'000));
  const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  text[at] = *rc::gen::arbitrary<char>();
  if (const auto micros = ParseTimestamp(text)) RC_ASSERT(ParseTimestamp(FormatTimestamp(*micros)) == micros);
}

// Decodes by the arithmetic of the encoding alone, one code point after the other.
bool IsValidUtf8ByArithmetic(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<std::uint8_t>(text[at]);
    std::size_t length = 0;
    std::uint32_t point = 0;
    if ((lead & 0x80) == 0) {
      length = 1;
      point = lead;
    } else if ((lead & 0xE0) == 0xC0) {
      length = 2;
      point = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
      length = 3;
      point = lead & 0x0F;
    } else if ((lead & 0xF8) == 0xF0) {
      length = 4;
      point = lead & 0x07;
    } else {
      return false;
    }
    if (at + length > text.size()) return false;
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<std::uint8_t>(text[at + i]);
      if ((next & 0xC0) != 0x80) return false;
      point = point << 6 | (next & 0x3F);
    }
    constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    at += length;
  }
  return true;
}

// Every byte at which the rules change.
constexpr std::string_view kEdges(
    "\x00\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xF8\xFF", 26);

TEST(Utf8, AgreesWithTheArithmeticOnEveryEdge) {
  std::string text(4, '\0');
  for (const char a : kEdges) {
    for (const char b : kEdges) {
      for (const char c : kEdges) {
        for (const char d : kEdges) {
          text = {a, b, c, d};
          ASSERT_EQ(IsValidUtf8(text), IsValidUtf8ByArithmetic(text)) << ToHex(BytesOf(text));
        }
      }
    }
  }
}

RC_GTEST_PROP(Utf8, AgreesWithTheArithmeticWhereverTheWordsEnd, ()) {
  const auto part = rc::gen::element<std::string>("a", "plain ASCII text of some length", "\xC3\xA9", "\xE6\x9D\x8E",
                                                  "\xF0\x9F\x98\x80", "\xED\xA0\x80", "\xC0\x80", "\xE6\x9D", "\xFF");
  std::string text;
  for (const std::string& piece : *rc::gen::container<std::vector<std::string>>(part)) text += piece;
  RC_ASSERT(IsValidUtf8(text) == IsValidUtf8ByArithmetic(text));
}

TEST(Utf8, SequencesAreMeasured) {
  EXPECT_EQ(Utf8SequenceLength(""), 0U);
  EXPECT_EQ(Utf8SequenceLength("ab"), 1U);
  EXPECT_EQ(Utf8SequenceLength("\xC3\xA9x"), 2U);
  EXPECT_EQ(Utf8SequenceLength("\xE6\x9D\x8Ex"), 3U);
  EXPECT_EQ(Utf8SequenceLength("\xF0\x9F\x98\x80x"), 4U);
  EXPECT_EQ(Utf8SequenceLength("\xE6\x9D"), 0U);
  EXPECT_EQ(Utf8SequenceLength("\x80"), 0U);
}

}  // namespace
}  // namespace muster
