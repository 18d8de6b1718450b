#include "store/doctor_history.h"

#include <utility>

namespace muster {

Result<HistoryWalk> HistoryWalk::Begin(Database& database, MemberCodec& codec, DoctorReport& report) {
  MUSTER_ASSIGN(Statement scan, database.Prepare("SELECT member_id, version, type, detail FROM history "
                                                 "ORDER BY member_id, version"));
  HistoryWalk walk(std::move(scan), codec, report);
  MUSTER_TRY(walk.Advance());
  return walk;
}

Result<void> HistoryWalk::Advance() {
  MUSTER_ASSIGN(has_row_, scan_.Step());
  return {};
}

// The type of the row, when it can be read as the API reads it.
std::optional<ChangeType> HistoryWalk::ReadRow() {
  Change change;
  change.member_id = MemberId(scan_.Integer(0));
  const Result<ChangeType> type = DecodeChangeType(change.member_id, scan_.Integer(2));
  const Result<void> detail = codec_.DecodeDetail(scan_.Blob(3), change);
  if (type && detail) return *type;
  report_.Add("HISTORY_UNREADABLE", DoctorReport::Subject(change.member_id),
              "version " + std::to_string(scan_.Integer(1)) +
                  " of its history: " + (type ? detail.error() : type.error()).message);
  return std::nullopt;
}

Result<std::optional<HistorySummary>> HistoryWalk::Next() {
  if (!has_row_) return std::optional<HistorySummary>();
  HistorySummary summary{.id = MemberId(scan_.Integer(0)), .first = scan_.Integer(1)};
  while (has_row_ && MemberId(scan_.Integer(0)) == summary.id) {
    const std::optional<ChangeType> type = ReadRow();
    if (summary.count++ == 0) {
      summary.has_beginning = !type || *type == ChangeType::kRegistered || *type == ChangeType::kImported;
    }
    summary.last = scan_.Integer(1);
    MUSTER_TRY(Advance());
  }
  return std::optional(summary);
}

}  // namespace muster
