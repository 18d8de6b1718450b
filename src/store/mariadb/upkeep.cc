#include "store/mariadb/upkeep.h"

#include <optional>
#include <string>
#include <utility>

#include "domain/id_allocator.h"
#include "store/columns.h"
#include "store/numbers.h"

namespace muster::mariadb {
namespace {

Result<std::uint64_t> Delete(Transaction& transaction, const std::string& sql) {
  Connection& connection = *transaction.session().connection;
  transaction.NoteWrite();
  MUSTER_TRY(transaction.Note(connection.Execute(sql)));
  return connection.rows_changed();
}

}  // namespace

Result<std::uint64_t> ForgetOperations(Transaction& transaction, Timestamp before) {
  Connection& connection = *transaction.session().connection;
  // Above it no outcome can have been recorded before `before`, and new ones are being made.
  const std::string newest = std::to_string(IdAllocator::LowestAt(before));
  MUSTER_ASSIGN(const std::int64_t last,
                transaction.Note(connection.ReadInteger(
                    "SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM operation WHERE id < " + newest +
                    " ORDER BY id LIMIT " + std::to_string(kForgetRowsMax) + ") AS oldest")));
  return Delete(transaction, "DELETE FROM operation WHERE id <= " + std::to_string(last) + " AND time < " +
                                 std::to_string(Micros(before)));
}

Result<std::uint64_t> ForgetAnswers(Transaction& transaction, Timestamp before) {
  return Delete(transaction, "DELETE FROM record WHERE kind = 1 AND time < " + std::to_string(Micros(before)) +
                                 " ORDER BY time LIMIT " + std::to_string(kForgetRowsMax));
}

Result<void> AnswerCount::GoOn(Connection& connection, const Clock& clock, Duration budget) {
  const Instant until = clock.Monotonic() + budget;
  std::lock_guard lock(mutex_);
  const std::string from = " FROM record FORCE INDEX(record_by_time) WHERE kind = 1 AND time > ";
  do {
    const std::string after = std::to_string(counted_to_);
    // Where the page ends; those of one microsecond are of one page.
    MUSTER_ASSIGN(const auto last, connection.Query("SELECT time" + from + after + " ORDER BY time LIMIT " +
                                                    std::to_string(page_ - 1) + ", 1"));
    const std::string to = last.empty() ? "" : " AND time <= " + last[0][0];
    MUSTER_ASSIGN(const auto rows, connection.Query("SELECT LEFT(record_key, " + std::to_string(kAnswerOwnerBytes) +
                                                    "), COUNT(*)" + from + after + to + " GROUP BY 1"));
    for (const Connection::Row& row : rows) seen_[RecordTable::OwnerOfKey(row[0])] += NumberIn(row[1]);
    if (last.empty()) {
      shares_.Set(std::exchange(seen_, {}));
      counted_to_ = -1;
      return {};
    }
    counted_to_ = NumberIn(last[0][0]);
  } while (clock.Monotonic() < until);
  return {};
}

Result<std::int64_t> ReserveRange(Transaction& transaction, std::uint64_t lines, std::uint16_t first_sequence) {
  Connection& connection = *transaction.session().connection;
  // One at a time: there may be no range yet whose row could be locked.
  MUSTER_TRY(transaction.Note(connection.Query("SELECT value FROM meta WHERE name = 'import_range' FOR UPDATE")));
  MUSTER_ASSIGN(
      const auto newest_rows,
      transaction.Note(connection.Query("SELECT first, line_count FROM import_range ORDER BY first DESC LIMIT 1")));
  std::int64_t newest = 0;
  if (!newest_rows.empty()) {
    const std::int64_t first_before = NumberIn(newest_rows[0][0]);
    const std::int64_t lines_before = NumberIn(newest_rows[0][1]);
    if (!IsPlausibleRange(first_before, lines_before)) {
      return Fail(Reason::kInternal, connection.where() +
                                         ": its newest import_range is none: the database is damaged; restore all "
                                         "groups from one backup");
    }
    newest = IdAllocator::IdOfRange(first_before, static_cast<std::uint64_t>(lines_before) - 1);
  }
  const std::optional<std::int64_t> first = IdAllocator::FirstOfRange(transaction.now(), first_sequence, newest, lines);
  if (!first)
    return Fail(Reason::kLimitExceeded, "there are no numbers for imports after the year 2248: is the clock right?");
  transaction.NoteWrite();
  MUSTER_TRY(transaction.Note(connection.Execute("INSERT INTO import_range(first, line_count) VALUES(" +
                                                 std::to_string(*first) + ", " + std::to_string(lines) + ")")));
  return *first;
}

}  // namespace muster::mariadb
