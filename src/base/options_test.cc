#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "base/option_text.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Settings {
  std::int64_t threads = 2;
  std::int64_t bytes = 256 << 20;
  std::int64_t timeout_ms = 10'000;
  std::string format = "logfmt";
  std::string file;
  bool enabled = true;
  std::vector<std::string> platforms = {"wechat"};
};

struct KindRow {
  std::string name;
  std::int64_t limit = 10;
  std::vector<std::string> aliases;
};

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() {
    options_.AddInteger("http.threads", &settings_.threads, "Threads.", {.min = 1, .max = 64});
    options_.AddBytes("cache.near.bytes", &settings_.bytes, "Bytes.", {.min = 1 << 20, .max = std::int64_t{1} << 40});
    options_.AddDuration("http.timeout", &settings_.timeout_ms, "Timeout.", {.min = 1, .max = 3'600'000}, false);
    options_.AddString("log.format", &settings_.format, "Format.", {"logfmt", "json"});
    options_.AddString("log.file", &settings_.file, "File.");
    options_.AddBoolean("cache.near.enabled", &settings_.enabled, "Enabled.");
    options_.AddStrings("identity.platforms", &settings_.platforms, "Platforms.");
    options_.AddTables<KindRow>("identity.kinds", &kinds_, "Kinds.", [](OptionRegistry& columns, KindRow& row) {
      columns.AddString("name", &row.name, "Name.");
      columns.AddInteger("limit", &row.limit, "Limit.", {.min = 1, .max = 100});
      columns.AddStrings("aliases", &row.aliases, "Aliases.");
    });
  }

  // The message of the refusal, or "accepted".
  std::string Refusal(std::string_view name, std::string_view text) {
    const auto set = options_.Set(name, text, "here");
    if (set) return "accepted";
    EXPECT_EQ(set.error().reason, Reason::kInvalidArgument);
    return set.error().message;
  }

  std::string SourceOf(std::string_view name) {
    for (const auto& current : options_.Explain()) {
      if (current.spec->name == name) return current.source;
    }
    return "no such option";
  }

  Settings settings_;
  std::vector<KindRow> kinds_;
  OptionRegistry options_;
};

TEST_F(OptionsTest, SetsFieldsFromText) {
  EXPECT_TRUE(options_.Set("http.threads", "8", "--threads"));
  EXPECT_TRUE(options_.Set("cache.near.bytes", "2 GiB", "muster.toml:3"));
  EXPECT_TRUE(options_.Set("http.timeout", "250ms", "muster.toml:4"));
  EXPECT_TRUE(options_.Set("log.format", "json", "muster.toml:5"));
  EXPECT_TRUE(options_.Set("log.file", "/var/log/muster/\xE6\x97\xA5.log", "muster.toml:6"));
  EXPECT_TRUE(options_.Set("cache.near.enabled", "false", "muster.toml:7"));
  EXPECT_TRUE(options_.Set("identity.platforms", "wechat, alipay", "muster.toml:8"));
  EXPECT_EQ(settings_.threads, 8);
  EXPECT_EQ(settings_.bytes, std::int64_t{2} << 30);
  EXPECT_EQ(settings_.timeout_ms, 250);
  EXPECT_EQ(settings_.format, "json");
  EXPECT_EQ(settings_.file, "/var/log/muster/\xE6\x97\xA5.log");
  EXPECT_FALSE(settings_.enabled);
  EXPECT_THAT(settings_.platforms, ElementsAre("wechat", "alipay"));
}

TEST_F(OptionsTest, TheLastSourceWinsAndIsRemembered) {
  EXPECT_EQ(SourceOf("http.threads"), "default");
  EXPECT_TRUE(options_.Set("http.threads", "8", "muster.toml:3"));
  EXPECT_TRUE(options_.Set("http.threads", "9", "environment MUSTER_HTTP__THREADS"));
  EXPECT_EQ(settings_.threads, 9);
  EXPECT_EQ(SourceOf("http.threads"), "environment MUSTER_HTTP__THREADS");
}

