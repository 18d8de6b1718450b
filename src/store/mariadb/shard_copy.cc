#include "store/mariadb/shard_copy.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "store/mariadb/stream.h"
#include "store/mariadb/tables.h"

namespace muster::mariadb {
namespace {

// A page: rows, and what they hold as long as it has more than one. Written as text it is twice as much, which
// max_allowed_packet (16 MiB) has to allow.
constexpr std::size_t kPageRows = 500;
constexpr std::int64_t kPageBytes = std::int64_t{2} << 20;
constexpr std::size_t kGroupPageRows = 2'000;
constexpr std::size_t kDeleteRows = 2'000;
// A row's time is when its transaction began; it may have been committed as much later.
constexpr std::int64_t kCommitsWithinMicros = 60'000'000;

// How many of the rows are one page; `size` is the column that says what each holds.
std::size_t PageOf(const std::vector<Connection::Row>& rows, std::size_t size) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    bytes += NumberIn(rows[i][size]);
    if (i > 0 && bytes > kPageBytes) return i;
  }
  return rows.size();
}

std::string ShardIs(ShardId shard) { return "shard = " + std::to_string(shard.value()); }

}  // namespace

// Of a table whose primary key begins with the shard. As SQL; bytes as literals that can be given back.
struct ShardCopy::Table {
  const char* name;
  const char* columns;  // of an INSERT, without the shard
  const char* values;   // the same as they are read, joined to what VALUES takes
  const char* key;      // the key of a row, without the shard, as one literal or a tuple
  const char* key_columns;
  const char* order;
  const char* hash;   // of all columns
  const char* size;   // of what is not small
  const char* other;  // columns that are replaced
};

const ShardCopy::Table ShardCopy::kTables[4] = {
    {.name = "member",
     .columns = "id, version, record",
     .values = "CONCAT(id, ',', version, ',x''', HEX(record), '''')",
     .key = "CAST(id AS CHAR)",
     .key_columns = "id",
     .order = "id",
     .hash = "MD5(CONCAT_WS(',', id, version, record))",
     .size = "LENGTH(record)",
     .other = "version = VALUES(version), record = VALUES(record)"},
    {.name = "identity",
     .columns = "identity_key, member_id, operation_id",
     .values = "CONCAT('x''', HEX(identity_key), ''',', member_id, ',', operation_id)",
     .key = "CONCAT('x''', HEX(identity_key), '''')",
     .key_columns = "identity_key",
     .order = "identity_key",
     .hash = "MD5(CONCAT_WS(',', identity_key, member_id, operation_id))",
     .size = "0",
     .other = "member_id = VALUES(member_id), operation_id = VALUES(operation_id)"},
    {.name = "history",
     .columns = "member_id, version, type, time, detail",
     .values = "CONCAT(member_id, ',', version, ',', type, ',', time, ',x''', HEX(detail), '''')",
     .key = "CONCAT(member_id, ',', version)",
     .key_columns = "member_id, version",
     .order = "member_id, version",
     .hash = "MD5(CONCAT_WS(',', member_id, version, type, time, detail))",
     .size = "LENGTH(detail)",
     .other = "type = VALUES(type), time = VALUES(time), detail = VALUES(detail)"},
    {.name = "record",
     .columns = "kind, record_key, time, value",
     .values = "CONCAT(kind, ',x''', HEX(record_key), ''',', time, ',x''', HEX(value), '''')",
     .key = "CONCAT(kind, ',x''', HEX(record_key), '''')",
     .key_columns = "kind, record_key",
     .order = "kind, record_key",
     .hash = "MD5(CONCAT_WS(',', kind, LENGTH(record_key), record_key, time, value))",
     .size = "LENGTH(value)",
     .other = "time = VALUES(time), value = VALUES(value)"},
};

Result<std::uint64_t> ShardCopy::Copy(ShardId shard) {
  std::uint64_t differed = 0;
  for (const Table& table : kTables) {
    MUSTER_TRY(ends_.go_on());
    MUSTER_ASSIGN(const std::uint64_t some, CopyTable(table, shard));
    differed += some;
  }
  return differed;
}

