#include "app/output/json_text.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(JsonTextTest, IndentsAndKeepsOrder) {
  EXPECT_EQ(IndentJson(R"({"b":1,"a":[true,null,"x"],"c":{},"d":[]})").value(),
            "{\n  \"b\": 1,\n  \"a\": [\n    true,\n    null,\n    \"x\"\n  ],\n  \"c\": {},\n  \"d\": []\n}\n");
  EXPECT_EQ(IndentJson("{}").value(), "{}\n");
  EXPECT_EQ(IndentJson(R"("a\"\n")").value(), "\"a\\\"\\n\"\n");
}

TEST(JsonTextTest, WritesYaml) {
  EXPECT_EQ(
      JsonToYaml(
          R"({"id":"7","tags":["a","b c"],"empty":[],"none":{},"nested":{"x":[{"k":"v","l":1},[1,2]]},"f":1.5,"t":true})")
          .value(),
      "id: \"7\"\ntags:\n  - a\n  - b c\nempty: []\nnone: {}\nnested:\n  x:\n    - k: v\n      l: 1\n    -\n      - "
      "1\n      - 2\n"
      "f: 1.5\nt: true\n");
}

TEST(JsonTextTest, StringsStayStringsInYaml) {
  for (const std::string text : {"no", "Yes", "null", "1", "1e3", "2026-01-02", "", " lead", "trail ", "a: b", "# x",
                                 "- y", "~", "0x1f", "苏州"}) {
    const auto yaml = JsonToYaml("{\"k\":\"" + text + "\"}");
    EXPECT_EQ(yaml.value(), "k: \"" + text + "\"\n");
  }
  EXPECT_EQ(JsonToYaml(R"({"k":"a\nb"})").value(), "k: \"a\\nb\"\n");
}

TEST(JsonTextTest, TextThatIsNotJsonIsAFailure) {
  for (const char* text : {"", "{", "nonsense", "{\"a\":}"}) {
    EXPECT_FALSE(IndentJson(text)) << text;
    EXPECT_FALSE(JsonToYaml(text)) << text;
  }
}

}  // namespace
}  // namespace muster