TEST_F(OptionsTest, ARefusedValueChangesNothing) {
  EXPECT_TRUE(options_.Set("http.threads", "8", "muster.toml:3"));
  EXPECT_FALSE(options_.Set("http.threads", "65", "--threads"));
  EXPECT_FALSE(options_.SetList("identity.platforms", {"a", "b\n"}, "muster.toml:4"));
  EXPECT_EQ(settings_.threads, 8);
  EXPECT_THAT(settings_.platforms, ElementsAre("wechat"));
  EXPECT_EQ(SourceOf("http.threads"), "muster.toml:3");
  EXPECT_EQ(SourceOf("identity.platforms"), "default");
}

TEST_F(OptionsTest, BoundsAreInclusive) {
  EXPECT_EQ(Refusal("http.threads", "1"), "accepted");
  EXPECT_EQ(Refusal("http.threads", "64"), "accepted");
  EXPECT_EQ(Refusal("http.threads", "0"), "here: http.threads must be 1 to 64, not \"0\"");
  EXPECT_EQ(Refusal("http.threads", "65"), "here: http.threads must be 1 to 64, not \"65\"");
  EXPECT_EQ(Refusal("cache.near.bytes", "512 KiB"),
            "here: cache.near.bytes must be 1 MiB to 1024 GiB, not \"512 KiB\"");
  EXPECT_EQ(Refusal("http.timeout", "2h"), "here: http.timeout must be 1ms to 1h, not \"2h\"");
}

TEST_F(OptionsTest, RefusesValuesOfAnotherKind) {
  for (const char* text : {"", "x", "1.5", "0x10", "1e3", " 1", "1 ", "+1", "99999999999999999999"}) {
    EXPECT_THAT(Refusal("http.threads", text), HasSubstr("must be a whole number")) << text;
  }
  for (const char* text : {"", "MiB", "-1", "1 mib", "1 MB", "1  KiB", "1.5 GiB", "9999999999999 GiB", "1KiB "}) {
    EXPECT_THAT(Refusal("cache.near.bytes", text), HasSubstr("must be a number of bytes")) << text;
  }
  for (const char* text : {"", "10", "10 seconds", "-1s", "1.5s", "5M", "s", "9999999999999999h"}) {
    EXPECT_THAT(Refusal("http.timeout", text), HasSubstr("must be a duration")) << text;
  }
  for (const char* text : {"", "yes", "1", "True"}) {
    EXPECT_THAT(Refusal("cache.near.enabled", text), HasSubstr("must be true or false")) << text;
  }
}

TEST_F(OptionsTest, StringsAreTextWithoutControls) {
  EXPECT_THAT(Refusal("log.file", "a\nb"), HasSubstr("must be UTF-8 without control characters"));
  EXPECT_THAT(Refusal("log.file", "\xFF"), HasSubstr("must be UTF-8 without control characters"));
  EXPECT_THAT(Refusal("log.file", std::string_view("a\0b", 3)), HasSubstr("without control characters"));
  // Such a value is not repeated in the message.
  EXPECT_EQ(Refusal("log.file", "a\nb").find('\n'), std::string::npos);
  EXPECT_EQ(Refusal("log.file", ""), "accepted");
}

