#include "app/cli/messages.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "app/cli/terminal.h"

namespace muster {

void PrintMessage(std::string_view message) {
  std::string line = Styled(DescribeTerminal(STDERR_FILENO), Style::kRed, "muster:");
  line.append(" ").append(message).append("\n");
  std::fputs(line.c_str(), stderr);
}

void PrintNote(std::string_view note) {
  std::string line(note);
  line += '\n';
  std::fputs(line.c_str(), stderr);
}

void PrintData(std::string_view data) { std::fwrite(data.data(), 1, data.size(), stdout); }

}  // namespace muster
