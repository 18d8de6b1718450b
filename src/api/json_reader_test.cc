#include "api/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <time.h>

#include <array>
#include <chrono>

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::array<std::string_view, 3> kKnown = {"text", "number", "flag"};
MATCHER_P2(Violation, field, description, "") {
  return arg.field == field && arg.description.find(description) != std::string::npos;
}

// Reads an object of kKnown, as the bodies' readers do.
struct Read {
  std::string_view text;
  std::int64_t number = 0;
  bool flag = false;
  std::vector<FieldViolation> violations;
  std::uint64_t nulls = 0;
};

Read ReadObject(JsonReader& reader, std::string_view json) {
  Read read;
  const auto value = reader.Parse(json);
  if (!value) {
    read.violations = value.error().violations;
    EXPECT_EQ(value.error().reason, Reason::kInvalidArgument);
    return read;
  }
  JsonFaults faults;
  JsonObject object(*value, kRoot, kKnown, faults);
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath path = kRoot.Field(kKnown.at(static_cast<std::size_t>(index)));
    if (index == 0) ReadText(field, path, faults, read.text);
    if (index == 1) ReadInteger(field, path, 1, INT64_MAX, faults, read.number);
    if (index == 2) ReadBoolean(field, path, faults, read.flag);
  }
  read.nulls = object.nulls();
  if (faults.any()) read.violations = faults.Take().violations;
  return read;
}

TEST(JsonReaderTest, RefusesWhatIsNotJson) {
  JsonReader reader;
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      " "sv,
                                      "{"sv,
                                      "}"sv,
                                      "{} {}"sv,
                                      "{\"text\":\"a\",}"sv,
                                      "{text:1}"sv,
                                      "{'text':1}"sv,
                                      "{\"text\":tru}"sv,
                                      "nul"sv,
                                      "{\"text\":\"a}"sv,
                                      "{\"text\":\"\\x\"}"sv,
                                      "{\"text\":\"\\ud800\"}"sv,
                                      "{\"number\":01}"sv,
                                      "{\"number\":+1}"sv,
                                      "{\"number\":1.}"sv,
                                      "{\"number\":NaN}"sv,
                                      "{\"text\":\"a\nb\"}"sv,
                                      "{\"text\":\"a\0b\"}"sv,
                                      "{}\0"sv,
                                      "\0"sv,
                                      "\xEF\xBB\xBF{}"sv,
                                      "{\"text\":\"\xff\"}"sv,
                                      "{\"text\":\"\xC0\x80\"}"sv,
                                      "{\"text\":\"\xED\xA0\x80\"}"sv,
                                      "{\"number\":18446744073709551616}"sv,
                                      "{\"number\":1e999}"sv,
                                      "[1]]"sv,
                                      "/*x*/{}"sv}) {
    EXPECT_FALSE(reader.Parse(text)) << text;
  }
  EXPECT_TRUE(reader.Parse("{}")) << "a reader goes on after a fault";
}

TEST(JsonReaderTest, BoundsDepth) {
  JsonReader reader;
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(reader.Parse(nested(JsonReader::kDepthMax)));
  const auto deep = reader.Parse(nested(JsonReader::kDepthMax + 1));
  ASSERT_FALSE(deep);
  EXPECT_THAT(deep.error().message, HasSubstr("32"));
  EXPECT_FALSE(reader.Parse(nested(1 << 19)));
  EXPECT_FALSE(reader.Parse(std::string(1 << 20, '[')));
}

TEST(JsonReaderTest, ReadsLargeTextsAndSmallOnesAfterThem) {
  JsonReader reader;
  const std::string large = "{\"text\":\"" + std::string(1 << 20, 'x') + "\"}";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ReadObject(reader, large).text.size(), std::size_t{1} << 20);
    EXPECT_EQ(ReadObject(reader, R"({"text":"small"})").text, "small");
  }
}

TEST(JsonReaderTest, ReadsInPlaceWhateverComesAfter) {
  JsonReader reader;
  const std::string lines = std::string("{\"text\":\"a\"}\n{\"text\":") + std::string(JsonReader::kPaddingBytes, '"');
  EXPECT_TRUE(reader.ParseInPlace(std::string_view(lines).substr(0, 12)));
}

TEST(JsonObjectTest, NamesEveryFault) {
  JsonReader reader;
  const Read read = ReadObject(reader, R"({"text":1,"txet":"x","number":"x","flag":"true","flag":true})");
  EXPECT_THAT(
      read.violations,
      ElementsAre(Violation("text", "must be a string, not a number"), Violation("txet", "did you mean \"text\""),
                  Violation("number", "whole number"), Violation("flag", "true or false"), Violation("flag", "twice")));
}

TEST(JsonObjectTest, RefusesOtherTypes) {
  JsonReader reader;
  for (const char* text : {"[]", "1", "\"x\"", "null", "true"}) {
    EXPECT_THAT(ReadObject(reader, text).violations, ElementsAre(Violation("", "must be an object"))) << text;
  }
}

