#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/cli/terminal.h"

namespace muster {

// Rows under headings, as wide as their content, two spaces between columns and none at the end of a line. Control
// characters in cells are made visible.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void AddRow(std::vector<std::string> cells);  // as many as there are columns
  std::string Render(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Names and values, one a line, the values in one column; a value with line feeds continues under itself. Rows with an
// empty value are left out.
std::string RenderFields(const Terminal& terminal, const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace muster
