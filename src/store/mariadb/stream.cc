#include "store/mariadb/stream.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "store/columns.h"

namespace muster::mariadb {
namespace {

// As for outcomes of operations: some tens of milliseconds, and one event of the binlog.
constexpr std::int64_t kForgetChangesRowsMax = 5'000;

std::string Joined(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

// The relay's row, locked: whoever copies has it for itself until its commit.
Result<Connection::Row> LockRelay(Transaction& transaction) {
  Connection& connection = *transaction.session().connection;
  // A lease that would hold for longer than any is of a clock that has been set back since.
  MUSTER_ASSIGN(auto rows,
                transaction.Note(connection.Query(
                    "SELECT term, last_position, holder, CAST(until_time AS SIGNED) - " + std::string(kServerMicros) +
                    " BETWEEN 1 AND " + std::to_string(kRelayLease.count()) + " FROM relay WHERE id = 1 FOR UPDATE")));
  if (!rows.empty()) return std::move(rows[0]);
  return Fail(Reason::kInternal, connection.where() +
                                     ": its table relay has no row; the database is damaged: restore all groups from "
                                     "one backup");
}

Result<void> WriteSql(Transaction& transaction, const std::string& sql) {
  transaction.NoteWrite();
  return transaction.Note(transaction.session().connection->Execute(sql));
}

std::string LeaseFromNow() { return std::string(kServerMicros) + " + " + std::to_string(kRelayLease.count()); }

// The groups' rows as one list: each group's in its order, and of what is first in each the oldest before the others.
struct MergePlace {
  std::size_t group;  // in the batch
  std::size_t row;
};
std::vector<MergePlace> MergeByTime(const std::vector<GroupRows>& batch) {
  std::vector<MergePlace> merged;
  std::vector<std::size_t> next(batch.size(), 0);
  for (;;) {
    std::optional<MergePlace> oldest;
    for (std::size_t group = 0; group < batch.size(); ++group) {
      const std::size_t row = next[group];
      if (row == batch[group].rows.size()) continue;
      if (oldest && batch[oldest->group].rows[oldest->row].time <= batch[group].rows[row].time) continue;
      oldest = MergePlace{.group = group, .row = row};
    }
    if (!oldest) return merged;
    merged.push_back(*oldest);
    ++next[oldest->group];
  }
}

// Answers the last position.
Result<std::int64_t> InsertRows(Transaction& transaction, const std::vector<GroupRows>& batch, std::int64_t last) {
  struct Range {
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  std::vector<Range> ranges(batch.size());
  std::string values;
  for (const auto& [group, row] : MergeByTime(batch)) {
    const OutboxRow& change = batch[group].rows[row];
    ++last;
    if (row == 0) ranges[group].first = last;
    ranges[group].last = last;
    values += (values.empty() ? "(" : ", (") +
              Joined({last, batch[group].group, change.sequence, change.member_id, change.version, change.type,
                      change.time}) +
              ")";
  }
  MUSTER_TRY(
      WriteSql(transaction,
               "INSERT INTO stream(position, group_index, sequence, member_id, version, type, time) VALUES" + values));
  std::string copied;
  for (std::size_t group = 0; group < batch.size(); ++group) {
    copied +=
        (copied.empty() ? "(" : ", (") + Joined({batch[group].group, ranges[group].first, ranges[group].last}) + ")";
  }
  MUSTER_TRY(WriteSql(transaction, "INSERT INTO copied(group_index, first_position, last_position) VALUES" + copied +
                                       " ON DUPLICATE KEY UPDATE first_position = VALUES(first_position), "
                                       "last_position = VALUES(last_position)"));
  return last;
}

}  // namespace

Result<std::vector<OutboxRow>> CollectOutbox(Transaction& transaction, const std::vector<std::int64_t>& copied) {
  Connection& connection = *transaction.session().connection;
  if (!copied.empty()) {
    // By their key, one by one, as the joined list and the order of the join make the server do. An IN (…) of many it
    // may turn into a walk through the table, which waits for every row that is just being inserted.
    MUSTER_TRY(WriteSql(transaction, "DELETE c FROM JSON_TABLE('[" + Joined(copied) +
                                         "]', '$[*]' COLUMNS(number BIGINT PATH '$')) AS n STRAIGHT_JOIN `change` AS c "
                                         "FORCE INDEX(PRIMARY) WHERE c.sequence = n.number"));
  }
  // Not locked: what is not committed yet is not there yet. Two changes of one member are in the order of their
  // numbers, and whoever sees the later one sees the earlier one.
  MUSTER_ASSIGN(const auto rows,
                transaction.Note(connection.Query("SELECT sequence, member_id, version, type, time FROM `change` "
                                                  "FORCE INDEX(PRIMARY) ORDER BY sequence LIMIT " +
                                                  std::to_string(kOutboxRowsMax))));
  std::vector<OutboxRow> outbox;
  outbox.reserve(rows.size());
  for (const Connection::Row& row : rows) {
    outbox.push_back({.sequence = NumberIn(row[0]),
                      .member_id = NumberIn(row[1]),
                      .version = NumberIn(row[2]),
                      .type = NumberIn(row[3]),
                      .time = NumberIn(row[4])});
  }
  return outbox;
}

Result<std::optional<RelayTerm>> TakeRelay(Transaction& transaction, const std::string& holder) {
  Connection& connection = *transaction.session().connection;
  MUSTER_ASSIGN(const Connection::Row relay, LockRelay(transaction));
  const bool is_held = relay[3] == "1" && relay[2] != holder;
  if (is_held) return std::optional<RelayTerm>();
  RelayTerm term{.number = NumberIn(relay[0]) + 1, .copied = {}};
  MUSTER_TRY(WriteSql(transaction, "UPDATE relay SET term = " + std::to_string(term.number) +
                                       ", holder = " + connection.Quote(holder) + ", until_time = " + LeaseFromNow() +
                                       " WHERE id = 1"));
  MUSTER_ASSIGN(const auto batches,
                transaction.Note(connection.Query("SELECT group_index, first_position, last_position FROM copied")));
  for (const Connection::Row& batch : batches) {
    MUSTER_ASSIGN(const auto rows,
                  transaction.Note(connection.Query("SELECT sequence FROM stream WHERE position BETWEEN " + batch[1] +
                                                    " AND " + batch[2] + " AND group_index = " + batch[0])));
    std::vector<std::int64_t>& sequences = term.copied[static_cast<std::uint32_t>(NumberIn(batch[0]))];
    for (const Connection::Row& row : rows) sequences.push_back(NumberIn(row[0]));
  }
  return std::optional(std::move(term));
}

Result<std::optional<std::int64_t>> AppendToStream(Transaction& transaction, std::int64_t term,
                                                   const std::vector<GroupRows>& batch,
                                                   const std::vector<std::uint32_t>& emptied) {
  MUSTER_ASSIGN(const Connection::Row relay, LockRelay(transaction));
  if (NumberIn(relay[0]) != term) return std::optional<std::int64_t>();
  if (!emptied.empty()) {
    MUSTER_TRY(WriteSql(transaction,
                        "DELETE FROM copied WHERE group_index IN (" + Joined({emptied.begin(), emptied.end()}) + ")"));
  }
  std::int64_t last = NumberIn(relay[1]);
  if (!batch.empty()) {
    MUSTER_ASSIGN(last, InsertRows(transaction, batch, last));
  }
  MUSTER_TRY(WriteSql(transaction, "UPDATE relay SET last_position = " + std::to_string(last) +
                                       ", until_time = " + LeaseFromNow() + " WHERE id = 1"));
  return std::optional(last);
}

Result<void> LeaveRelay(Transaction& transaction, std::int64_t term) {
  return WriteSql(transaction,
                  "UPDATE relay SET holder = '', until_time = 0 WHERE id = 1 AND term = " + std::to_string(term));
}

Result<std::uint64_t> ForgetChanges(Transaction& transaction, Timestamp before, std::int64_t keep_max) {
  Connection& connection = *transaction.session().connection;
  MUSTER_ASSIGN(const auto relay,
                transaction.Note(connection.Query("SELECT last_position, forgotten_to FROM relay WHERE id = 1")));
  if (relay.empty()) return std::uint64_t{0};
  const std::int64_t newest = NumberIn(relay[0][0]);
  // Asked after the newest position: what is copied from now on lies behind it.
  MUSTER_ASSIGN(const std::int64_t copied,
                transaction.Note(connection.ReadInteger("SELECT COALESCE(MIN(first_position), " +
                                                        std::to_string(newest) + ") FROM copied")));
  const std::int64_t surplus = newest - std::min(keep_max, newest);
  const std::string stays = "time >= " + std::to_string(Micros(before)) + " AND position > " + std::to_string(surplus);
  MUSTER_ASSIGN(const std::int64_t kept,
                transaction.Note(connection.ReadInteger("SELECT COALESCE(MIN(IF(" + stays +
                                                        ", position, NULL)), MAX(position) + 1, 0) FROM (SELECT "
                                                        "position, time FROM stream ORDER BY position LIMIT " +
                                                        std::to_string(kForgetChangesRowsMax) + ") AS oldest")));
  const std::int64_t last = std::min({kept, newest, copied}) - 1;
  if (last <= NumberIn(relay[0][1])) return std::uint64_t{0};
  const std::string position = std::to_string(last);
  MUSTER_TRY(WriteSql(transaction, "DELETE FROM stream WHERE position <= " + position));
  const std::uint64_t forgotten = connection.rows_changed();
  MUSTER_TRY(WriteSql(transaction,
                      "UPDATE relay SET forgotten_to = " + position + " WHERE id = 1 AND forgotten_to < " + position));
  return forgotten;
}

}  // namespace muster::mariadb