Result<bool> ShardCopy::IsSame(const Table& table, ShardId shard) {
  const std::string sql = std::string("SELECT COUNT(*), COALESCE(BIT_XOR(CAST(CONV(LEFT(") + table.hash +
                          ", 16), 16, 10) AS UNSIGNED)), 0) FROM " + table.name + " WHERE " + ShardIs(shard);
  const auto ask = [&sql](Connection& connection) { return connection.Query(sql); };
  MUSTER_ASSIGN(const auto there, ends_.from.Run(ask));
  MUSTER_ASSIGN(const auto here, ends_.to.Run(ask));
  return there == here;
}

Result<std::uint64_t> ShardCopy::CopyTable(const Table& table, ShardId shard) {
  MUSTER_ASSIGN(const bool is_same, IsSame(table, shard));
  if (is_same) return std::uint64_t{0};
  std::uint64_t differed = 0;
  std::string after;
  for (bool is_last = false; !is_last;) {
    MUSTER_TRY(ends_.go_on());
    MUSTER_ASSIGN(const std::uint64_t some, CopyPage(table, shard, after, is_last));
    differed += some;
  }
  // Something differed, and may have changed back while it was looked for.
  return std::max<std::uint64_t>(differed, 1);
}

Result<std::uint64_t> ShardCopy::CopyPage(const Table& table, ShardId shard, std::string& after, bool& is_last) {
  const auto beyond = [&table](const std::string& key, const char* relation) {
    return key.empty() ? std::string() : " AND (" + std::string(table.key_columns) + ") " + relation + " (" + key + ")";
  };
  const std::string select = std::string("SELECT ") + table.key + ", " + table.hash + ", " + table.size + " FROM " +
                             table.name + " FORCE INDEX(PRIMARY) WHERE " + ShardIs(shard) + beyond(after, ">");
  const std::string order = std::string(" ORDER BY ") + table.order;
  MUSTER_ASSIGN(auto there, ends_.from.Run([&](Connection& connection) {
    return connection.Query(select + order + " LIMIT " + std::to_string(kPageRows));
  }));
  const std::size_t page = PageOf(there, 2);
  is_last = there.size() < kPageRows && page == there.size();
  there.resize(page);
  const std::string last = is_last ? std::string() : there.back()[0];
  MUSTER_ASSIGN(const auto here, ends_.to.Run([&](Connection& connection) {
    return connection.Query(select + beyond(last, "<=") + order);
  }));
  std::map<std::string, std::string> surplus;
  for (const Connection::Row& row : here) surplus.emplace(row[0], row[1]);
  std::string wanted;
  std::uint64_t differed = 0;
  for (const Connection::Row& row : there) {
    const auto found = surplus.find(row[0]);
    const bool is_same = found != surplus.end() && found->second == row[1];
    if (found != surplus.end()) surplus.erase(found);
    if (is_same) continue;
    wanted += (wanted.empty() ? "(" : ", (") + row[0] + ")";
    ++differed;
  }
  std::string unwanted;
  for (const auto& [key, hash] : surplus) unwanted += (unwanted.empty() ? "(" : ", (") + key + ")";
  differed += surplus.size();
  if (differed > 0) MUSTER_TRY(Replace(table, shard, wanted, unwanted));
  after = last;
  return differed;
}

Result<void> ShardCopy::Replace(const Table& table, ShardId shard, const std::string& keys,
                                const std::string& surplus) {
  const std::string where = " WHERE " + ShardIs(shard) + " AND (" + std::string(table.key_columns) + ") IN (";
  std::string values;
  if (!keys.empty()) {
    MUSTER_ASSIGN(const auto rows, ends_.from.Run([&](Connection& connection) {
      return connection.Query(std::string("SELECT ") + table.values + " FROM " + table.name + " FORCE INDEX(PRIMARY)" +
                              where + keys + ")");
    }));
    for (const Connection::Row& row : rows) {
      values += (values.empty() ? "(" : ", (") + std::to_string(shard.value()) + "," + row[0] + ")";
    }
  }
  return ends_.write([&](Transaction& rows) -> Result<void> {
    Connection& connection = *rows.session().connection;
    rows.NoteWrite();
    if (!surplus.empty()) {
      MUSTER_TRY(rows.Note(connection.Execute(std::string("DELETE FROM ") + table.name + where + surplus + ")")));
    }
    if (values.empty()) return {};
    return rows.Note(connection.Execute(std::string("INSERT INTO ") + table.name + "(shard, " + table.columns +
                                        ") VALUES" + values + " ON DUPLICATE KEY UPDATE " + table.other));
  });
}

