// What SQLite does on its own, as the reference of muster's write figures: WAL, synchronous=FULL, prepared statements.
//
//   sqlite_reference single DIRECTORY SECONDS     one row a transaction, for some seconds
//   sqlite_reference copy SOURCE DIRECTORY        every row of a muster data file, 1,000 members a transaction
//
//   sqlite_reference search DATA SECONDS          50 records by city and tier from a random member on, from muster's
//   files
//   sqlite_reference changes DATA SECONDS         the change table from its beginning on, again and again
//
// One JSON object on stdout: {"rows":…,"seconds":…,"per_second":…}; `copy` counts members,
// `search` pages.

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "bench/figure_members.h"
#include "search/index_terms.h"

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kMembersPerTransaction = 1000;

[[noreturn]] void Die(sqlite3* database, const std::string& what) {
  std::fprintf(stderr, "sqlite_reference: %s: %s\n", what.c_str(), database ? sqlite3_errmsg(database) : "");
  std::_Exit(1);
}

class Database {
 public:
  explicit Database(const std::string& path, int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {
    if (sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr) != SQLITE_OK) Die(handle_, path);
  }
  ~Database() { sqlite3_close_v2(handle_); }
  Database(const Database&) = delete;

  void Execute(const std::string& sql) {
    if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) Die(handle_, sql);
  }
  sqlite3_stmt* Prepare(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(handle_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      Die(handle_, sql);
    }
    return statement;
  }
  void Step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) Die(handle_, "step");
    sqlite3_reset(statement);
  }
  void UseServerSettings() { Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"); }

 private:
  sqlite3* handle_ = nullptr;
};

void Report(std::uint64_t rows, SteadyClock::time_point started) {
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - started).count();
  std::printf("{\"rows\":%llu,\"seconds\":%.3f,\"per_second\":%.0f}\n", static_cast<unsigned long long>(rows), seconds,
              static_cast<double>(rows) / seconds);
}

void Single(const std::string& directory, double seconds) {
  Database database(directory + "/single.db");
  database.UseServerSettings();
  database.Execute("CREATE TABLE member(id INTEGER PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL)");
  sqlite3_stmt* insert = database.Prepare("INSERT INTO member VALUES(?1, 1, ?2)");
  const std::string record(300, 'r');
  const auto started = SteadyClock::now();
  const auto end = started + std::chrono::duration<double>(seconds);
  std::uint64_t rows = 0;
  while (SteadyClock::now() < end) {
    database.Execute("BEGIN IMMEDIATE");
    sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(++rows));
    sqlite3_bind_blob(insert, 2, record.data(), static_cast<int>(record.size()), SQLITE_STATIC);
    database.Step(insert);
    database.Execute("COMMIT");
  }
  sqlite3_finalize(insert);
  Report(rows, started);
}

// Rows of one table, grouped by the member they belong to, ready to be bound.
struct Table {
  std::string insert;
  std::map<sqlite3_int64, std::vector<std::vector<sqlite3_value*>>> rows;
};

Table LoadTable(Database& source, const std::string& name, const std::string& member_column) {
  sqlite3_stmt* select = source.Prepare("SELECT " + member_column + ", * FROM " + name);
  Table table;
  const int columns = sqlite3_column_count(select) - 1;
  table.insert = "INSERT INTO " + name + " VALUES(";
  for (int i = 0; i < columns; ++i) table.insert += i == 0 ? "?" : ",?";
  table.insert += ")";
  while (sqlite3_step(select) == SQLITE_ROW) {
    std::vector<sqlite3_value*> row;
    row.reserve(static_cast<std::size_t>(columns));
    for (int i = 1; i <= columns; ++i) row.push_back(sqlite3_value_dup(sqlite3_column_value(select, i)));
    table.rows[sqlite3_column_int64(select, 0)].push_back(std::move(row));
  }
  sqlite3_finalize(select);
  return table;
}

void Copy(const std::string& source_path, const std::string& directory) {
  Database source(source_path, SQLITE_OPEN_READONLY);
  Database target(directory + "/copy.db");
  target.UseServerSettings();
  sqlite3_stmt* schema =
      source.Prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'");
  while (sqlite3_step(schema) == SQLITE_ROW) {
    target.Execute(reinterpret_cast<const char*>(sqlite3_column_text(schema, 0)));
  }
  sqlite3_finalize(schema);

  std::vector<Table> tables;
  tables.push_back(LoadTable(source, "member", "id"));
  tables.push_back(LoadTable(source, "identity", "member_id"));
  tables.push_back(LoadTable(source, "change", "member_id"));
  tables.push_back(LoadTable(source, "history", "member_id"));
  std::vector<sqlite3_stmt*> inserts;
  inserts.reserve(tables.size());
  for (const Table& table : tables) inserts.push_back(target.Prepare(table.insert));

  const auto started = SteadyClock::now();
  std::uint64_t members = 0;
  target.Execute("BEGIN IMMEDIATE");
  for (const auto& [id, unused] : tables[0].rows) {
    for (std::size_t t = 0; t < tables.size(); ++t) {
      const auto rows = tables[t].rows.find(id);
      if (rows == tables[t].rows.end()) continue;
      for (const auto& row : rows->second) {
        for (std::size_t i = 0; i < row.size(); ++i) sqlite3_bind_value(inserts[t], static_cast<int>(i + 1), row[i]);
        target.Step(inserts[t]);
      }
    }
    if (++members % kMembersPerTransaction == 0) target.Execute("COMMIT; BEGIN IMMEDIATE");
  }
  target.Execute("COMMIT");
  Report(members, started);
  std::fflush(stdout);
  std::_Exit(0);  // a million rows of values are not worth freeing one by one
}

