#include "app/output/table.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirContent) {
  Table table({{"NAME"}, {"N", Table::Align::kRight}, {"CITY"}});
  table.AddRow({"Li Lei", "7", "苏州"});
  table.AddRow({"x", "1234", ""});
  EXPECT_EQ(table.Render({}), "NAME       N  CITY\nLi Lei     7  苏州\nx       1234\n");
}

TEST(TableTest, WideCharactersTakeTwoColumns) {
  Table table({{"A"}, {"B"}});
  table.AddRow({"苏州", "x"});
  table.AddRow({"abcd", "y"});
  EXPECT_EQ(table.Render({}), "A     B\n苏州  x\nabcd  y\n");
}

TEST(TableTest, WithoutRowsThereAreHeadings) { EXPECT_EQ(Table({{"NAME"}, {"STATE"}}).Render({}), "NAME  STATE\n"); }

TEST(TableTest, CellsCannotSteerTheTerminal) {
  Table table({{"A"}});
  table.AddRow({"x\033[31m\ny"});
  EXPECT_EQ(table.Render({}), "A\nx?[31m?y\n");
}

TEST(TableTest, FieldsAlignAndContinueUnderThemselves) {
  EXPECT_EQ(RenderFields({}, {{"id", "7"}, {"tier", ""}, {"identities", "phone=1\nemail=2"}}),
            "id          7\nidentities  phone=1\n            email=2\n");
}

}  // namespace
}  // namespace muster
