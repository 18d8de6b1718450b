#include "base/log_line.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <simdjson.h>

#include <cstdint>
#include <limits>
#include <string>

#include "base/encoding.h"

namespace muster {
namespace {

const Timestamp kTime(std::chrono::microseconds(1'767'323'045'000'123));

std::string Line(LogFormat format, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line;
  AppendLogLine(line, format, LogLevel::kInfo, kTime, event, fields);
  return line;
}

// What an independent parser reads in the field `name` of a JSON line.
std::string ReadBack(const std::string& line, std::string_view name) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  std::string_view text;
  if (parser.parse(simdjson::padded_string(line)).get(document) != simdjson::SUCCESS) return "<not JSON>";
  if (document[name].get_string().get(text) != simdjson::SUCCESS) return "<no such text>";
  return std::string(text);
}

TEST(LogLine, WritesLogfmt) {
  EXPECT_EQ(
      Line(LogFormat::kLogfmt, "member registered",
           {{"member", std::int64_t{-7}}, {"rows", 3U}, {"ok", true}, {"ratio", 0.25}, {"route", "near"}}),
      "time=2026-01-02T03:04:05.000123Z level=info event=\"member registered\" member=-7 rows=3 ok=true ratio=0.25 "
      "route=near\n");
}

TEST(LogLine, WritesJson) {
  EXPECT_EQ(
      Line(LogFormat::kJson, "member registered",
           {{"member", std::int64_t{-7}}, {"rows", 3U}, {"ok", false}, {"ratio", 0.25}, {"route", "near"}}),
      "{\"time\":\"2026-01-02T03:04:05.000123Z\",\"level\":\"info\",\"event\":\"member registered\",\"member\":-7,"
      "\"rows\":3,\"ok\":false,\"ratio\":0.25,\"route\":\"near\"}\n");
}

TEST(LogLine, NamesTheLevels) {
  EXPECT_EQ(LogLevelName(LogLevel::kDebug), "debug");
  EXPECT_EQ(LogLevelName(LogLevel::kInfo), "info");
  EXPECT_EQ(LogLevelName(LogLevel::kWarning), "warning");
  EXPECT_EQ(LogLevelName(LogLevel::kError), "error");
}

TEST(LogLine, ExtremeNumbersAreWhole) {
  const std::string line =
      Line(LogFormat::kJson, "e",
           {{"most", std::numeric_limits<std::uint64_t>::max()}, {"least", std::numeric_limits<std::int64_t>::min()}});
  EXPECT_NE(line.find("\"most\":18446744073709551615,\"least\":-9223372036854775808}"), std::string::npos) << line;
}

TEST(LogLine, NumbersThatJsonLacksAreTexts) {
  const std::string line =
      Line(LogFormat::kJson, "e",
           {{"a", std::numeric_limits<double>::infinity()}, {"b", std::numeric_limits<double>::quiet_NaN()}});
  EXPECT_EQ(ReadBack(line, "a"), "inf");
  EXPECT_EQ(ReadBack(line, "b"), "nan");
}

TEST(LogLine, NobodyForgesASecondLine) {
  const std::string_view forged = "x\nlevel=error event=\"stolen\"\r\t\x1B[31m\x7F";
  EXPECT_EQ(Line(LogFormat::kLogfmt, "e", {{"agent", forged}}),
            "time=2026-01-02T03:04:05.000123Z level=info event=e "
            "agent=\"x\\nlevel=error event=\\\"stolen\\\"\\u000d\\t\\u001b[31m\\u007f\"\n");
  EXPECT_EQ(ReadBack(Line(LogFormat::kJson, "e", {{"agent", forged}}), "agent"), forged);
}

TEST(LogLine, C1ControlsAreEscapedAndOtherTextIsNot) {
  EXPECT_EQ(Line(LogFormat::kLogfmt, "e", {{"city", "\xC2\x9B\xC2\xA0\xE8\x8B\x8F\xE5\xB7\x9E"}}),
            "time=2026-01-02T03:04:05.000123Z level=info event=e "
            "city=\"\\u009b\xC2\xA0\xE8\x8B\x8F\xE5\xB7\x9E\"\n");
}

TEST(LogLine, InvalidUtf8BecomesTheReplacementCharacter) {
  for (const LogFormat format : {LogFormat::kLogfmt, LogFormat::kJson}) {
    const std::string line = Line(format, "e", {{"value", "a\xFF\xED\xA0\x80z\xE8\x8B"}});
    EXPECT_TRUE(IsValidUtf8(line));
    EXPECT_NE(line.find("a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\""),
              std::string::npos)
        << line;
  }
}

TEST(LogLine, AmbiguousWordsAreQuotedInLogfmt) {
  const auto value = [](std::string_view text) {
    const std::string line = Line(LogFormat::kLogfmt, "e", {{"v", text}});
    return line.substr(line.find(" v=") + 3);
  };
  EXPECT_EQ(value(""), "\"\"\n");
  EXPECT_EQ(value("a b"), "\"a b\"\n");
  EXPECT_EQ(value("a=b"), "\"a=b\"\n");
  EXPECT_EQ(value("a\\b"), "\"a\\\\b\"\n");
  EXPECT_EQ(value("127.0.0.1:7400"), "127.0.0.1:7400\n");
}

TEST(LogLine, LongTextsAreCutAtACodePoint) {
  // 2,047 bytes, then a code point of three that does not fit any more.
  const std::string text = std::string(kLogTextBytesMax - 1, 'a') + "\xE8\x8B\x8F" + std::string(100, 'b');
  EXPECT_EQ(ReadBack(Line(LogFormat::kJson, "e", {{"v", text}}), "v"), std::string(kLogTextBytesMax - 1, 'a') + "...");
  const std::string whole(kLogTextBytesMax, 'a');
  EXPECT_EQ(ReadBack(Line(LogFormat::kJson, "e", {{"v", whole}}), "v"), whole);
}

TEST(LogLine, NamesCannotBreakTheLineEither) {
  EXPECT_EQ(ReadBack(Line(LogFormat::kJson, "e", {{"a\"b", "x"}}), "a\"b"), "x");
  const std::string line = Line(LogFormat::kLogfmt, "e", {{"a b=c", "x"}});
  EXPECT_NE(line.find(" a_b_c=x\n"), std::string::npos) << line;
}

RC_GTEST_PROP(LogLine, WhateverTheTextTheLineIsOneLineOfJson, (const std::string& text)) {
  const std::string line = Line(LogFormat::kJson, text, {{"value", text}});
  RC_ASSERT(line.find('\n') == line.size() - 1);
  RC_ASSERT(IsValidUtf8(line));
  const std::string back = ReadBack(line, "value");
  if (IsValidUtf8(text) && text.size() <= kLogTextBytesMax) RC_ASSERT(back == text);
  RC_ASSERT(ReadBack(line, "event") == back);
}

RC_GTEST_PROP(LogLine, WhateverTheTextTheLineIsOneLineOfLogfmt, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const std::string line = Line(LogFormat::kLogfmt, "e", {{"value", text}, {"last", 1}});
  RC_ASSERT(line.find('\n') == line.size() - 1);
  RC_ASSERT(IsValidUtf8(line));
  RC_ASSERT(line.ends_with(" last=1\n"));
}

}  // namespace
}  // namespace muster
