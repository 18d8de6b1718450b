#include "app/cli/messages.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "app/cli/terminal.h"

namespace muster {
namespace {

// What was printed before stands before it, where both go to one place.
void PutAfterData(const std::string& line) {
  std::fflush(stdout);
  std::fputs(line.c_str(), stderr);
}

}  // namespace

void PrintMessage(std::string_view message) {
  std::string line = Styled(DescribeTerminal(STDERR_FILENO), Style::kRed, "muster:");
  line.append(" ").append(message).append("\n");
  PutAfterData(line);
}

void PrintNote(std::string_view note) {
  std::string line(note);
  line += '\n';
  PutAfterData(line);
}

void PrintData(std::string_view data) { std::fwrite(data.data(), 1, data.size(), stdout); }

}  // namespace muster
