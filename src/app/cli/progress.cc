#include "app/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace muster {
namespace {

constexpr Duration kRedraw = std::chrono::milliseconds(100);
constexpr Duration kPlainLineEvery = std::chrono::seconds(10);
constexpr std::size_t kBarColumns = 24;

}  // namespace

std::string WithThousands(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string ShortDuration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600) return fmt::format("{}h {:02}m", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

Progress::Progress(std::string what, std::string unit, const Clock& clock)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      clock_(clock),
      terminal_(DescribeTerminal(STDERR_FILENO)),
      start_(clock.Monotonic()),
      next_(start_ + (terminal_.is_terminal ? kRedraw : kPlainLineEvery)) {}

Progress::~Progress() { Finish(); }

std::string Progress::Line(const std::string& what, const std::string& unit, const Moment& moment,
                           std::size_t bar_columns) {
  std::string line = what + " ";
  if (moment.fraction >= 0) {
    const double fraction = std::min(moment.fraction, 1.0);
    if (bar_columns > 0) {
      const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(bar_columns));
      line += "[" + std::string(filled, '#') + std::string(bar_columns - filled, '.') + "] ";
    }
    line += fmt::format("{:.0f} %  ", fraction * 100);
  }
  line += WithThousands(moment.done) + " " + unit;
  if (moment.rate > 0) line += "  " + WithThousands(static_cast<std::uint64_t>(moment.rate)) + "/s";
  if (moment.seconds_left >= 0) line += "  " + ShortDuration(moment.seconds_left) + " left";
  return line;
}

void Progress::Report(std::uint64_t done, std::uint64_t total) {
  ReportFraction(done, total == 0 ? -1 : static_cast<double>(done) / static_cast<double>(total));
}

void Progress::ReportFraction(std::uint64_t done, double fraction) {
  if (!has_begun_) {
    has_begun_ = true;
    first_done_ = done;
    first_fraction_ = fraction;
  }
  const Instant now = clock_.Monotonic();
  if (now < next_) return;
  next_ = now + (terminal_.is_terminal ? kRedraw : kPlainLineEvery);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  Moment moment{.done = done, .fraction = fraction, .rate = static_cast<double>(done - first_done_) / seconds};
  if (fraction > first_fraction_) moment.seconds_left = seconds * (1 - fraction) / (fraction - first_fraction_);
  if (!terminal_.is_terminal) {
    std::fputs((Line(what_, unit_, moment, 0) + "\n").c_str(), stderr);
    return;
  }
  std::string line = Line(what_, unit_, moment, kBarColumns);
  if (line.size() >= terminal_.columns) line.resize(terminal_.columns - 1);
  std::fputs(("\r" + line + "\033[K").c_str(), stderr);
  std::fflush(stderr);
  is_drawn_ = true;
}

void Progress::Finish() {
  if (std::exchange(is_drawn_, false)) std::fputs("\r\033[K", stderr);
}

}  // namespace muster
