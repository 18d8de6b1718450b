#include "store/doctor_records.h"

#include <optional>
#include <string_view>

#include "store/numbers.h"
#include "store/record_table.h"

namespace muster {
namespace {

void CheckAnswerRow(std::string_view value, const std::string& path, MemberCodec& codec, DoctorReport& report) {
  if (const Result<KeptAnswer> answer = RecordTable::DecodeAnswer(value, codec); !answer) {
    report.Add("KEPT_ANSWER_UNREADABLE", path,
               "a write that is sent again with its Idempotency-Key fails: " + answer.error().message);
  } else if (const std::uint32_t seal_key = codec.LastSealKeyId(); seal_key != 0) {
    report.CountSealKey(seal_key);
  }
}

// What a mark is of, doctor_moves.cc compares.
void CheckMark(std::string_view key, std::string_view value, const std::string& path, DoctorReport& report) {
  const Result<RecordTable::Mark> mark = RecordTable::DecodeMark(key, value);
  if (mark && mark->id.value() > 0 && IsPlausibleNumber(mark->operation.value())) return;
  report.Add("MOVE_MARK_UNREADABLE", path,
             "by a row of its table record no merge or unmerge can be found, and no server starts with it; restore a "
             "backup");
}

Result<void> CheckMergeRow(std::string_view key, std::string_view value, const std::string& path, MemberSource& rows,
                           DoctorReport& report) {
  const Result<RecordTable::Pair> pair = RecordTable::DecodePair(key);
  const Result<MergeRecord> merge = RecordTable::DecodeMerge(value);
  if (!pair || !merge) {
    report.Add("MERGE_RECORD_UNREADABLE", pair ? DoctorReport::Subject(pair->source) : path,
               "its merge cannot be taken back: " + (pair ? merge.error() : pair.error()).message);
    return {};
  }
  // As callers see it: the merge itself may be on its way.
  MUSTER_ASSIGN(const SettledMember settled, ReadSettled(pair->source, rows));
  const std::optional<Member>& source = settled.member;
  if (source && source->state == MemberState::kMerged && source->merged_into == pair->target) return {};
  report.Add("MERGE_RECORD_STRAY", DoctorReport::Subject(pair->source),
             "what its merge into " + DoctorReport::Subject(pair->target) +
                 " brought is kept, and it is not merged so; this hurts nobody");
  return {};
}

}  // namespace

Result<void> CheckRecords(Database& database, const std::string& path, MemberSource& rows, MemberCodec& codec,
                          DoctorReport& report) {
  MUSTER_ASSIGN(Statement scan, database.Prepare("SELECT kind, key, value FROM record ORDER BY kind, key"));
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return {};
    switch (const std::int64_t kind = scan.Integer(0); static_cast<RecordTable::Kind>(kind)) {
      case RecordTable::Kind::kAnswer:
        CheckAnswerRow(scan.Blob(2), path, codec, report);
        break;
      case RecordTable::Kind::kMerge:
        MUSTER_TRY(CheckMergeRow(scan.Blob(1), scan.Blob(2), path, rows, report));
        break;
      case RecordTable::Kind::kMarked:
        CheckMark(scan.Blob(1), scan.Blob(2), path, report);
        break;
      default:
        report.Add("RECORD_KIND_UNKNOWN", path,
                   "its table record has a row of kind " + std::to_string(kind) + ", which is none; restore a backup");
    }
  }
}

}  // namespace muster