// The best SQL for it on the same files: the posting of both together, and behind each of its rows the member's.
void Search(const std::string& data, double seconds) {
  Database database(data + "/muster-0.db", SQLITE_OPEN_READONLY);
  database.Execute("ATTACH '" + data + "/search.db' AS search; PRAGMA mmap_size = 68719476736; " +
                   "PRAGMA search.mmap_size = 68719476736");
  sqlite3_stmt* select = database.Prepare(
      "SELECT m.id, m.version, m.record FROM search.posting p JOIN main.member m ON m.id = p.id "
      "WHERE p.term = ?1 AND p.id > ?2 ORDER BY p.id LIMIT 50");
  sqlite3_stmt* last = database.Prepare("SELECT max(id) FROM main.member");
  if (sqlite3_step(last) != SQLITE_ROW) Die(nullptr, "no members");
  const auto members = static_cast<std::uint64_t>(sqlite3_column_int64(last, 0));
  sqlite3_finalize(last);
  std::mt19937_64 random(std::random_device{}());
  const auto started = SteadyClock::now();
  const auto end = started + std::chrono::duration<double>(seconds);
  std::uint64_t pages = 0, bytes = 0;
  while (SteadyClock::now() < end) {
    const std::size_t city = random() % bench::kCities.size();
    const char* tier = bench::kTiers[city % bench::kTiers.size()];
    sqlite3_bind_int64(select, 1, muster::TermOfCityAndTier(bench::kCities[city], tier));
    sqlite3_bind_int64(select, 2, static_cast<sqlite3_int64>(random() % members));
    while (sqlite3_step(select) == SQLITE_ROW) {
      // Touched, as whoever makes an answer of it does.
      const auto* record = static_cast<const unsigned char*>(sqlite3_column_blob(select, 2));
      const int size = sqlite3_column_bytes(select, 2);
      bytes += static_cast<std::uint64_t>(size) + record[size - 1];
    }
    sqlite3_reset(select);
    ++pages;
  }
  sqlite3_finalize(select);
  if (bytes == 0) Die(nullptr, "no page had a member");
  Report(pages, started);
}

void Changes(const std::string& data, double seconds) {
  Database database(data + "/muster-0.db", SQLITE_OPEN_READONLY);
  database.Execute("PRAGMA mmap_size = 68719476736");
  sqlite3_stmt* select =
      database.Prepare("SELECT position, member_id, version, type, time FROM change ORDER BY position");
  const auto started = SteadyClock::now();
  const auto end = started + std::chrono::duration<double>(seconds);
  constexpr std::uint64_t kRowsBetweenLooks = 1000;
  std::uint64_t rows = 0;
  std::int64_t sum = 0;
  for (bool goes_on = true; goes_on;) {
    while (goes_on && sqlite3_step(select) == SQLITE_ROW) {
      for (int column = 0; column < 5; ++column) sum ^= sqlite3_column_int64(select, column);
      goes_on = ++rows % kRowsBetweenLooks != 0 || SteadyClock::now() < end;
    }
    if (rows == 0) Die(nullptr, "there are no changes");
    sqlite3_reset(select);
  }
  sqlite3_finalize(select);
  if (sum == 1) std::fprintf(stderr, "\n");  // so that the values are read
  Report(rows, started);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 3 && arguments[0] == "single") {
    Single(arguments[1], std::stod(arguments[2]));
  } else if (arguments.size() == 3 && arguments[0] == "copy") {
    Copy(arguments[1], arguments[2]);
  } else if (arguments.size() == 3 && arguments[0] == "search") {
    Search(arguments[1], std::stod(arguments[2]));
  } else if (arguments.size() == 3 && arguments[0] == "changes") {
    Changes(arguments[1], std::stod(arguments[2]));
  } else {
    std::fprintf(stderr,
                 "usage: sqlite_reference single DIRECTORY SECONDS | copy SOURCE DIRECTORY | search DATA SECONDS "
                 "| changes DATA SECONDS\n");
    return 2;
  }
  return 0;
}
