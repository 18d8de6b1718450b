#pragma once

#include "app/cli/command_context.h"

namespace muster {

// Each adds one command, or one group of commands, with its options and help, to the tree. One a file.
void AddServeCommand(CLI::App& root, CommandContext& context);
void AddDemoCommand(CLI::App& root, CommandContext& context);
void AddMemberCommands(CLI::App& root, CommandContext& context);
void AddImportCommand(CLI::App& root, CommandContext& context);
void AddExportCommand(CLI::App& root, CommandContext& context);
void AddChangesCommand(CLI::App& root, CommandContext& context);
void AddRoutesCommand(CLI::App& root, CommandContext& context);
void AddTopologyCommands(CLI::App& root, CommandContext& context);
void AddCallersCommands(CLI::App& root, CommandContext& context);
void AddBenchCommand(CLI::App& root, CommandContext& context);
void AddDoctorCommand(CLI::App& root, CommandContext& context);
void AddLabCommands(CLI::App& root, CommandContext& context);
void AddKeysCommands(CLI::App& root, CommandContext& context);
void AddConfigCommands(CLI::App& root, CommandContext& context);
void AddReferenceCommands(CLI::App& root, CommandContext& context);
void AddCompletionCommand(CLI::App& root, CommandContext& context);
void AddVersionCommand(CLI::App& root, CommandContext& context);
void AddHelpCommand(CLI::App& root, CommandContext& context);

// The headings under which `muster` lists its commands.
inline constexpr const char* kServerGroup = "Run a server";
inline constexpr const char* kMembersGroup = "Members";
inline constexpr const char* kOperateGroup = "Operate";
inline constexpr const char* kHelpGroup = "Configure and explain";

}  // namespace muster
