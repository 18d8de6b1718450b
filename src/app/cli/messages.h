#pragma once

#include <string_view>

namespace muster {

// "muster: …" on standard error, red on a terminal. One write, so that lines of several threads do not mix.
void PrintMessage(std::string_view message);

// A line of news on standard error, without the program's name.
void PrintNote(std::string_view note);

// Data on standard output, as it is.
void PrintData(std::string_view data);

}  // namespace muster
