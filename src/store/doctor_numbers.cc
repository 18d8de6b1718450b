#include "store/doctor_numbers.h"

#include <algorithm>

#include "domain/id_allocator.h"
#include "domain/ports/shard_store.h"
#include "store/change_retention.h"
#include "store/numbers.h"
#include "store/schema.h"

namespace muster {
namespace {

Result<void> CheckOutcomes(Database& database, const std::string& path, DoctorReport& report) {
  MUSTER_ASSIGN(Statement scan, database.Prepare("SELECT id, outcome FROM operation ORDER BY id"));
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return {};
    const std::int64_t outcome = scan.Integer(1);
    const bool is_known = outcome == static_cast<int>(OperationOutcome::kCommitted) ||
                          outcome == static_cast<int>(OperationOutcome::kAborted);
    if (is_known && IsPlausibleNumber(scan.Integer(0))) continue;
    report.Add("OUTCOME_UNREADABLE", path,
               "operation " + std::to_string(scan.Integer(0)) +
                   (is_known ? ", which has an outcome, is none"
                             : " has the outcome " + std::to_string(outcome) + ", which is none") +
                   "; restore a backup");
  }
}

Result<void> CheckChangeNumbers(Database& database, const std::string& path, DoctorReport& report) {
  MUSTER_ASSIGN(Statement scan, database.Prepare("SELECT position, number FROM change ORDER BY position"));
  std::int64_t newest = 0;
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return {};
    const std::int64_t number = scan.Integer(1);
    if (number >= newest && IsPlausibleNumber(number)) {
      newest = number;
      continue;
    }
    report.Add("NUMBER_WRONG", path,
               "change " + std::to_string(scan.Integer(0)) + " says that the newest number was " +
                   std::to_string(number) + (number < newest ? ", which is below an earlier one" : ", which is none") +
                   "; restore a backup");
  }
}

Result<void> CheckRanges(Database& database, const std::string& path, DoctorReport& report) {
  MUSTER_ASSIGN(Statement scan, database.Prepare("SELECT first, lines FROM import_range ORDER BY first"));
  std::int64_t last = 0;
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return {};
    const std::int64_t first = scan.Integer(0);
    const std::int64_t lines = scan.Integer(1);
    const bool is_range = IsPlausibleRange(first, lines);
    if (!is_range || first <= last) {
      report.Add("IMPORT_RANGE_WRONG", path,
                 "the numbers of an import from " + std::to_string(first) + " on, " + std::to_string(lines) +
                     " of them, " + (is_range ? "begin within the range before" : "are none") + "; restore a backup");
    }
    if (is_range) last = IdAllocator::IdOfRange(first, static_cast<std::uint64_t>(lines) - 1);
  }
}

// It was the position of the newest change when the numbering in common began.
Result<void> CheckFeedStart(Database& database, const std::string& path, DoctorReport& report) {
  const Result<std::int64_t> start = ReadFeedStart(database);
  MUSTER_ASSIGN(const ForgottenChanges forgotten, ReadForgottenChanges(database));
  MUSTER_ASSIGN(const std::int64_t newest, database.ReadInteger("SELECT coalesce(max(position), 0) FROM change"));
  if (!start) {
    report.Add("FEED_START_WRONG", path, start.error().message);
  } else if (*start > std::max(newest, forgotten.to)) {
    report.Add("FEED_START_WRONG", path,
               "changes are said to be numbered in common from " + std::to_string(*start) +
                   " on, and there is none as new: streams leave out what is before; restore a backup");
  }
  return {};
}

}  // namespace

Result<void> CheckNumbers(Database& database, const std::string& path, DoctorReport& report) {
  MUSTER_TRY(CheckOutcomes(database, path, report));
  MUSTER_TRY(CheckChangeNumbers(database, path, report));
  MUSTER_TRY(CheckFeedStart(database, path, report));
  return CheckRanges(database, path, report);
}

}  // namespace muster
