#include "domain/json_writer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "base/encoding.h"
#include "domain/json_text.h"
#include "domain/testing/arbitrary_member.h"

namespace muster {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  AppendJsonEscaped(out, text);
  return out;
}

// RFC 8259 section 7, a byte at a time.
std::string EscapedPlainly(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20) {
      out += c;
    } else if (const std::size_t at = std::string_view("\b\f\n\r\t").find(c); at != std::string_view::npos) {
      out += '\\';
      out += "bfnrt"[at];
    } else {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\u%04x", byte);
      out += hex;
    }
  }
  return out;
}

TEST(JsonEscapeTest, EveryByteAtEveryPlaceOfAWord) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t size = 1; size <= 20; ++size) {
      for (std::size_t at = 0; at < size; ++at) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(byte);
        ASSERT_EQ(Escaped(text), EscapedPlainly(text)) << byte << " at " << at << " of " << size;
      }
    }
  }
}

RC_GTEST_PROP(JsonEscapeProperty, IsWhatTheRfcSays, (const std::string& text)) {
  RC_ASSERT(Escaped(text) == EscapedPlainly(text));
}

RC_GTEST_PROP(JsonEscapeProperty, WriteEscapedIsTheSameAndStaysInItsBound, (const std::string& text)) {
  std::string room(text.size() * json_text::kEscapedBytesPerByteMax + 1, '#');
  const char* end = json_text::WriteEscaped(room.data(), text);
  RC_ASSERT(end <= room.data() + room.size() - 1);
  RC_ASSERT(std::string(room.data(), static_cast<std::size_t>(end - room.data())) == EscapedPlainly(text));
  RC_ASSERT(room.back() == '#');
}

TEST(JsonWriterTest, PutsCommasWhereTheyBelong) {
  std::string out = "before ";
  JsonWriter json(out);
  json.BeginObject();
  json.Key("id").Number64(INT64_MIN);
  json.Key("empty").BeginObject();
  json.EndObject();
  json.Key("list").BeginArray();
  json.Number(1);
  json.BeginArray();
  json.EndArray();
  json.BeginObject();
  json.Key("flag").Bool(true);
  json.Key("none").Null();
  json.EndObject();
  json.String("a\"b");
  json.Raw("{\"raw\":1}");
  json.Bool(false);
  json.EndArray();
  json.Key("last").Number(INT64_MAX);
  json.EndObject();
  EXPECT_EQ(
      out,
      "before {\"id\":\"-9223372036854775808\",\"empty\":{},\"list\":[1,[],{\"flag\":true,\"none\":null},\"a\\\"b\","
      "{\"raw\":1},false],\"last\":9223372036854775807}");
}

TEST(JsonWriterTest, Times) {
  const auto text = [](Timestamp time) {
    std::string out;
    JsonWriter(out).Time(time);
    return out;
  };
  EXPECT_EQ(text(Timestamp()), "\"1970-01-01T00:00:00Z\"");
  EXPECT_EQ(text(Timestamp(std::chrono::seconds(1'709'210'096))), "\"2024-02-29T12:34:56Z\"");
  EXPECT_EQ(text(Timestamp(Duration(1'500'000))), "\"1970-01-01T00:00:01.500Z\"");
  EXPECT_EQ(text(Timestamp(Duration(123))), "\"1970-01-01T00:00:00.000123Z\"");
  EXPECT_EQ(text(Timestamp(Duration(-1))), "\"1969-12-31T23:59:59.999999Z\"");
  EXPECT_EQ(text(Timestamp::max()), "\"9999-12-31T23:59:59.999999Z\"");
  EXPECT_EQ(text(Timestamp::min()), "\"0001-01-01T00:00:00Z\"");
}

// The base's formatter is written apart from this one, which has to be fast.
TEST(JsonWriterTest, TimesAreThoseOfTheBase) {
  rc::check("equal", [] {
    const Timestamp time = *testing::ArbitraryTime();
    char text[json_text::kTimeBytesMax];
    const char* end = json_text::WriteTime(text, time);
    RC_ASSERT(std::string(text, static_cast<std::size_t>(end - text)) ==
              FormatTimestamp(time.time_since_epoch().count()));
  });
}

TEST(JsonWriterTest, DoublesReadBackTheSame) {
  const auto text = [](double number) {
    std::string out;
    JsonWriter(out).Double(number);
    return out;
  };
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(-2), "-2");
  for (const double number : {0.0, 1e300, 5e-324, DBL_MAX, -DBL_MIN, 1.0 / 3.0, 123456789.125}) {
    EXPECT_EQ(std::strtod(text(number).c_str(), nullptr), number);
  }
}

TEST(JsonWriterDeathTest, WhatIsNotANumberIsAMistakeOfOurs) {
  std::string out;
  JsonWriter json(out);
  EXPECT_DEATH(json.Double(std::numeric_limits<double>::quiet_NaN()), "check failed");
  EXPECT_DEATH(json.Double(std::numeric_limits<double>::infinity()), "check failed");
}

}  // namespace
}  // namespace muster
