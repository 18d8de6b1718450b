#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace muster {

// A straight scale between two values on so many pixels, linear or logarithmic.
class SvgScale {
 public:
  struct Tick {
    double value;
    std::string label;
  };

  // Covers [low, high] and something above it; a logarithmic one whole powers of ten, from above zero.
  static SvgScale Linear(double low, double high);
  static SvgScale Logarithmic(double low, double high);
  // For a share of all values, given as 1 / (1 - share): every further nine takes as much room as the one before.
  static SvgScale Nines(double high);

  // 0 at the lower end, 1 at the upper; what lies outside is at the nearer end.
  double Position(double value) const;
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  double low_ = 0;
  double high_ = 1;
  bool is_logarithmic_ = false;
  std::vector<Tick> ticks_;
};

struct SvgPoint {
  double x;
  double y;
};
struct SvgLine {
  std::string name;
  std::string style;  // a class: "a" to "d"
  std::vector<SvgPoint> points;
};

// One chart: a title, two axes with their grids, lines and their names.
struct SvgChart {
  std::string title;
  std::string x_label;
  SvgScale x;
  SvgScale y;
  std::vector<SvgLine> lines;
  // Times that are marked, behind everything: from x to y on the x axis.
  std::vector<SvgPoint> bands = {};
};

inline constexpr double kSvgChartWidth = 960;
inline constexpr double kSvgChartHeight = 280;

// Appends the chart as a group whose upper edge is at `top`.
void AppendSvgChart(std::string& out, const SvgChart& chart, double top);

// Text as it may stand in an element.
std::string SvgText(std::string_view text);

}  // namespace muster
