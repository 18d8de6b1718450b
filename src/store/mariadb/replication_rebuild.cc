#include "store/mariadb/replication_rebuild.h"

// clang-format off: the second is written in terms of the first.
#include <mysql.h>
#include <mariadb_rpl.h>
// clang-format on

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace muster::mariadb {
namespace {

using failover::GtidPosition;

constexpr std::uint64_t kSavedBytesMax = std::uint64_t{4} << 30;
constexpr int kRowsOfPage = 500;
constexpr unsigned kFatalDumpError = 1236;
constexpr unsigned kDumpServerId = 4'294'967'000;  // of no server: two that dump under one id end each other

// The file that is being written, under another name until it is kept; gone again unless it was.
class SavedFile {
 public:
  static Result<SavedFile> Create(const std::string& path) {
    const std::string part = path + ".part";
    ::unlink(part.c_str());  // of a process that ended while it wrote
    const int file = ::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return Failure(part);
    return SavedFile(path, file);
  }
  SavedFile(SavedFile&& other) noexcept : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}
  SavedFile& operator=(SavedFile&&) = delete;
  ~SavedFile() {
    if (file_ < 0) return;
    ::close(file_);
    ::unlink((path_ + ".part").c_str());
  }

  Result<void> Append(std::string_view bytes) {
    size_ += bytes.size();
    if (size_ > kSavedBytesMax)
      return Fail(Reason::kLimitExceeded, path_ + " would grow beyond 4 GiB; save it by hand");
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) return Failure(path_);
      bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    }
    return {};
  }
  Result<void> Keep() {
    if (::fsync(file_) != 0 || ::rename((path_ + ".part").c_str(), path_.c_str()) != 0) return Failure(path_);
    ::close(std::exchange(file_, -1));
    return {};
  }

 private:
  SavedFile(std::string path, int file) : path_(std::move(path)), file_(file) {}
  static std::unexpected<Error> Failure(const std::string& path) {
    return Fail(Reason::kInternal, "cannot write " + path + ": " + std::generic_category().message(errno) +
                                       "; nothing was rebuilt. Check the directory's owner and free space");
  }

  std::string path_;
  int file_;
  std::uint64_t size_ = 0;
};

std::string Identifier(std::string_view name) {
  std::string quoted = "`";
  for (const char c : name) quoted += c == '`' ? std::string("``") : std::string(1, c);
  return quoted + "`";
}

// The columns of a table, its key, and how a row is selected as one list of literals.
struct Table {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::string> key;
  std::string literals;  // an expression
  std::string of_key;    // likewise, of the key alone
};

std::string List(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + Identifier(name);
  return list;
}

// What QUOTE makes of a column reads back as the same value; bytes need to say that they are no text.
std::string LiteralOf(const std::string& column, const std::string& type) {
  const bool is_bytes = type.contains("binary") || type.contains("blob");
  const std::string quoted = "QUOTE(" + Identifier(column) + ")";
  return is_bytes ? "IF(" + Identifier(column) + " IS NULL, 'NULL', CONCAT('_binary', " + quoted + "))" : quoted;
}

Result<Table> ReadTable(Connection& source, const std::string& database, const std::string& name) {
  Table table;
  table.name = name;
  MUSTER_ASSIGN(
      const auto rows,
      source.Query("SELECT COLUMN_NAME, DATA_TYPE, COLUMN_KEY, IS_GENERATED FROM information_schema.COLUMNS "
                   "WHERE TABLE_SCHEMA = " +
                   source.Quote(database) + " AND TABLE_NAME = " + source.Quote(name) + " ORDER BY ORDINAL_POSITION"));
  std::string literals;
  std::string key_literals;
  for (const Connection::Row& row : rows) {
    if (row[3] != "NEVER") continue;
    table.columns.push_back(row[0]);
    literals += (literals.empty() ? "" : ", ',', ") + LiteralOf(row[0], row[1]);
    if (row[2] != "PRI") continue;
    table.key.push_back(row[0]);
    key_literals += (key_literals.empty() ? "" : ", ',', ") + LiteralOf(row[0], row[1]);
  }
  if (table.key.empty()) {
    return Fail(Reason::kStateConflict,
                "table " + name + " has no primary key, so it is not copied row by row; use mariabackup");
  }
  table.literals = "CONCAT(" + literals + ")";
  table.of_key = "CONCAT(" + key_literals + ")";
  return table;
}

Result<void> CopyRows(Connection& source, Connection& target, const std::string& from, const Table& table,
                      const std::function<bool()>& goes_on) {
  std::string after;
  while (true) {
    if (!goes_on()) return Fail(Reason::kWritesUnavailable, "copying " + table.name + " was broken off");
    MUSTER_ASSIGN(
        const auto rows,
        source.Query("SELECT " + table.literals + ", " + table.of_key + " FROM " + from + "." + Identifier(table.name) +
                     (after.empty() ? "" : " WHERE (" + List(table.key) + ") > (" + after + ")") + " ORDER BY " +
                     List(table.key) + " LIMIT " + std::to_string(kRowsOfPage)));
    if (rows.empty()) return {};
    std::string insert =
        "INSERT INTO " + from + "." + Identifier(table.name) + " (" + List(table.columns) + ") VALUES ";
    for (const Connection::Row& row : rows) insert += (&row == rows.data() ? "(" : ",(") + row[0] + ")";
    MUSTER_TRY(target.Execute(insert));
    after = rows.back()[1];
  }
}

