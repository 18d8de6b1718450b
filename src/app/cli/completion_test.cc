#include "app/cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/cli/command_tree.h"
#include "app/cli/help.h"
#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::IsSupersetOf;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

struct Ran {
  int status = -1;
  std::vector<std::string> lines;
};

// Runs a shell command; its output by lines.
Ran Shell(const std::string& command) {
  Ran ran;
  std::FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk;
  while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), pipe)) output.append(chunk.data(), size);
  ran.status = pclose(pipe);
  for (std::size_t begin = 0; begin < output.size();) {
    const std::size_t end = std::min(output.find('\n', begin), output.size());
    ran.lines.push_back(output.substr(begin, end - begin));
    begin = end + 1;
  }
  return ran;
}

bool Has(const std::string& program) { return Shell("command -v " + program).status == 0; }

class CompletionTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(WriteFileDurably(path, content, 0600));
    return path;
  }

  // What bash offers after these words, the last of which is being typed.
  std::vector<std::string> BashOffers(const std::vector<std::string>& words) {
    std::string quoted;
    for (const std::string& word : words) quoted += " '" + word + "'";
    const std::string script = Write("muster.bash", BashCompletion(*root_));
    const std::string driver = Write("driver.bash", "source " + script + "\nCOMP_WORDS=(" + quoted +
                                                        ")\nCOMP_CWORD=" + std::to_string(words.size() - 1) +
                                                        "\n_muster\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
    return Shell("bash " + driver).lines;
  }

  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-completion-test").value());
  CommandContext context_;
  const std::unique_ptr<CLI::App> root_ = MakeCommandTree(context_);
};

TEST_F(CompletionTest, BashScriptIsValid) {
  EXPECT_EQ(Shell("bash -n " + Write("muster.bash", BashCompletion(*root_))).status, 0);
}

TEST_F(CompletionTest, BashOffersCommandsOptionsAndChoices) {
  std::vector<std::string> commands;
  for (const CLI::App* command : VisibleCommands(*root_)) commands.push_back(command->get_name());
  EXPECT_THAT(BashOffers({"muster", ""}), ::testing::UnorderedElementsAreArray(commands));
  EXPECT_THAT(BashOffers({"muster", "mem"}), UnorderedElementsAre("member"));
  EXPECT_THAT(BashOffers({"muster", "member", "re"}), UnorderedElementsAre("resolve", "register"));
  EXPECT_THAT(BashOffers({"muster", "member", "get", "--"}),
              IsSupersetOf({"--server", "--key-file", "--output", "--no-cache"}));
  EXPECT_THAT(BashOffers({"muster", "member", "get", "-o", ""}), UnorderedElementsAre("table", "json", "yaml"));
  EXPECT_THAT(BashOffers({"muster", "member", "get", "7", "--output", "j"}), UnorderedElementsAre("json"));
  EXPECT_THAT(BashOffers({"muster", "completion", ""}), UnorderedElementsAre("bash", "zsh", "fish"));
}

TEST_F(CompletionTest, BashOffersFilesWhereAFileBelongs) {
  Write("members.jsonl", "");
  EXPECT_THAT(BashOffers({"muster", "import", directory_.path() + "/mem"}),
              UnorderedElementsAre(directory_.path() + "/members.jsonl"));
  EXPECT_THAT(BashOffers({"muster", "import", "--rejects", directory_.path() + "/mem"}),
              UnorderedElementsAre(directory_.path() + "/members.jsonl"));
  EXPECT_THAT(BashOffers({"muster", "import", "--rejects", "=", directory_.path() + "/mem"}),
              UnorderedElementsAre(directory_.path() + "/members.jsonl"));
}

TEST_F(CompletionTest, BashOffersNamesWithSpacesWhole) {
  const std::string name = Write("my members.jsonl", "");
  std::filesystem::create_directory(directory_.path() + "/my data");
  EXPECT_THAT(BashOffers({"muster", "import", directory_.path() + "/my"}),
              UnorderedElementsAre(name, directory_.path() + "/my data"));
  EXPECT_THAT(BashOffers({"muster", "serve", "--data", directory_.path() + "/my"}),
              UnorderedElementsAre(directory_.path() + "/my data"));
  for (const std::string& typed : {directory_.path() + "/my\\ mem", "\"" + directory_.path() + "/my mem"}) {
    EXPECT_THAT(BashOffers({"muster", "import", "--rejects", typed}), UnorderedElementsAre(name)) << typed;
  }
}

TEST_F(CompletionTest, BashOffersValuesBehindAnEqualsSign) {
  // The equals sign is a word of its own.
  EXPECT_THAT(BashOffers({"muster", "member", "get", "--output", "="}), UnorderedElementsAre("table", "json", "yaml"));
  EXPECT_THAT(BashOffers({"muster", "member", "get", "--output", "=", "j"}), UnorderedElementsAre("json"));
}

