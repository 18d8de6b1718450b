#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace muster {

// A prepared statement. Used by one thread at a time, as its database is; must not outlive it.
class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), path_(std::exchange(other.path_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(path_, other.path_);
    return *this;
  }
  ~Statement();

  // Parameters are numbered from 1. Bytes and text are not copied: they must live until the statement is reset.
  Statement& Bind(int index, std::int64_t value);
  Statement& BindBlob(int index, std::string_view bytes);
  Statement& BindText(int index, std::string_view text);

  // True: a row can be read. False: the end was reached, and the statement is reset.
  Result<bool> Step();
  // Steps to the end.
  Result<void> Run();
  // Ends a statement whose rows were not all read, so that it holds no snapshot.
  void Reset();

  // Columns are numbered from 0. Views are valid until the next Step or Reset.
  std::int64_t Integer(int column) const;
  std::string_view Blob(int column) const;
  std::string Text(int column) const;

 private:
  friend class Database;
  Statement(sqlite3_stmt* handle, const std::string* path) : handle_(handle), path_(path) {}
  std::unexpected<Error> Failure();

  sqlite3_stmt* handle_ = nullptr;
  const std::string* path_ = nullptr;
};

// One connection to one SQLite file, without SQLite's own locking: used by one thread at a time. Movable until the
// first Prepare or CountWalPages.
//
// Errors: WRITES_UNAVAILABLE when the file cannot be written now (full, read-only, I/O error on writing, locked);
// OVERLOADED instead on a connection that only reads; INTERNAL for all else. Messages name the file and what to do, and
// hold no value of any row.
class Database {
 public:
  enum class Mode {
    kRead,
    // Without locks, without its write-ahead log and without making a file beside it: for a file that nobody can be
    // writing and whose log is empty.
    kReadImmutable,
    kWrite,
    kCreate,
  };

  static Result<Database> Open(std::string path, Mode mode);
  Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), path_(std::move(other.path_)) {}
  Database& operator=(Database&&) = delete;
  ~Database();

  // One or more statements that need no parameters and give no rows that matter.
  Result<void> Execute(const std::string& sql);
  Result<Statement> Prepare(std::string_view sql);
  // The first column of the first row; INTERNAL when there is none.
  Result<std::int64_t> ReadInteger(std::string_view sql);

  const std::string& path() const { return path_; }
  bool InTransaction() const;
  // Of the last insert, update or delete.
  std::int64_t RowsChanged() const;
  // Of the last call that failed: SQLITE_FULL, SQLITE_IOERR_FSYNC, ...
  int ExtendedErrorCode() const;
  std::unexpected<Error> Failure() const;

  // From now on SQLite does no checkpoint by itself, and `*pages` is the length of the write-ahead log after each
  // commit.
  void CountWalPages(std::int64_t* pages);
  // Runs a prepared COMMIT, of which the log gets one write instead of two a page (log_gather.h). On a connection that
  // writes, in WAL mode, with synchronous=FULL only.
  Result<void> CommitGathered(Statement& commit);
  enum class Checkpoint { kRestart, kTruncate };
  // Moves the write-ahead log into the file and lets it begin anew. False: a reader or a lock was in the way for longer
  // than the connection's time-out, and as much as possible was moved.
  Result<bool> RunCheckpoint(Checkpoint kind);

 private:
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

  sqlite3* handle_ = nullptr;
  std::string path_;
};

}  // namespace muster