TEST_F(OptionsTest, LongValuesAreNotRepeated) {
  EXPECT_LT(Refusal("http.threads", std::string(100'000, '7')).size(), 200U);
}

TEST_F(OptionsTest, MistypedWordsGetSuggestions) {
  EXPECT_EQ(Refusal("http.thread", "1"), "here: http.thread is not an option; did you mean http.threads?");
  EXPECT_EQ(Refusal("cahce.near.bytes", "1"),
            "here: cahce.near.bytes is not an option; did you mean cache.near.bytes?");
  EXPECT_EQ(Refusal("zzz", "1"), "here: zzz is not an option; `muster config reference` lists them all");
  EXPECT_EQ(Refusal("log.format", "jsn"),
            "here: log.format must be one of logfmt, json (did you mean json?), not \"jsn\"");
}

TEST_F(OptionsTest, AFaultNamesItsField) {
  const auto set = options_.Set("http.threads", "0", "here");
  ASSERT_FALSE(set);
  ASSERT_EQ(set.error().violations.size(), 1U);
  EXPECT_EQ(set.error().violations[0].field, "http.threads");
}

TEST_F(OptionsTest, ListsComeFromTextAndFromLists) {
  EXPECT_TRUE(options_.SetList("identity.platforms", {"a,b", "c"}, "here"));
  EXPECT_THAT(settings_.platforms, ElementsAre("a,b", "c"));
  EXPECT_TRUE(options_.Set("identity.platforms", "", "here"));
  EXPECT_THAT(settings_.platforms, IsEmpty());
  EXPECT_TRUE(options_.Set("identity.platforms", " a ,  b", "here"));
  EXPECT_THAT(settings_.platforms, ElementsAre("a", "b"));
  EXPECT_THAT(Refusal("identity.platforms", "a,,b"), HasSubstr("must not have empty entries"));
  EXPECT_THAT(options_.SetList("http.threads", {"1"}, "here").error().message,
              HasSubstr("takes one value, not a list"));
}

TEST_F(OptionsTest, TablesBecomeRows) {
  kinds_ = {{.name = "built in", .limit = 1, .aliases = {}}};
  const std::vector<OptionTable> tables = {
      {.cells = {{"name", std::string("phone"), "t:2"}, {"limit", std::string("3"), "t:3"}}},
      {.cells = {{"name", std::string("card"), "t:5"}, {"aliases", std::vector<std::string>{"a", "b"}, "t:6"}}}};
  ASSERT_TRUE(options_.SetTables("identity.kinds", tables, "t:1"));
  ASSERT_EQ(kinds_.size(), 2U);
  EXPECT_EQ(kinds_[0].name, "phone");
  EXPECT_EQ(kinds_[0].limit, 3);
  EXPECT_EQ(kinds_[1].name, "card");
  EXPECT_EQ(kinds_[1].limit, 10);
  EXPECT_THAT(kinds_[1].aliases, ElementsAre("a", "b"));
  EXPECT_EQ(SourceOf("identity.kinds"), "t:1");
}

TEST_F(OptionsTest, AFaultInATableNamesTheRowAndLeavesTheOldRows) {
  kinds_ = {{.name = "built in", .limit = 1, .aliases = {}}};
  const auto refusal = [this](OptionTable::Cell cell) {
    const auto set = options_.SetTables("identity.kinds", {{.cells = {}}, {.cells = {std::move(cell)}}}, "t:1");
    return set ? "accepted" : set.error().message;
  };
  EXPECT_EQ(refusal({"limit", std::string("0"), "t:9"}), "t:9: identity.kinds[1].limit must be 1 to 100, not \"0\"");
  EXPECT_EQ(refusal({"limt", std::string("1"), "t:9"}),
            "t:9: identity.kinds[1].limt is not an option; did you mean identity.kinds[1].limit?");
  EXPECT_EQ(refusal({"name", std::vector<std::string>{"a"}, "t:9"}),
            "t:9: identity.kinds[1].name takes one value, not a list");
  ASSERT_EQ(kinds_.size(), 1U);
  EXPECT_EQ(kinds_[0].name, "built in");
}

TEST_F(OptionsTest, TablesAreForFilesAndBounded) {
  EXPECT_EQ(Refusal("identity.kinds", "x"),
            "here: identity.kinds can only be set in the configuration file, as [[identity.kinds]]");
  EXPECT_THAT(options_.SetTables("http.threads", {}, "here").error().message, HasSubstr("is not a list of tables"));
  EXPECT_THAT(options_.SetTables("identity.kinds", std::vector<OptionTable>(1'001), "here").error().message,
              HasSubstr("must have at most 1000 tables"));
}

TEST_F(OptionsTest, ExplainsEverythingInOrder) {
  EXPECT_TRUE(options_.Set("cache.near.bytes", "1536 KiB", "muster.toml:3"));
  std::vector<std::string> lines;
  for (const auto& current : options_.Explain()) {
    lines.push_back(current.spec->name + "=" + current.text + " (" + current.spec->default_text + ")");
  }
  EXPECT_THAT(lines, ElementsAre("cache.near.bytes=1536 KiB (256 MiB)", "cache.near.enabled=true (true)",
                                 "http.threads=2 (2)", "http.timeout=10s (10s)", "identity.kinds=0 tables (0 tables)",
                                 "identity.platforms=wechat (wechat)", "log.file= ()", "log.format=logfmt (logfmt)"));
}

TEST_F(OptionsTest, SpecsSayWhatTheReferenceNeeds) {
  EXPECT_EQ(options_.Find("nothing"), nullptr);
  const OptionSpec* timeout = options_.Find("http.timeout");
  ASSERT_NE(timeout, nullptr);
  EXPECT_EQ(OptionTypeName(timeout->type), "duration");
  EXPECT_EQ(timeout->bounds, "1ms to 1h");
  EXPECT_FALSE(timeout->restart);
  EXPECT_EQ(options_.Find("log.format")->bounds, "one of logfmt, json");
  ASSERT_EQ(options_.Find("identity.kinds")->columns.size(), 3U);
  EXPECT_EQ(options_.Find("identity.kinds")->columns[1].name, "limit");
  EXPECT_EQ(EnvironmentName("cache.near_by.bytes2"), "MUSTER_CACHE__NEAR_BY__BYTES2");
}

TEST_F(OptionsTest, OpenBoundsAreSaidAsSuch) {
  std::int64_t value = 5;
  options_.AddInteger("test.least", &value, "Help.", {.min = 1});
  options_.AddInteger("test.most", &value, "Help.", {.max = 9});
  options_.AddInteger("test.any", &value, "Help.", {});
  EXPECT_EQ(options_.Find("test.least")->bounds, "at least 1");
  EXPECT_EQ(options_.Find("test.most")->bounds, "at most 9");
  EXPECT_EQ(options_.Find("test.any")->bounds, "");
}

TEST(OptionsDeathTest, AbortsOnAWrongDeclaration) {
  const auto add = [](std::string name) {
    OptionRegistry options;
    std::string text;
    options.AddString("taken.name", &text, "Help.");
    options.AddString(std::move(name), &text, "Help.");
  };
  for (const char* name : {"", ".", "a.", ".a", "a..b", "A", "a-b", "a__b", "a_", "a_.b", "1a", "a.1b", "taken.name",
                           "taken", "taken.name.more", "store.key", "key", "api.admin_password", "token.secret"}) {
    EXPECT_DEATH(add(name), "check failed") << name;
  }
  add("store.key_file");
  add("monkey");

  std::int64_t number = 5;
  std::string text = "xml";
  OptionRegistry options;
  EXPECT_DEATH(options.AddInteger("a.b", &number, "Help.", {.min = 6}), "check failed");
  EXPECT_DEATH(options.AddInteger("a.b", &number, "", {}), "check failed");
  EXPECT_DEATH(options.AddString("a.b", &text, "Help.", {"logfmt", "json"}), "check failed");
}

TEST(NearestWord, NeedsAtMostAThirdToBeWrong) {
  const std::vector<std::string> known = {"serve", "demo", "export", "import"};
  EXPECT_EQ(NearestWord("serv", known), "serve");
  EXPECT_EQ(NearestWord("srevE", known), "");
  EXPECT_EQ(NearestWord("dmeo", known), "demo");
  EXPECT_EQ(NearestWord("inport", known), "import");
  EXPECT_EQ(NearestWord("x", known), "");
  EXPECT_EQ(NearestWord("", known), "");
  EXPECT_EQ(NearestWord("serve", {}), "");
  EXPECT_EQ(NearestWord(std::string(1'000'000, 's'), known), "");
}

RC_GTEST_PROP(OptionText, BytesComeBack, ()) {
  const auto bytes = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 45);
  RC_ASSERT(ParseBytes(ShowBytes(bytes)).value() == bytes);
  RC_ASSERT(ParseBytes(ShowBytes(bytes << 10)).value() == bytes << 10);
}

RC_GTEST_PROP(OptionText, DurationsComeBack, ()) {
  const auto value = *rc::gen::inRange<std::int64_t>(0, 1'000'000'000);
  for (const std::int64_t factor : {1, 1'000, 60'000, 3'600'000}) {
    RC_ASSERT(ParseMilliseconds(ShowMilliseconds(value * factor)).value() == value * factor);
  }
}

RC_GTEST_PROP(NearestWord, OneSlipInALongWordIsForgiven, ()) {
  const std::string word = "cache.near.bytes";
  std::string slip = word;
  const auto at = *rc::gen::inRange<std::size_t>(0, word.size() - 1);
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      slip.erase(at, 1);
      break;
    case 1:
      slip.insert(at, 1, 'q');
      break;
    case 2:
      slip[at] = 'q';
      break;
    default:
      std::swap(slip[at], slip[at + 1]);
      break;
  }
  RC_ASSERT(NearestWord(slip, {"store.sqlite.files", word, "http.address"}) == word);
}

}  // namespace
}  // namespace muster