Result<std::uint64_t> ShardCopy::CopyOfGroup() {
  MUSTER_ASSIGN(const std::int64_t now, ends_.from.Run([](Connection& connection) {
    return connection.ReadInteger("SELECT " + std::string(kServerMicros));
  }));
  MUSTER_ASSIGN(const std::uint64_t operations, CopyOperations(copied_since_micros_));
  MUSTER_ASSIGN(const std::uint64_t answers, CopyAnswers(copied_since_micros_));
  copied_since_micros_ = now - kCommitsWithinMicros;
  return operations + answers;
}

Result<std::uint64_t> ShardCopy::CopyOperations(std::int64_t since_micros) {
  // What is recorded for an operation is recorded while it is young, by its number (store/binding.h), or when its
  // lookup row is judged, which may be at any time.
  std::uint64_t copied = 0;
  for (std::string after = "0";;) {
    MUSTER_TRY(ends_.go_on());
    MUSTER_ASSIGN(const auto page, ends_.from.Run([&](Connection& connection) {
      return connection.Query("SELECT id, outcome, time FROM operation WHERE id > " + after + " AND time >= " +
                              std::to_string(since_micros) + " ORDER BY id LIMIT " + std::to_string(kGroupPageRows));
    }));
    if (page.empty()) return copied;
    std::string values;
    for (const Connection::Row& row : page) {
      values += (values.empty() ? "(" : ", (") + row[0] + ", " + row[1] + ", " + row[2] + ")";
    }
    MUSTER_TRY(ends_.write([&](Transaction& rows) {
      rows.NoteWrite();
      return rows.Note(
          rows.session().connection->Execute("INSERT IGNORE INTO operation(id, outcome, time) VALUES" + values));
    }));
    copied += page.size();
    after = page.back()[0];
  }
}

Result<std::uint64_t> ShardCopy::CopyAnswers(std::int64_t since_micros) {
  std::uint64_t copied = 0;
  std::string time = std::to_string(since_micros);
  std::string key = "''";
  const auto ask = [&](const char* columns, std::size_t at_most) {
    return ends_.from.Run([&](Connection& connection) {
      return connection.Query("SELECT " + std::string(columns) +
                              " FROM record FORCE INDEX(record_by_time) WHERE kind = 1 AND (time > " + time +
                              " OR (time = " + time + " AND record_key > " + key +
                              ")) ORDER BY time, record_key LIMIT " + std::to_string(at_most));
    });
  };
  for (;;) {
    MUSTER_TRY(ends_.go_on());
    MUSTER_ASSIGN(const auto sizes, ask("LENGTH(value)", kPageRows));
    if (sizes.empty()) return copied;
    MUSTER_ASSIGN(const auto page,
                  ask("time, CONCAT('x''', HEX(record_key), ''''), CONCAT('x''', HEX(value), '''')", PageOf(sizes, 0)));
    if (page.empty()) return copied;
    std::string values;
    for (const Connection::Row& row : page) {
      values += (values.empty() ? "(" : ", (") + std::to_string(kNoShard) + ", 1, " + row[1] + ", " + row[0] + ", " +
                row[2] + ")";
    }
    MUSTER_TRY(ends_.write([&](Transaction& rows) {
      rows.NoteWrite();
      return rows.Note(rows.session().connection->Execute(
          "INSERT IGNORE INTO record(shard, kind, record_key, time, value) VALUES" + values));
    }));
    copied += page.size();
    time = page.back()[0];
    key = page.back()[1];
  }
}

Result<bool> DeleteShardRows(Transaction& rows, ShardId shard) {
  Connection& connection = *rows.session().connection;
  std::uint64_t deleted = 0;
  for (const char* const table : {"member", "identity", "history", "record"}) {
    rows.NoteWrite();
    MUSTER_TRY(rows.Note(connection.Execute("DELETE FROM " + std::string(table) + " WHERE " + ShardIs(shard) +
                                            " LIMIT " + std::to_string(kDeleteRows))));
    deleted = std::max(deleted, connection.rows_changed());
  }
  return deleted < kDeleteRows;
}

}  // namespace muster::mariadb
