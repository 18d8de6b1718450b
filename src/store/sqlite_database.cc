#include "store/sqlite_database.h"

#include <sqlite3.h>

#include <filesystem>
#include <mutex>
#include <system_error>

#include "base/check.h"
#include "store/log_gather.h"

namespace muster {
namespace {

// How long a statement waits for a lock that another connection holds: a checkpoint for readers to move on, a reader
// while a log is being recovered.
constexpr int kBusyTimeoutMs = 250;

Error Describe(int code, const std::string& path, const char* message) {
  const std::string what = path + ": " + (message ? message : sqlite3_errstr(code));
  switch (code) {
    case SQLITE_FULL:
      return {Reason::kWritesUnavailable,
              what + ". Free space on its file system; a server that runs then writes again by itself"};
    case SQLITE_READONLY_DBMOVED:
      return {Reason::kWritesUnavailable,
              what + ". The file was moved or deleted while in use: put it back and restart"};
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_TRUNCATE:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_DIR_FSYNC:
      return {Reason::kWritesUnavailable,
              what + ". Check the disk and its free space; a server that runs then writes again by itself"};
    default:
      break;
  }
  switch (code & 0xFF) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return {Reason::kWritesUnavailable, what + ". Make the file and its directory writable for this user"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Reason::kWritesUnavailable, what + ". Another program has the file locked: end it"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Reason::kInternal,
              what + ". The file is damaged: stop, run `muster doctor`, and restore all files from one backup"};
    case SQLITE_ERROR:
      // All SQL is written here, so that what it names is there unless somebody took it away.
      return {Reason::kInternal, what +
                                     ". If the file was changed by hand, stop, run `muster doctor`, and restore all "
                                     "files from one backup"};
    case SQLITE_CANTOPEN:
      return {Reason::kInternal, what + ". Check that the file exists and that this user may open it"};
    default:
      return {Reason::kInternal, what};
  }
}

// The last error of a connection. Somebody who only reads is not told that writes are unavailable: a lock passes.
std::unexpected<Error> LastError(sqlite3* handle, const std::string& path) {
  Error error = Describe(sqlite3_extended_errcode(handle), path, sqlite3_errmsg(handle));
  if (error.reason == Reason::kWritesUnavailable && sqlite3_db_readonly(handle, "main") == 1) {
    error.reason = Reason::kOverloaded;
  }
  return std::unexpected(std::move(error));
}

void InitialiseOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    // SQLite's statistics of allocations take one mutex for all threads at every allocation. Refused, harmlessly, when
    // somebody in the process uses SQLite already.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
  });
}

// A path as SQLite's URIs spell it.
std::string ImmutableUri(const std::string& path) {
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  std::string uri = "file:";
  for (const char c : error ? path : absolute) {
    static constexpr std::string_view kDigits = "0123456789ABCDEF";
    if (c != '%' && c != '?' && c != '#') {
      uri.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    uri.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return uri + "?immutable=1";
}

}  // namespace

Statement::~Statement() { sqlite3_finalize(handle_); }

Statement& Statement::Bind(int index, std::int64_t value) {
  MUSTER_CHECK(sqlite3_bind_int64(handle_, index, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::BindBlob(int index, std::string_view bytes) {
  MUSTER_CHECK(sqlite3_bind_blob64(handle_, index, bytes.data() ? bytes.data() : "", bytes.size(), SQLITE_STATIC) ==
               SQLITE_OK);
  return *this;
}

Statement& Statement::BindText(int index, std::string_view text) {
  MUSTER_CHECK(sqlite3_bind_text64(handle_, index, text.data() ? text.data() : "", text.size(), SQLITE_STATIC,
                                   SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

std::unexpected<Error> Statement::Failure() {
  std::unexpected<Error> failure = LastError(sqlite3_db_handle(handle_), *path_);
  sqlite3_reset(handle_);
  return failure;
}

Result<bool> Statement::Step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) [[unlikely]] {
    return Failure();
  }
  sqlite3_reset(handle_);
  return false;
}

Result<void> Statement::Run() {
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(handle_);
  if (code != SQLITE_DONE) [[unlikely]] {
    return Failure();
  }
  sqlite3_reset(handle_);
  return {};
}

void Statement::Reset() { sqlite3_reset(handle_); }

std::int64_t Statement::Integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view Statement::Blob(int column) const {
  const void* bytes = sqlite3_column_blob(handle_, column);
  return {static_cast<const char*>(bytes), bytes ? static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)) : 0};
}

std::string Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(handle_, column);
  if (!text) return {};
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Result<Database> Database::Open(std::string path, Mode mode) {
  InitialiseOnce();
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE |
                    (mode == Mode::kRead            ? SQLITE_OPEN_READONLY
                     : mode == Mode::kReadImmutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                     : mode == Mode::kWrite         ? SQLITE_OPEN_READWRITE
                                                    : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  const bool reads = mode == Mode::kRead || mode == Mode::kReadImmutable;
  const std::string name = mode == Mode::kReadImmutable ? ImmutableUri(path) : path;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags, reads ? nullptr : log_gather::VfsName());
  Database database(handle, std::move(path));
  if (code != SQLITE_OK)
    return std::unexpected(Describe(code, database.path_, handle ? sqlite3_errmsg(handle) : nullptr));
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

Database::~Database() {
  // Every statement must be gone by now: a zombie connection would keep locks.
  MUSTER_CHECK(sqlite3_close(handle_) == SQLITE_OK);
}

std::unexpected<Error> Database::Failure() const { return LastError(handle_, path_); }

Result<void> Database::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return Failure();
  return {};
}

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return Failure();
  }
  return Statement(statement, &path_);
}

Result<std::int64_t> Database::ReadInteger(std::string_view sql) {
  MUSTER_ASSIGN(Statement statement, Prepare(sql));
  MUSTER_ASSIGN(const bool found, statement.Step());
  if (!found) return Fail(Reason::kInternal, path_ + ": no row where one belongs; run `muster doctor`");
  return statement.Integer(0);
}

bool Database::InTransaction() const { return sqlite3_get_autocommit(handle_) == 0; }
std::int64_t Database::RowsChanged() const { return sqlite3_changes64(handle_); }
int Database::ExtendedErrorCode() const { return sqlite3_extended_errcode(handle_); }

void Database::CountWalPages(std::int64_t* pages) {
  sqlite3_wal_hook(
      handle_,
      [](void* context, sqlite3*, const char*, int count) {
        *static_cast<std::int64_t*>(context) = count;
        return SQLITE_OK;
      },
      pages);
}

Result<void> Database::CommitGathered(Statement& commit) {
  const log_gather::Scope gather(handle_);
  Result<void> done = commit.Run();
  // A commit that others can see while its bytes are here would be a hole in the log.
  MUSTER_CHECK(!done || !gather.Pending());
  return done;
}

Result<bool> Database::RunCheckpoint(Checkpoint kind) {
  const int mode = kind == Checkpoint::kRestart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_TRUNCATE;
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, mode, nullptr, nullptr);
  if (code == SQLITE_OK) return true;
  if ((code & 0xFF) == SQLITE_BUSY) return false;
  return Failure();
}

}  // namespace muster
