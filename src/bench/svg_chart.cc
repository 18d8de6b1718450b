#include "bench/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace muster {
namespace {

// Of the plot within its chart.
constexpr double kLeft = 72;
constexpr double kRight = kSvgChartWidth - 132;
constexpr double kTop = 36;
constexpr double kBottom = kSvgChartHeight - 44;
constexpr double kLegendStep = 20;
constexpr int kTicksWanted = 6;

template <typename... Values>
void Append(std::string& out, fmt::format_string<Values...> format, Values&&... values) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Values>(values)...);
}

// 1, 2 or 5 times a power of ten.
double RoundStep(double span) {
  const double raw = std::max(span / kTicksWanted, 1e-9);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double lead = raw / power;
  return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

std::string Number(double value) {
  if (value >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:g}", value);
}

double X(const SvgChart& chart, double value) { return kLeft + chart.x.Position(value) * (kRight - kLeft); }
double Y(const SvgChart& chart, double value) { return kBottom - chart.y.Position(value) * (kBottom - kTop); }

void AppendBands(std::string& out, const SvgChart& chart) {
  for (const SvgPoint& band : chart.bands) {
    const double x = X(chart, band.x);
    // As wide as can be seen.
    const double width = std::max(X(chart, band.y) - x, 1.5);
    Append(out, "<rect class=\"band\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", x, kTop, width,
           kBottom - kTop);
  }
}

void AppendAxes(std::string& out, const SvgChart& chart) {
  for (const SvgScale::Tick& tick : chart.y.ticks()) {
    const double y = Y(chart, tick.value);
    Append(out, "<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kLeft, y, kRight,
           y);
    Append(out, "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kLeft - 8, y + 4,
           SvgText(tick.label));
  }
  for (const SvgScale::Tick& tick : chart.x.ticks()) {
    const double x = X(chart, tick.value);
    Append(out, "<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", x, kTop, x,
           kBottom);
    Append(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x, kBottom + 16,
           SvgText(tick.label));
  }
  Append(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", (kLeft + kRight) / 2,
         kBottom + 34, SvgText(chart.x_label));
}

void AppendLines(std::string& out, const SvgChart& chart) {
  double legend = kTop + 10;
  for (const SvgLine& line : chart.lines) {
    if (line.points.empty()) continue;
    Append(out, "<polyline class=\"line {}\" points=\"", line.style);
    for (const SvgPoint& point : line.points) Append(out, "{:.1f},{:.1f} ", X(chart, point.x), Y(chart, point.y));
    out.back() = '"';
    out += "/>\n";
    Append(out, "<line class=\"line {}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", line.style,
           kRight + 12, legend, kRight + 36, legend);
    Append(out, "<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kRight + 42, legend + 4,
           SvgText(line.name));
    legend += kLegendStep;
  }
}

}  // namespace

SvgScale SvgScale::Linear(double low, double high) {
  SvgScale scale;
  const double step = RoundStep(high - low);
  scale.low_ = low;
  scale.high_ = std::max(std::ceil(high / step) * step, low + step);
  for (double value = std::ceil(low / step) * step; value <= scale.high_ + step / 1e6; value += step)
    scale.ticks_.push_back({.value = value, .label = Number(value)});
  return scale;
}

SvgScale SvgScale::Logarithmic(double low, double high) {
  SvgScale scale;
  scale.is_logarithmic_ = true;
  const double first = std::floor(std::log10(std::max(low, 1e-3)));
  const double last = std::max(std::ceil(std::log10(std::max(high, 1e-3))), first + 1);
  scale.low_ = std::pow(10, first);
  scale.high_ = std::pow(10, last);
  for (double power = first; power <= last; ++power)
    scale.ticks_.push_back({.value = std::pow(10, power), .label = Number(std::pow(10, power))});
  return scale;
}

SvgScale SvgScale::Nines(double high) {
  SvgScale scale = Logarithmic(1, high);
  for (std::size_t i = 0; i < scale.ticks_.size(); ++i) {
    const int digits = static_cast<int>(i) - 2;
    scale.ticks_[i].label =
        i == 0 ? "0 %" : fmt::format("{:.{}f} %", 100 - 100 / scale.ticks_[i].value, std::max(digits, 0));
  }
  return scale;
}

double SvgScale::Position(double value) const {
  const double inside = std::clamp(value, low_, high_);
  if (!is_logarithmic_) return (inside - low_) / (high_ - low_);
  return std::log(inside / low_) / std::log(high_ / low_);
}

void AppendSvgChart(std::string& out, const SvgChart& chart, double top) {
  Append(out, "<g transform=\"translate(0 {:.1f})\">\n", top);
  Append(out, "<text class=\"title\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kLeft, kTop - 14, SvgText(chart.title));
  AppendBands(out, chart);
  AppendAxes(out, chart);
  AppendLines(out, chart);
  out += "</g>\n";
}

std::string SvgText(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        // XML has no way to write other control characters.
        safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return safe;
}

}  // namespace muster