// Keeps a transaction's snapshot, and its position in the binlog.
Result<GtidPosition> BeginSnapshot(Connection& source) {
  MUSTER_TRY(source.Execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"));
  MUSTER_TRY(source.Execute("START TRANSACTION WITH CONSISTENT SNAPSHOT"));
  MUSTER_ASSIGN(const auto rows, source.Query("SHOW STATUS LIKE 'binlog_snapshot_%'"));
  std::string file;
  std::string offset;
  for (const Connection::Row& row : rows) {
    if (row[0] == "Binlog_snapshot_file") file = row[1];
    if (row[0] == "Binlog_snapshot_position") offset = row[1];
  }
  MUSTER_ASSIGN(const auto position, source.Query("SELECT BINLOG_GTID_POS(" + source.Quote(file) + ", " +
                                                  std::to_string(NumberIn(offset)) + ")"));
  return GtidPosition::Parse(position.empty() || position[0].empty() ? "" : position[0][0]);
}

}  // namespace

Result<std::int64_t> SaveBinlog(Connection& server, const std::optional<GtidPosition>& position,
                                const std::string& path) {
  MUSTER_ASSIGN(SavedFile file, SavedFile::Create(path));
  for (const char* const statement : {"SET @mariadb_slave_capability = 4", "SET @master_binlog_checksum = 'NONE'",
                                      "SET @slave_gtid_strict_mode = 0"}) {
    MUSTER_TRY(server.Execute(statement));
  }
  std::string first;  // file; empty: as the position says
  if (position) {
    MUSTER_TRY(server.Execute("SET @slave_connect_state = " + server.Quote(position->Text())));
  } else {
    MUSTER_ASSIGN(const auto logs, server.Query("SHOW BINARY LOGS"));
    if (!logs.empty()) first = logs[0][0];
  }
  const std::unique_ptr<MARIADB_RPL, decltype(&mariadb_rpl_close)> log(mariadb_rpl_init(server.handle()),
                                                                       &mariadb_rpl_close);
  mariadb_rpl_optionsv(log.get(), MARIADB_RPL_SERVER_ID, kDumpServerId);
  mariadb_rpl_optionsv(log.get(), MARIADB_RPL_FLAGS, static_cast<unsigned>(MARIADB_RPL_BINLOG_DUMP_NON_BLOCK));
  mariadb_rpl_optionsv(log.get(), MARIADB_RPL_FILENAME, first.c_str(), first.size());
  mariadb_rpl_optionsv(log.get(), MARIADB_RPL_START, static_cast<unsigned long>(4));
  const auto failure = [&] {
    const bool is_missing = mysql_errno(server.handle()) == kFatalDumpError;
    return Fail(is_missing ? Reason::kNotFound : Reason::kInternal,
                server.where() + ": its binlog cannot be read (error " + std::to_string(mysql_errno(server.handle())) +
                    "); save it by mariadb-binlog");
  };
  if (mariadb_rpl_open(log.get()) != 0) return failure();
  MUSTER_TRY(
      file.Append(std::string_view("\xfe"
                                   "bin")));
  std::int64_t transactions = 0;
  // Each event is its own: at the end of the log the library frees the one that it was given to use again.
  using Event = std::unique_ptr<MARIADB_RPL_EVENT, decltype(&mariadb_free_rpl_event)>;
  while (true) {
    const Event event(mariadb_rpl_fetch(log.get(), nullptr), &mariadb_free_rpl_event);
    if (!event) break;
    if (event->event_type == ROTATE_EVENT || event->event_type == HEARTBEAT_LOG_EVENT) continue;
    if (event->event_type == GTID_EVENT) ++transactions;
    MUSTER_TRY(
        file.Append({reinterpret_cast<const char*>(event->raw_data) + event->raw_data_ofs, event->event_length}));
  }
  if (mysql_errno(server.handle()) != 0) return failure();
  MUSTER_TRY(file.Keep());
  return transactions;
}

Result<GtidPosition> DivergedAfter(Connection& diverged, Connection& source) {
  MUSTER_ASSIGN(const auto end, diverged.Query("SELECT @@GLOBAL.gtid_binlog_pos"));
  MUSTER_ASSIGN(const auto state, source.Query("SELECT @@GLOBAL.gtid_binlog_state"));
  MUSTER_ASSIGN(const GtidPosition last, GtidPosition::Parse(end[0][0]));
  // The state names the last transaction of each server; a position has one of each domain.
  GtidPosition common;
  for (std::string_view rest = state[0][0]; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    MUSTER_ASSIGN(const GtidPosition one, GtidPosition::Parse(rest.substr(0, comma)));
    if (last.HasSameServer(one)) common.Raise(one);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return common;
}

Result<GtidPosition> CopyDatabase(Connection& source, Connection& target, const std::string& database,
                                  const std::function<bool()>& goes_on) {
  const std::string from = Identifier(database);
  MUSTER_ASSIGN(GtidPosition position, BeginSnapshot(source));
  MUSTER_ASSIGN(const auto created, source.Query("SHOW CREATE DATABASE " + from));
  for (const std::string& statement : {"DROP DATABASE IF EXISTS " + from, created[0][1], "USE " + from,
                                       std::string("SET SESSION foreign_key_checks = 0, unique_checks = 0")}) {
    MUSTER_TRY(target.Execute(statement));
  }
  MUSTER_ASSIGN(const auto tables,
                source.Query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = " +
                             source.Quote(database) + " AND TABLE_TYPE = 'BASE TABLE'"));
  for (const Connection::Row& row : tables) {
    MUSTER_ASSIGN(const auto create, source.Query("SHOW CREATE TABLE " + from + "." + Identifier(row[0])));
    MUSTER_TRY(target.Execute(create[0][1]));
    MUSTER_ASSIGN(const Table table, ReadTable(source, database, row[0]));
    MUSTER_TRY(CopyRows(source, target, from, table, goes_on));
  }
  MUSTER_TRY(source.Execute("COMMIT"));
  return position;
}

}  // namespace muster::mariadb