TEST_F(CompletionTest, BashGoesOnBehindAComma) {
  const auto offers = [this](const std::string& typed) {
    return BashOffers({"muster", "callers", "create", "x", "--scopes", typed});
  };
  EXPECT_THAT(offers("members.w"), UnorderedElementsAre("members.write"));
  EXPECT_THAT(offers("admin,members.w"), UnorderedElementsAre("admin,members.write"));
  EXPECT_THAT(offers("members.read,admin,"), IsSupersetOf({"members.read,admin,members.write"}));
}

TEST_F(CompletionTest, BashOffersWhatHelpExplains) {
  EXPECT_THAT(BashOffers({"muster", "help", "mem"}), UnorderedElementsAre("member"));
  EXPECT_THAT(BashOffers({"muster", "help", "e"}), UnorderedElementsAre("export", "exit-codes", "environment"));
  EXPECT_THAT(BashOffers({"muster", "help", "member", "re"}), UnorderedElementsAre("resolve", "register"));
}

TEST_F(CompletionTest, AWordThatIsAValueDoesNotSelectACommand) {
  // "get" is an operand here, so what follows is still of `member resolve`.
  EXPECT_THAT(BashOffers({"muster", "member", "resolve", "get", "--min"}), UnorderedElementsAre("--min-version"));
}

TEST_F(CompletionTest, ZshScriptIsValidAndOffersCommands) {
  if (!Has("zsh")) GTEST_SKIP() << "zsh is not installed";
  const std::string script = Write("_muster", ZshCompletion(*root_));
  EXPECT_EQ(Shell("zsh -n " + script).status, 0);
  // Stands in for the completion system and prints what it would be given.
  const std::string driver = Write(
      "driver.zsh",
      "compdef() { :; }\n_describe() { local -a e; e=(\"${(@P)2}\"); print -l -- \"${e[@]}\"; }\n"
      "_files() { print FILES; }\n_message() { print \"MESSAGE $1\"; }\ncompadd() { shift; print -l -- \"$@\"; }\n"
      "compset() { print \"COMPSET $@\"; }\n"
      "source " +
          script +
          "\nwords=(muster member '')\nCURRENT=3\n_muster\nwords=(muster member get -o '')\n"
          "CURRENT=5\n_muster\nwords=(muster import '')\nCURRENT=3\n_muster\nwords=(muster help member '')\n"
          "CURRENT=4\n_muster\nwords=(muster callers create x --scopes admin,)\nCURRENT=6\n_muster\n");
  const Ran ran = Shell("zsh -f " + driver);
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.lines, IsSupersetOf({"get:Print a member by its number", "get:Print a member by its number", "table",
                                       "json", "yaml", "FILES", "COMPSET -P *,", "members.write"}));
}

TEST_F(CompletionTest, FishScriptIsValidAndOffersCommands) {
  if (!Has("fish")) GTEST_SKIP() << "fish is not installed";
  const std::string script = Write("muster.fish", FishCompletion(*root_));
  EXPECT_EQ(Shell("fish --no-execute " + script).status, 0);
  const auto offers = [&](const std::string& line) {
    return Shell("HOME=" + directory_.path() + " fish --no-config -c 'source " + script + "; complete -C \"" + line +
                 "\"'")
        .lines;
  };
  EXPECT_THAT(offers("muster member re"), UnorderedElementsAre(StartsWith("resolve"), StartsWith("register")));
  EXPECT_THAT(offers("muster member get -o "),
              UnorderedElementsAre(StartsWith("table"), StartsWith("json"), StartsWith("yaml")));
  EXPECT_THAT(offers("muster callers create x --scopes members.w"), UnorderedElementsAre(StartsWith("members.write")));
  EXPECT_THAT(offers("muster callers create x --scopes admin,members.w"),
              UnorderedElementsAre(StartsWith("admin,members.write")));
  EXPECT_THAT(offers("muster callers create x --scopes=admin,members.w"),
              UnorderedElementsAre(StartsWith("--scopes=admin,members.write")));
  EXPECT_THAT(offers("muster help mem"), UnorderedElementsAre(StartsWith("member")));
  EXPECT_THAT(offers("muster help e"),
              UnorderedElementsAre(StartsWith("export"), StartsWith("exit-codes"), StartsWith("environment")));
  EXPECT_THAT(offers("muster help member re"), UnorderedElementsAre(StartsWith("resolve"), StartsWith("register")));
  EXPECT_THAT(offers("muster completion "),
              UnorderedElementsAre(StartsWith("bash"), StartsWith("zsh"), StartsWith("fish")));
}

}  // namespace
}  // namespace muster
