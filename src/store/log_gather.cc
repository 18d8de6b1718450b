#include "store/log_gather.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

#include "base/check.h"

namespace muster::log_gather {

namespace {

// What a commit of more pages writes in several pieces.
constexpr std::size_t kGatheredBytesMax = 1 << 20;
// SQLite never writes more than a page at once, and its own layer looks at the lowest 17 bits of the count only.
constexpr std::size_t kWriteBytesMax = 1 << 16;

}  // namespace

// A write-ahead log as SQLite sees it. The file of the layer below lies right behind it, in memory SQLite has
// allocated.
struct LogFile : sqlite3_file {
  sqlite3_file* below = nullptr;
  bool gathering = false;
  // Bytes for the file from `gathered_at` on.
  std::vector<char> gathered;
  sqlite3_int64 gathered_at = 0;

  int Flush() {
    int code = SQLITE_OK;
    for (std::size_t at = 0; at < gathered.size() && code == SQLITE_OK; at += kWriteBytesMax) {
      const std::size_t count = std::min(kWriteBytesMax, gathered.size() - at);
      code = below->pMethods->xWrite(below, gathered.data() + at, static_cast<int>(count),
                                     gathered_at + static_cast<sqlite3_int64>(at));
    }
    gathered.clear();
    return code;
  }
};

namespace {

LogFile* AsLog(sqlite3_file* file) { return static_cast<LogFile*>(file); }

int Close(sqlite3_file* file) {
  LogFile* log = AsLog(file);
  const int code = log->below->pMethods->xClose(log->below);
  log->~LogFile();
  return code;
}

int Write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  LogFile* log = AsLog(file);
  if (!log->gathering) return log->below->pMethods->xWrite(log->below, bytes, count, at);
  const auto size = static_cast<std::size_t>(count);
  const bool follows = log->gathered_at + static_cast<sqlite3_int64>(log->gathered.size()) == at;
  if (!follows || log->gathered.size() + size > kGatheredBytesMax) {
    if (const int code = log->Flush(); code != SQLITE_OK) return code;
    log->gathered_at = at;
  }
  const char* first = static_cast<const char*>(bytes);
  log->gathered.insert(log->gathered.end(), first, first + size);
  return SQLITE_OK;
}

// Every other method sees the file as if all had been written.
template <auto Method, typename... Arguments>
int FlushThen(sqlite3_file* file, Arguments... arguments) {
  LogFile* log = AsLog(file);
  if (const int code = log->Flush(); code != SQLITE_OK) return code;
  return (log->below->pMethods->*Method)(log->below, arguments...);
}

const sqlite3_io_methods kMethods = {
    .iVersion = 1,  // the later methods are for databases, not for logs
    .xClose = Close,
    .xRead = FlushThen<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>,
    .xWrite = Write,
    .xTruncate = FlushThen<&sqlite3_io_methods::xTruncate, sqlite3_int64>,
    .xSync = FlushThen<&sqlite3_io_methods::xSync, int>,
    .xFileSize = FlushThen<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
    .xLock = FlushThen<&sqlite3_io_methods::xLock, int>,
    .xUnlock = FlushThen<&sqlite3_io_methods::xUnlock, int>,
    .xCheckReservedLock = FlushThen<&sqlite3_io_methods::xCheckReservedLock, int*>,
    .xFileControl = FlushThen<&sqlite3_io_methods::xFileControl, int, void*>,
    .xSectorSize = [](sqlite3_file* file) { return AsLog(file)->below->pMethods->xSectorSize(AsLog(file)->below); },
    .xDeviceCharacteristics =
        [](sqlite3_file* file) { return AsLog(file)->below->pMethods->xDeviceCharacteristics(AsLog(file)->below); },
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

constexpr std::size_t kLogFileBytes =
    (sizeof(LogFile) + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) * alignof(std::max_align_t);

// The layer below is SQLite's own.
sqlite3_vfs* Below() {
  static sqlite3_vfs* below = sqlite3_vfs_find(nullptr);
  return below;
}

int Open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* flags_out) {
  if ((flags & SQLITE_OPEN_WAL) == 0) return Below()->xOpen(Below(), name, file, flags, flags_out);
  auto* below = reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(file) + kLogFileBytes);
  const int code = Below()->xOpen(Below(), name, below, flags, flags_out);
  if (code != SQLITE_OK) {
    file->pMethods = nullptr;  // SQLite does not close what was never open
    return code;
  }
  auto* log = new (file) LogFile;
  log->pMethods = &kMethods;
  log->below = below;
  return SQLITE_OK;
}

constexpr const char* kVfsName = "muster-log-gather";

sqlite3_vfs MakeVfs() {
  // All but opening is what the layer below does, with its own data.
  sqlite3_vfs vfs = *Below();
  vfs.pNext = nullptr;
  vfs.zName = kVfsName;
  vfs.szOsFile += static_cast<int>(kLogFileBytes);
  vfs.xOpen = Open;
  return vfs;
}

}  // namespace

const char* VfsName() {
  static sqlite3_vfs vfs = MakeVfs();
  static const int registered = sqlite3_vfs_register(&vfs, /*makeDflt=*/0);
  MUSTER_CHECK(registered == SQLITE_OK);
  return kVfsName;
}

Scope::Scope(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  const int code = sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&file));
  MUSTER_CHECK(code == SQLITE_OK && file != nullptr && file->pMethods == &kMethods);
  log_ = AsLog(file);
  log_->gathering = true;
}

Scope::~Scope() {
  log_->gathering = false;
  log_->gathered.clear();
}

bool Scope::Pending() const { return !log_->gathered.empty(); }

}  // namespace muster::log_gather
