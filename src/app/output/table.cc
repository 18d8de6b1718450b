#include "app/output/table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kGap = 2;

void TrimRight(std::string& line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  MUSTER_CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render(const Terminal& terminal) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = DisplayWidth(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
  }
  const auto line_of = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string padding(widths[i] - DisplayWidth(cell), ' ');
      if (i > 0) line.append(kGap, ' ');
      line += columns_[i].align == Align::kRight ? padding + cell : cell + padding;
    }
    TrimRight(line);
    return line;
  };
  std::string out = Styled(terminal, Style::kBold,
                           line_of([this](std::size_t i) -> const std::string& { return columns_[i].heading; }));
  out += '\n';
  for (const auto& row : rows_) {
    out += line_of([&row](std::size_t i) -> const std::string& { return row[i]; });
    out += '\n';
  }
  return out;
}

std::string RenderFields(const Terminal& terminal, const std::vector<std::pair<std::string, std::string>>& fields) {
  std::size_t width = 0;
  for (const auto& [name, value] : fields) {
    if (!value.empty()) width = std::max(width, DisplayWidth(name));
  }
  std::string out;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    out += Styled(terminal, Style::kBold, name);
    std::size_t padding = width - DisplayWidth(name) + kGap;
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find('\n', begin), value.size());
      out.append(padding, ' ');
      out += Printable(std::string_view(value).substr(begin, end - begin));
      out += '\n';
      begin = end + 1;
      padding = width + kGap;
    }
  }
  return out;
}

}  // namespace muster
