#include "base/toml_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace muster::toml_source_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

struct KindRow {
  std::string name;
  std::int64_t limit = 10;
  bool per_platform = false;
  std::vector<std::string> aliases;
};

class TomlSourceTest : public testing::Test {
 protected:
  TomlSourceTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "muster-toml-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    folder_ = pattern;
    path_ = folder_ / "muster.toml";

    options_.AddString("http.address", &address_, "Address.");
    options_.AddInteger("http.threads", &threads_, "Threads.", {.min = 1, .max = 64});
    options_.AddBytes("cache.near.bytes", &bytes_, "Bytes.", {.min = 0, .max = std::int64_t{1} << 40});
    options_.AddDuration("http.header_timeout", &timeout_ms_, "Timeout.", {.min = 1, .max = 60'000});
    options_.AddBoolean("cache.near.enabled", &enabled_, "Enabled.");
    options_.AddStrings("identity.platforms", &platforms_, "Platforms.");
    options_.AddTables<KindRow>("identity.kinds", &kinds_, "Kinds.", [](OptionRegistry& columns, KindRow& row) {
      columns.AddString("name", &row.name, "Name.");
      columns.AddInteger("limit", &row.limit, "Limit.", {.min = 1, .max = 100});
      columns.AddBoolean("per_platform", &row.per_platform, "Per platform.");
      columns.AddStrings("aliases", &row.aliases, "Aliases.");
    });
  }
  ~TomlSourceTest() override { std::filesystem::remove_all(folder_); }

  Result<void> Load(std::string_view text) {
    std::ofstream(path_, std::ios::binary) << text;
    return LoadToml(path_, options_);
  }

  // What the refusal says after the file's path, or "accepted".
  std::string Refusal(std::string_view text) {
    const auto loaded = Load(text);
    if (loaded) return "accepted";
    EXPECT_EQ(loaded.error().reason, Reason::kInvalidArgument);
    const std::string& message = loaded.error().message;
    EXPECT_TRUE(message.starts_with(path_ + ":")) << message;
    return message.substr(path_.size() + 1);
  }

  // The refusal of an environment, or "accepted".
  std::string Environment(std::initializer_list<const char*> variables) {
    std::vector<const char*> all(variables);
    all.push_back(nullptr);
    const auto loaded = LoadEnvironment(all.data(), options_);
    return loaded ? "accepted" : loaded.error().message;
  }

  std::string SourceOf(std::string_view name) {
    for (const auto& current : options_.Explain()) {
      if (current.spec->name == name) return current.source;
    }
    return "no such option";
  }

  std::filesystem::path folder_;
  std::string path_;
  std::string address_ = "127.0.0.1:7400";
  std::int64_t threads_ = 2;
  std::int64_t bytes_ = 1024;
  std::int64_t timeout_ms_ = 10'000;
  bool enabled_ = true;
  std::vector<std::string> platforms_;
  std::vector<KindRow> kinds_;
  OptionRegistry options_;
};

TEST_F(TomlSourceTest, SetsWhatTheFileGives) {
  const auto loaded = Load(R"(# a comment
[http]
address = "0.0.0.0:80"
threads = 8
header_timeout = "5s"

[cache.near]
bytes = "64 MiB"
enabled = false

[identity]
platforms = ["wechat", "alipay"]
)");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(address_, "0.0.0.0:80");
  EXPECT_EQ(threads_, 8);
  EXPECT_EQ(timeout_ms_, 5'000);
  EXPECT_EQ(bytes_, 64 << 20);
  EXPECT_FALSE(enabled_);
  EXPECT_THAT(platforms_, ElementsAre("wechat", "alipay"));
  EXPECT_EQ(SourceOf("http.threads"), path_ + ":4");
  EXPECT_EQ(SourceOf("cache.near.bytes"), path_ + ":8");
}

TEST_F(TomlSourceTest, DottedKeysAndBareBytesWorkToo) {
  ASSERT_EQ(Refusal("cache.near.bytes = 4096\nhttp.threads = 3\n"), "accepted");
  EXPECT_EQ(bytes_, 4096);
  EXPECT_EQ(threads_, 3);
}

TEST_F(TomlSourceTest, AnEmptyFileOrSectionChangesNothing) {
  EXPECT_EQ(Refusal(""), "accepted");
  EXPECT_EQ(Refusal("[cache]\n[cache.near]\n"), "accepted");
  EXPECT_EQ(threads_, 2);
  EXPECT_EQ(SourceOf("http.threads"), "default");
}

TEST_F(TomlSourceTest, RepeatedTablesBecomeRows) {
  ASSERT_EQ(Refusal(R"(
[[identity.kinds]]
name = "phone"
limit = 3

[[identity.kinds]]
name = "card"
per_platform = true
aliases = ["a", "b"]
)"),
            "accepted");
  ASSERT_EQ(kinds_.size(), 2U);
  EXPECT_EQ(kinds_[0].name, "phone");
  EXPECT_EQ(kinds_[0].limit, 3);
  EXPECT_FALSE(kinds_[0].per_platform);
  EXPECT_EQ(kinds_[1].limit, 10);
  EXPECT_TRUE(kinds_[1].per_platform);
  EXPECT_THAT(kinds_[1].aliases, ElementsAre("a", "b"));
  EXPECT_THAT(SourceOf("identity.kinds"), testing::StartsWith(path_ + ":"));
  EXPECT_EQ(Refusal("identity.kinds = []"), "accepted");
  EXPECT_THAT(kinds_, IsEmpty());
}

TEST_F(TomlSourceTest, FaultsInRepeatedTablesNameTheRowAndItsLine) {
  EXPECT_EQ(Refusal("[[identity.kinds]]\nname = \"a\"\n[[identity.kinds]]\nlimit = 0\n"),
            "4: identity.kinds[1].limit must be 1 to 100, not \"0\"");
  EXPECT_EQ(Refusal("[[identity.kinds]]\nlimt = 3\n"),
            "2: identity.kinds[0].limt is not an option; did you mean identity.kinds[0].limit?");
  EXPECT_EQ(Refusal("[[identity.kinds]]\nlimit = \"3\"\n"),
            "2: identity.kinds[0].limit must be a whole number, without quotes");
  EXPECT_EQ(Refusal("[[identity.kinds]]\naliases = \"a\"\n"),
            "2: identity.kinds[0].aliases must be a list of strings, such as [\"a\", \"b\"]");
  EXPECT_EQ(Refusal("[[identity.kinds]]\nname = { first = \"a\" }\n"),
            "2: identity.kinds[0].name must be a string in quotes");
  EXPECT_THAT(kinds_, IsEmpty());
}

TEST_F(TomlSourceTest, WhatIsNotTomlIsPlaced) {
  EXPECT_THAT(Refusal("[http]\nthreads = = 3\n"), MatchesRegex("2:1[01]: .+"));
  EXPECT_THAT(Refusal("[http\n"), MatchesRegex("1:[0-9]+: .+"));
  EXPECT_THAT(Refusal("[http]\nthreads = 1\nthreads = 2\n"), MatchesRegex("3:[0-9]+: .+"));
  EXPECT_THAT(Refusal("a = \"\xFF\"\n"), MatchesRegex("1:[0-9]+: .+"));
  EXPECT_THAT(Refusal(std::string_view("a = 1\0", 6)), MatchesRegex("1:[0-9]+: .+"));
}

TEST_F(TomlSourceTest, UnknownOptionsNameTheNearest) {
  EXPECT_EQ(Refusal("[http]\nthread = 1\n"), "2: http.thread is not an option; did you mean http.threads?");
  EXPECT_EQ(Refusal("[cache.neer]\nbytes = 1\n"),
            "2: cache.neer.bytes is not an option; did you mean cache.near.bytes?");
  EXPECT_EQ(Refusal("verbose = true\n"), "1: verbose is not an option; `muster config reference` lists them all");
  EXPECT_THAT(Refusal("[quite.another]\n"), HasSubstr("quite.another is not an option"));
  EXPECT_THAT(Refusal("[[http.listeners]]\nport = 1\n"), HasSubstr("http.listeners is not an option"));
  EXPECT_THAT(Refusal("http = 3\n"), HasSubstr("http is not an option"));
}

TEST_F(TomlSourceTest, ValuesOfTheWrongTypeSayTheRightOne) {
  EXPECT_EQ(Refusal("[http]\nthreads = \"3\"\n"), "2: http.threads must be a whole number, without quotes");
  EXPECT_EQ(Refusal("[http]\nthreads = 3.0\n"), "2: http.threads must be a whole number, without quotes");
  EXPECT_EQ(Refusal("[http]\nthreads = [3]\n"), "2: http.threads must be a whole number, without quotes");
  EXPECT_EQ(Refusal("[http.threads]\nmost = 3\n"), "1: http.threads must be a whole number, without quotes");
  EXPECT_EQ(Refusal("[http]\naddress = 80\n"), "2: http.address must be a string in quotes");
  EXPECT_EQ(Refusal("[http]\nheader_timeout = 5\n"),
            "2: http.header_timeout must be a duration in quotes, such as \"250ms\", \"10s\", \"5m\" or \"24h\"");
  EXPECT_EQ(Refusal("[cache.near]\nenabled = \"false\"\n"),
            "2: cache.near.enabled must be true or false, without quotes");
  EXPECT_EQ(Refusal("[cache.near]\nbytes = 2026-01-02\n"),
            "2: cache.near.bytes must be a number of bytes, such as 4096 or \"64 KiB\"");
  EXPECT_EQ(Refusal("[identity]\nplatforms = \"wechat\"\n"),
            "2: identity.platforms must be a list of strings, such as [\"a\", \"b\"]");
  EXPECT_EQ(Refusal("[identity]\nplatforms = [\n  \"wechat\",\n  3,\n]\n"),
            "4: identity.platforms must be a list of strings, such as [\"a\", \"b\"]");
  EXPECT_EQ(Refusal("[identity]\nkinds = \"phone\"\n"),
            "2: identity.kinds must be tables, each headed by its name in double brackets");
  EXPECT_EQ(Refusal("[identity]\nkinds = [\"phone\"]\n"),
            "2: identity.kinds must be tables, each headed by its name in double brackets");
  EXPECT_EQ(Refusal("[http]\nthreads = 65\n"), "2: http.threads must be 1 to 64, not \"65\"");
  EXPECT_EQ(threads_, 2);
}

TEST_F(TomlSourceTest, AFileThatCannotBeReadSaysWhy) {
  const auto missing = LoadToml(folder_ / "none.toml", options_);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("none.toml: No such file or directory"));
  EXPECT_FALSE(LoadToml(folder_, options_));
}

TEST_F(TomlSourceTest, AFileBeyondTheBoundIsRefused) {
  const std::string comment = "# padding\n";
  std::string text;
  while (text.size() <= kConfigurationBytesMax) text += comment;
  std::ofstream(path_, std::ios::binary) << text;
  const auto loaded = LoadToml(path_, options_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("is larger than 1048576 bytes"));
  EXPECT_EQ(Refusal(std::string_view(text).substr(0, kConfigurationBytesMax)), "accepted");
}

TEST_F(TomlSourceTest, DeepNestingEndsInAnError) {
  EXPECT_NE(Refusal("a = " + std::string(100'000, '[')), "accepted");
  std::string dotted = "a";
  for (int i = 0; i < 10'000; ++i) dotted += ".a";
  EXPECT_THAT(Refusal(dotted + " = 1\n"), HasSubstr("is not an option: it is in too many sections"));
}

TEST_F(TomlSourceTest, TheEnvironmentSetsOptions) {
  EXPECT_EQ(Environment({"PATH=/bin", "MUSTER_HTTP__THREADS=9", "MUSTER_HTTP__HEADER_TIMEOUT=1s",
                         "MUSTER_CACHE__NEAR__BYTES=1 MiB", "MUSTER_IDENTITY__PLATFORMS=wechat,alipay",
                         "MUSTER_HTTP__ADDRESS=a=b"}),
            "accepted");
  EXPECT_EQ(threads_, 9);
  EXPECT_EQ(timeout_ms_, 1'000);
  EXPECT_EQ(bytes_, 1 << 20);
  EXPECT_THAT(platforms_, ElementsAre("wechat", "alipay"));
  EXPECT_EQ(address_, "a=b");
  EXPECT_EQ(SourceOf("http.threads"), "environment MUSTER_HTTP__THREADS");
}

TEST_F(TomlSourceTest, EveryOptionsEnvironmentNameIsReadBack) {
  for (const auto& current : options_.Explain()) {
    if (current.spec->type == OptionType::kTables) continue;
    const std::string variable = EnvironmentName(current.spec->name) + "=" + current.text;
    EXPECT_EQ(Environment({variable.c_str()}), "accepted") << variable;
    EXPECT_EQ(SourceOf(current.spec->name), "environment " + EnvironmentName(current.spec->name));
  }
}

TEST_F(TomlSourceTest, TheEnvironmentIsCheckedAsTheFileIs) {
  EXPECT_EQ(Environment({"MUSTER_HTTP__THREADS=0"}),
            "environment MUSTER_HTTP__THREADS: http.threads must be 1 to 64, not \"0\"");
  EXPECT_EQ(Environment({"MUSTER_HTTP__THREADS="}),
            "environment MUSTER_HTTP__THREADS: http.threads must be a whole number, not \"\"");
  EXPECT_EQ(Environment({"MUSTER_HTTP_THREADS=1"}),
            "environment MUSTER_HTTP_THREADS: http_threads is not an option; did you mean http.threads?");
  EXPECT_THAT(Environment({"MUSTER_IDENTITY__KINDS=x"}), HasSubstr("can only be set in the configuration file"));
  EXPECT_THAT(Environment({"MUSTER_NO__SUCH=x"}), HasSubstr("is not an option"));
}

TEST_F(TomlSourceTest, TheVariablesOfClientsAreNotOptions) {
  EXPECT_EQ(Environment({"MUSTER_SERVER=http://127.0.0.1:7400", "MUSTER_KEY_FILE=/k", "MUSTERING=1", "MUSTER_NOTHING"}),
            "accepted");
}

TEST_F(TomlSourceTest, VariablesThatResembleNoOptionAreSomebodyElses) {
  EXPECT_EQ(Environment({"MUSTER_PORT=tcp://10.0.0.1:7400", "MUSTER_SERVICE_HOST=10.0.0.1", "MUSTER_=x"}), "accepted");
}

TEST_F(TomlSourceTest, TheEnvironmentWinsOverTheFile) {
  ASSERT_EQ(Refusal("[http]\nthreads = 8\n"), "accepted");
  ASSERT_EQ(Environment({"MUSTER_HTTP__THREADS=9"}), "accepted");
  EXPECT_EQ(threads_, 9);
}

RC_GTEST_FIXTURE_PROP(TomlSourceTest, NoFileIsTooStrange, ()) {
  const auto piece = rc::gen::element<std::string>("[", "]", "http", "cache.near", ".", "threads", "=", "1", "\"", "\n",
                                                   "[[identity.kinds]]", "name", "{", "}", ",", "\xFF", "bytes", " ");
  std::string text;
  for (const std::string& part : *rc::gen::container<std::vector<std::string>>(piece)) text += part;
  const auto loaded = Load(text);
  RC_ASSERT((loaded.has_value() || loaded.error().message.starts_with(path_ + ":")));
}

}  // namespace
}  // namespace muster::toml_source_test
