#include "topology/failover/loss_detector.h"

#include <algorithm>
#include <tuple>

namespace muster::failover {
namespace {

std::string Milliseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + " ms";
}

CenterVerdict JudgePrimary(const Sight& sight, const std::string& primary, const FailoverOptions& options) {
  const std::string& writer = sight.document->writer;
  const DatabaseSight* const own = sight.Find(primary);
  const Instant answered = own == nullptr ? Instant::min() : own->looked_at;
  // A process that stood still has asked nobody meanwhile.
  const Instant silent_since = std::max(answered, sight.awake_since);
  if (sight.now - silent_since < options.detect_after) {
    if (answered != Instant::min() && sight.now - answered < options.reached_within) return {};
    return {CenterHealth::kSuspected, primary + " has not answered for " + Milliseconds(sight.now - silent_since)};
  }
  if (sight.board_at == Instant::min() || sight.board_since == Instant::min() ||
      sight.now - sight.board_at > options.report_fresh || sight.board_at - sight.board_since < options.board_settles) {
    return {CenterHealth::kSuspected, primary + " does not answer; what others reach cannot be read yet"};
  }
  int agreed = sight.center == writer ? 0 : 1;
  std::string by = sight.self;
  for (const ReportSight& each : sight.reports) {
    if (!sight.IsFresh(each, options.report_fresh)) continue;
    const bool is_outside = each.report.center != writer;
    if (std::ranges::binary_search(each.report.reaches, primary)) {
      return {CenterHealth::kDisputed, primary + " does not answer " + sight.self + ", but " + each.report.observer +
                                           " in center " + each.report.center + " reaches it"};
    }
    if (!is_outside) continue;
    ++agreed;
    by += ", " + each.report.observer;
  }
  if (agreed < options.observers_min) {
    return {CenterHealth::kSuspected, primary + " does not answer, which " + std::to_string(agreed) +
                                          " observers outside of center " + writer + " say; " +
                                          std::to_string(options.observers_min) + " have to"};
  }
  return {CenterHealth::kLost, "primary " + primary + " of center " + writer + " has not answered for " +
                                   Milliseconds(sight.now - silent_since) + "; agreed by " + by};
}

using Rank = std::tuple<std::int64_t, std::int64_t>;

Rank RankOf(const TopologyDocument& document, const std::vector<std::string>& reaches) {
  const auto primaries = std::ranges::count_if(
      document.groups, [&](const GroupRecord& group) { return std::ranges::binary_search(reaches, group.primary); });
  return {primaries, static_cast<std::int64_t>(reaches.size())};
}

}  // namespace

CenterVerdict JudgeCenter(const Sight& sight, const FailoverOptions& options) {
  CenterVerdict worst;
  if (!sight.document || sight.document->writer.empty()) return worst;
  for (const GroupRecord& group : sight.document->groups) {
    CenterVerdict verdict = JudgePrimary(sight, group.primary, options);
    if (verdict.health > worst.health) worst = std::move(verdict);
  }
  return worst;
}

std::string ControllerOf(const Sight& sight, const FailoverOptions& options) {
  std::string leader = sight.self;
  if (!sight.document) return leader;
  Rank best = RankOf(*sight.document, ReachedDatabases(sight, options));
  for (const ReportSight& each : sight.reports) {
    if (!each.report.controls || each.report.observer == sight.self || !sight.IsFresh(each, options.report_fresh)) {
      continue;
    }
    const Rank rank = RankOf(*sight.document, each.report.reaches);
    if (rank > best || (rank == best && each.report.observer < leader)) {
      best = rank;
      leader = each.report.observer;
    }
  }
  return leader;
}

void TakeReports(Sight& sight, const std::vector<ObserverReport>& reports, Instant sent) {
  const bool was_silent = sight.board_since == Instant::min();
  const Instant moved_at = was_silent ? sight.board_at : sent;
  if (was_silent) sight.board_since = sent;
  sight.board_at = sent;
  for (const ObserverReport& report : reports) {
    if (report.observer == sight.self) continue;
    const auto known =
        std::ranges::find(sight.reports, report.observer, [](const ReportSight& each) { return each.report.observer; });
    if (known == sight.reports.end()) {
      if (sight.reports.size() < kObserversMax) sight.reports.push_back({.report = report, .moved_at = sent});
    } else if (known->report.sequence != report.sequence) {
      *known = {.report = report, .moved_at = moved_at};
    }
  }
}

std::vector<std::string> ReachedDatabases(const Sight& sight, const FailoverOptions& options) {
  std::vector<std::string> reached;
  for (const auto& [name, each] : sight.databases) {
    if (sight.FindReached(name, options.reached_within) != nullptr) reached.push_back(name);
  }
  return reached;
}

}  // namespace muster::failover
