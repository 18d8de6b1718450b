#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace muster {

// What the place that output goes to can do.
struct Terminal {
  bool is_terminal = false;
  bool has_color = false;  // a terminal, TERM is not "dumb", NO_COLOR is unset or empty (no-color.org)
  std::size_t columns = 80;
};

Terminal DescribeTerminal(int file_descriptor);

enum class Style { kBold, kDim, kRed, kGreen, kYellow };
// `text` in that style, or as it is when there is no colour.
std::string Styled(const Terminal& terminal, Style style, std::string_view text);

// How many columns UTF-8 text takes in a terminal: two for East Asian wide characters and emoji, none for combining
// marks.
std::size_t DisplayWidth(std::string_view text);

// `text` with control characters made visible, so that data cannot steer the terminal.
std::string Printable(std::string_view text);

}  // namespace muster
