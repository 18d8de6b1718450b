#include "app/cli/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <functional>

#include "app/cli/command_tree.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HelpTest : public ::testing::Test {
 protected:
  // What the program says to a command line that does not parse; empty when it does.
  std::string UsageError(std::vector<std::string> words) {
    std::ranges::reverse(words);  // CLI11 takes them from the back
    try {
      root_->parse(std::move(words));
    } catch (const CLI::ParseError& error) {
      return ExplainUsageError(*root_, error.what());
    }
    return "";
  }
  void ForEachCommand(const std::function<void(const CLI::App&)>& visit) { Visit(*root_, visit); }

  CommandContext context_;
  const std::unique_ptr<CLI::App> root_ = MakeCommandTree(context_);

 private:
  static void Visit(const CLI::App& command, const std::function<void(const CLI::App&)>& visit) {
    visit(command);
    for (const CLI::App* child : VisibleCommands(command)) Visit(*child, visit);
  }
};

TEST_F(HelpTest, EveryCommandSaysWhatItDoesAndHowItIsUsed) {
  ForEachCommand([](const CLI::App& command) {
    EXPECT_FALSE(command.get_description().empty()) << CommandPath(command);
    const std::string help = command.get_formatter()->make_help(&command, "", CLI::AppFormatMode::Normal);
    EXPECT_THAT(help, HasSubstr("Usage: " + CommandPath(command)));
    for (const CLI::Option* option : VisibleOptions(command)) {
      EXPECT_FALSE(option->get_description().empty()) << CommandPath(command) << " " << option->get_name();
    }
  });
}

TEST_F(HelpTest, OperandsAreNamedWholeAndWithoutTheirBounds) {
  const auto help = [this](const char* command) {
    const CLI::App* app = root_->get_subcommand(command);
    return app->get_formatter()->make_help(app, "", CLI::AppFormatMode::Normal);
  };
  EXPECT_THAT(help("serve"), HasSubstr("--http HOST:PORT "));
  EXPECT_THAT(help("demo"), HasSubstr("--members N "));
  EXPECT_THAT(help("import"), HasSubstr("--connections N "));
}

TEST_F(HelpTest, NoLineIsTooWide) {
  ForEachCommand([](const CLI::App& command) {
    const std::string help = command.get_formatter()->make_help(&command, "", CLI::AppFormatMode::Normal);
    for (std::size_t begin = 0; begin < help.size();) {
      const std::size_t end = help.find('\n', begin);
      EXPECT_LE(end - begin, 132U) << CommandPath(command) << ": " << help.substr(begin, end - begin);
      begin = end + 1;
    }
  });
}

TEST_F(HelpTest, EveryLeafWithExtraWordsIsAUsageError) {
  EXPECT_THAT(UsageError({"routes", "now"}), HasSubstr("routes takes no further word: 'now'"));
}

TEST_F(HelpTest, MistypedWordsGetTheNearestOne) {
  EXPECT_THAT(UsageError({"memebr"}), HasSubstr("no command 'memebr'; did you mean 'member'?"));
  EXPECT_THAT(UsageError({"member", "resolv"}), HasSubstr("no command 'member resolv'; did you mean 'resolve'?"));
  EXPECT_THAT(UsageError({"member", "get", "7", "--sever", "x"}),
              HasSubstr("has no option --sever; did you mean '--server'?"));
  EXPECT_THAT(UsageError({"xyzzy"}), Not(HasSubstr("did you mean")));
}

TEST_F(HelpTest, MissingAndMalformedValuesAreUsageErrors) {
  EXPECT_THAT(UsageError({"member", "get"}), HasSubstr("ID"));
  EXPECT_THAT(UsageError({"member", "get", "7", "-o", "xml"}), HasSubstr("xml"));
  EXPECT_THAT(UsageError({"import"}), HasSubstr("FILE"));
  EXPECT_THAT(UsageError({"import", "x", "--connections", "0"}), HasSubstr("0"));
}

TEST_F(HelpTest, AnOperandMayBeTheNameOfACommand) {
  EXPECT_EQ(UsageError({"import", "export"}), "");
  EXPECT_EQ(UsageError({"member", "resolve", "member"}), "");
}

TEST_F(HelpTest, ChoicesComeFromTheValidator) {
  const CLI::App* shell = root_->get_subcommand("completion");
  const auto operands = shell->get_options([](const CLI::Option* option) { return option->get_positional(); });
  ASSERT_EQ(operands.size(), 1U);
  EXPECT_THAT(OptionChoices(*operands.front()), ::testing::ElementsAre("bash", "zsh", "fish"));
}

TEST_F(HelpTest, TheReferenceNamesEveryCommand) {
  const std::string reference = CommandReference(*root_);
  ForEachCommand(
      [&](const CLI::App& command) { EXPECT_THAT(reference, HasSubstr("## " + CommandPath(command) + "\n")); });
}

}  // namespace
}  // namespace muster