TEST(JsonObjectTest, NeverRepeatsValuesOrStrangeNames) {
  JsonReader reader;
  for (const char* text :
       {R"({"text":{"secret":1}})", R"({"number":"secret"})", R"({"flag":"secret"})", R"({"13800000001secret":1})",
        R"({"se-secret":1})", R"({"text":"secret)", R"({"text":"secret\u0000"})", R"(["secret"])",
        R"({"a_very_long_name_that_cannot_be_a_fields_secret":1})"}) {
    for (const FieldViolation& violation : ReadObject(reader, text).violations) {
      EXPECT_THAT(violation.field + violation.description, Not(HasSubstr("secret"))) << text;
    }
    EXPECT_FALSE(ReadObject(reader, text).violations.empty()) << text;
  }
}

TEST(JsonObjectTest, CountsNullAsAbsentButSeesItTwice) {
  JsonReader reader;
  const Read read = ReadObject(reader, R"({"text":null,"number":3})");
  EXPECT_TRUE(read.violations.empty());
  EXPECT_EQ(read.nulls, 1u);
  EXPECT_EQ(read.number, 3);
  EXPECT_THAT(ReadObject(reader, R"({"text":null,"text":"x"})").violations, ElementsAre(Violation("text", "twice")));
}

TEST(JsonObjectTest, BoundsTheFaultsItCollects) {
  JsonReader reader;
  std::string text = "{";
  for (int i = 0; i < 1000; ++i) text += "\"unknown" + std::to_string(i) + "\":1,";
  text.back() = '}';
  EXPECT_EQ(ReadObject(reader, text).violations.size(), JsonFaults::kViolationsMax);
}

// A body of the largest size has room for many names that are nearly right.
TEST(JsonObjectTest, FaultsThatAreNotKeptAreNotDescribed) {
  const auto cpu_time = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto time_of = [&](const std::string& name) {
    std::string text = "{";
    for (int i = 0; i < 50'000; ++i) text += "\"" + name + "\":1,";
    text.back() = '}';
    JsonReader reader;
    const auto begin = cpu_time();
    EXPECT_EQ(ReadObject(reader, text).violations.size(), JsonFaults::kViolationsMax);
    return cpu_time() - begin;
  };
  time_of("text");
  EXPECT_LT(time_of("txet"), 10 * time_of("text")) << "than faults that are cheap to describe";
}

TEST(ReadTextTest, RefusesNul) {
  JsonReader reader;
  EXPECT_THAT(ReadObject(reader, R"({"text":"a\u0000b"})").violations, ElementsAre(Violation("text", "NUL")));
}

TEST(ReadIntegerTest, TakesNumbersAndDigits) {
  JsonReader reader;
  for (const char* text : {"7", "\"7\"", "7.0", "70e-1"}) {
    const Read read = ReadObject(reader, "{\"number\":" + std::string(text) + "}");
    EXPECT_TRUE(read.violations.empty()) << text;
    EXPECT_EQ(read.number, 7) << text;
  }
  EXPECT_EQ(ReadObject(reader, R"({"number":"9223372036854775807"})").number, INT64_MAX);
  EXPECT_EQ(ReadObject(reader, R"({"number":9223372036854775807})").number, INT64_MAX);
  for (const char* text : {"0", "-1", "1.5", "\"\"", "\"-7\"", "\" 7\"", "\"7.0\"", "9223372036854775808",
                           "\"9223372036854775808\"", "1e300", "9007199254740993.0", "true", "[]", "{}"}) {
    EXPECT_THAT(ReadObject(reader, "{\"number\":" + std::string(text) + "}").violations,
                ElementsAre(Violation("number", "must be")))
        << text;
  }
}

TEST(JsonListTest, BoundsItsElements) {
  JsonReader reader;
  JsonFaults faults;
  JsonList fits(reader.Parse("[1,2,3]").value(), kRoot, 3, faults);
  JsonValue element;
  int count = 0;
  while (fits.Next(element)) ++count;
  EXPECT_EQ(count, 3);
  EXPECT_FALSE(faults.any());
  JsonList refused(reader.Parse("[1,2,3,4]").value(), kRoot.Field("ids"), 3, faults);
  EXPECT_FALSE(refused.Next(element));
  EXPECT_THAT(faults.Take().violations, ElementsAre(Violation("ids", "more than 3")));
}

TEST(FieldPathTest, ReadsAsTheBodyIsWritten) {
  const FieldPath list = kRoot.Field("identities");
  const FieldPath element = list.Element(1);
  EXPECT_EQ(element.Field("value").Text(), "identities[1].value");
  EXPECT_EQ(kRoot.Text(), "");
  EXPECT_EQ(kRoot.Element(3).Text(), "[3]");
}

// Any string survives being written as JSON and read again.
RC_GTEST_PROP(JsonReaderTest, ReadsStringsAsTheyWere, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::inRange<char>(0x20, 0x7F));
  std::string json = "{\"text\":\"";
  for (const char c : text) json += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  JsonReader reader;
  const Read read = ReadObject(reader, json + "\"}");
  RC_ASSERT(read.violations.empty());
  RC_ASSERT(read.text == text);
}

}  // namespace
}  // namespace muster
