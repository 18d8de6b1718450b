#include "search/index_file.h"

#include <charconv>
#include <filesystem>
#include <system_error>

namespace muster {
namespace {

constexpr std::string_view kTables = R"sql(
  CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE member(id INTEGER PRIMARY KEY, version INTEGER NOT NULL, created INTEGER NOT NULL,
    updated INTEGER NOT NULL, born INTEGER NOT NULL, document BLOB NOT NULL) STRICT;
  CREATE INDEX member_created ON member(created);
  CREATE INDEX member_updated ON member(updated);
  CREATE INDEX member_born ON member(born);
  CREATE TABLE posting(term INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(term, id)) STRICT, WITHOUT ROWID;
)sql";

// The log is moved into the file when it has as many pages: 64 MiB. New members touch the same pages again and again.
constexpr int kCheckpointPages = 16'384;

Result<std::optional<std::string>> ReadMeta(Database& database, std::string_view name) {
  MUSTER_ASSIGN(Statement select, database.Prepare("SELECT value FROM meta WHERE name = ?1"));
  MUSTER_ASSIGN(const bool found, select.BindText(1, name).Step());
  if (!found) return std::optional<std::string>();
  return std::optional(select.Text(0));
}

Result<void> WriteMeta(Database& database, std::string_view name, const std::string& value) {
  MUSTER_ASSIGN(Statement insert, database.Prepare("INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)"));
  return insert.BindText(1, name).BindText(2, value).Run();
}

// Numbers separated by spaces.
std::string Join(std::initializer_list<std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += (text.empty() ? "" : " ") + std::to_string(number);
  return text;
}

std::vector<std::int64_t> SplitNumbers(const std::string& text) {
  std::vector<std::int64_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return {};
    numbers.push_back(number);
    at = next == end ? end : next + 1;
  }
  return numbers;
}

std::string IdentityOf(const std::string& installation) { return std::to_string(kIndexVersion) + " " + installation; }

// Whether the file is an index of this installation that this program can go on with.
Result<bool> IsUsable(Database& database, const std::string& installation) {
  MUSTER_ASSIGN(const std::int64_t tables,
                database.ReadInteger("SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'member', 'posting')"));
  if (tables != 3) return false;
  MUSTER_ASSIGN(const auto identity, ReadMeta(database, "identity"));
  return identity && *identity == IdentityOf(installation);
}

Result<Database> OpenAsItIs(const std::string& path, std::int64_t cache_bytes) {
  MUSTER_ASSIGN(Database database, Database::Open(path, Database::Mode::kCreate));
  // NORMAL: a power failure may lose the newest changes of the index, which are applied again, and nothing else.
  MUSTER_TRY(database.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -" +
                              std::to_string(cache_bytes / 1024) +
                              "; PRAGMA wal_autocheckpoint = " + std::to_string(kCheckpointPages) +
                              "; PRAGMA journal_size_limit = " + std::to_string(kCheckpointPages * 4096)));
  return database;
}

}  // namespace

Result<void> RemoveIndexFile(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code error;
    std::filesystem::remove(path + suffix, error);
    if (error) {
      return Fail(Reason::kWritesUnavailable, "cannot delete " + path + suffix + ": " + error.message() +
                                                  ". Make its directory writable for this user");
    }
  }
  return {};
}

Result<Database> OpenIndexFile(const std::string& path, const std::string& installation, std::int64_t cache_bytes) {
  {
    // Whatever is wrong with a file that is there, a new one does not have.
    auto present = OpenAsItIs(path, cache_bytes);
    if (present) {
      const Result<bool> usable = IsUsable(*present, installation);
      if (usable && *usable) return std::move(*present);
    } else if (present.error().reason == Reason::kWritesUnavailable) {
      return std::unexpected(std::move(present).error());
    }
  }
  MUSTER_TRY(RemoveIndexFile(path));
  MUSTER_ASSIGN(Database database, OpenAsItIs(path, cache_bytes));
  MUSTER_TRY(database.Execute("BEGIN IMMEDIATE"));
  MUSTER_TRY(database.Execute(std::string(kTables)));
  MUSTER_TRY(WriteMeta(database, "identity", IdentityOf(installation)));
  MUSTER_TRY(WriteIndexState(database, {}));
  MUSTER_TRY(database.Execute("COMMIT"));
  return database;
}

Result<IndexState> ReadIndexState(Database& database) {
  MUSTER_ASSIGN(const auto text, ReadMeta(database, "state"));
  const std::vector<std::int64_t> numbers = SplitNumbers(text.value_or(""));
  if (numbers.size() != 4 && numbers.size() != 9) {
    return Fail(Reason::kInternal, database.path() + " does not say how far it is");
  }
  IndexState state{.is_built = numbers[0] != 0,
                   .position = numbers[1],
                   .build_after = numbers[2],
                   .built = numbers[3],
                   .last = std::nullopt};
  if (numbers.size() == 9) {
    state.last = ChangeEvent{.position = numbers[4],
                             .member_id = MemberId(numbers[5]),
                             .version = Version(numbers[6]),
                             .type = static_cast<ChangeType>(numbers[7]),
                             .time = Timestamp(Duration(numbers[8]))};
  }
  return state;
}

Result<void> WriteIndexState(Database& database, const IndexState& state) {
  std::string text = Join({state.is_built ? 1 : 0, state.position, state.build_after, state.built});
  if (state.last) {
    text += " " + Join({state.last->position, state.last->member_id.value(), state.last->version.value(),
                        static_cast<std::int64_t>(state.last->type), state.last->time.time_since_epoch().count()});
  }
  return WriteMeta(database, "state", text);
}

}  // namespace muster
