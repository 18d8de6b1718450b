#include "app/cli/terminal.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(TerminalTest, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth(""), 0U);
  EXPECT_EQ(DisplayWidth("Suzhou"), 6U);
  EXPECT_EQ(DisplayWidth("苏州"), 4U);
  EXPECT_EQ(DisplayWidth("Zürich"), 6U);
  EXPECT_EQ(DisplayWidth("Zu\u0308rich"), 6U);  // u and a combining diaeresis
  EXPECT_EQ(DisplayWidth("👍"), 2U);
  EXPECT_EQ(DisplayWidth("カナ"), 4U);
}

TEST(TerminalTest, WidthOfBrokenUtf8Ends) {
  EXPECT_EQ(DisplayWidth("\xE4"), 1U);
  EXPECT_GE(DisplayWidth("a\xFF\xFE z"), 1U);
}

TEST(TerminalTest, ControlCharactersCannotSteerTheTerminal) {
  EXPECT_EQ(Printable("a\033[2Jb"), "a?[2Jb");
  EXPECT_EQ(Printable("line\nfeed\ttab\x7F"), "line?feed?tab?");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "?31m");  // CSI as a C1 control
  EXPECT_EQ(Printable("\xC2\xA9 苏州"), "\xC2\xA9 苏州");
}

TEST(TerminalTest, StylesOnlyWhereThereIsColour) {
  EXPECT_EQ(Styled({}, Style::kRed, "x"), "x");
  EXPECT_EQ(Styled({.is_terminal = true, .has_color = true}, Style::kRed, "x"), "\033[31mx\033[0m");
}

}  // namespace
}  // namespace muster
