#pragma once

struct sqlite3;

namespace muster {

// SQLite writes a commit to the write-ahead log in two system calls a page; for a group of transactions they cost more
// than its flush. This is a shim over SQLite's layer of the operating system that gathers what one commit writes to the
// log, and hands it on as one write just before the flush.
//
// Safe only where SQLite flushes the log before it shows a commit to others (synchronous=FULL), and only from the
// beginning of COMMIT to its end: nobody but the committing connection looks at those bytes of the log meanwhile, and
// its own reads see them. docs/decisions/0010-log-gather.md
namespace log_gather {

struct LogFile;

// For sqlite3_open_v2. Files behave as ever until they are told to gather.
const char* VfsName();

// While it lives, writes of this connection to its log are gathered. One at a time.
class Scope {
 public:
  // The connection must have been opened with VfsName(), and be in a transaction on a file in WAL mode.
  explicit Scope(sqlite3* connection);
  Scope(const Scope&) = delete;
  // What was gathered and never flushed belongs to a commit that failed, and is forgotten.
  ~Scope();
  // Whether bytes wait to be written.
  bool Pending() const;

 private:
  LogFile* log_;
};

}  // namespace log_gather
}  // namespace muster
