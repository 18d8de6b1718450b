#pragma once

namespace muster {

// The whole program: parses the command line, runs the selected command, answers its exit code (cli/exit_code.h).
int RunCommandLine(int argc, const char* const* argv);

}  // namespace muster
