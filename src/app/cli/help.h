#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class FormatterBase;
class Option;
}  // namespace CLI

namespace muster {

// What `muster help` explains besides the commands.
inline constexpr std::array<std::string_view, 2> kHelpTopics = {"exit-codes", "environment"};

// How `--help` reads: what the command does, its usage, its subcommands by group, its options by group, examples.
std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter();

// "muster member get": the words that select a command.
std::string CommandPath(const CLI::App& command);

// "muster member get [OPTIONS] ID".
std::string UsageLine(const CLI::App& command);

// The words an option takes when they are a closed list ("table", "json", "yaml"), as its validator says; else empty.
std::vector<std::string> OptionChoices(const CLI::Option& option);

// The Markdown reference of every command, for `muster reference cli`.
std::string CommandReference(const CLI::App& root);

// Visible subcommands and options, in the order of their declaration.
std::vector<const CLI::App*> VisibleCommands(const CLI::App& command);
std::vector<const CLI::Option*> VisibleOptions(const CLI::App& command);

}  // namespace muster
