#include "store/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/encoding.h"

namespace muster {
namespace {

constexpr std::string_view kUnfinished = ".new";  // a data file that is being made

std::string Describe(int error) { return std::generic_category().message(error); }

std::unexpected<Error> CannotWrite(const std::string& directory, int error) {
  return Fail(Reason::kInternal, "cannot write in the data directory " + directory + ": " + Describe(error) +
                                     ". Make it writable for this user, or choose another --data directory");
}

std::unexpected<Error> InUse(const std::string& directory, const std::string& holder) {
  return Fail(Reason::kInternal, "the data directory " + directory + " is in use by another muster" +
                                     (holder.empty() ? "" : " (process " + holder + ")") +
                                     ": stop it, or choose another --data directory");
}

// The process id that the holder wrote; for the message only.
std::string ReadHolder(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size() - 1, 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder;
}

Result<void> SyncDirectory(const std::string& directory) {
  const int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0 || fsync(descriptor) != 0) {
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    return CannotWrite(directory, error);
  }
  close(descriptor);
  return {};
}

// The number in "muster-<n>.db<suffix>".
std::optional<std::int64_t> ParseFileName(const std::string& name, std::string_view suffix) {
  const std::string prefix = "muster-";
  const std::string ending = ".db" + std::string(suffix);
  if (!name.starts_with(prefix) || !name.ends_with(ending) || name.size() <= prefix.size() + ending.size()) return {};
  const char* begin = name.data() + prefix.size();
  const char* end = name.data() + name.size() - ending.size();
  std::int64_t index = 0;
  const auto [stopped, error] = std::from_chars(begin, end, index);
  if (error != std::errc() || stopped != end || std::to_string(index) != std::string(begin, end)) return {};
  return index;
}

Result<std::vector<std::int64_t>> ListFiles(const std::string& directory, std::string_view suffix) {
  std::vector<std::int64_t> indexes;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (const auto index = ParseFileName(entry->path().filename().string(), suffix)) indexes.push_back(*index);
  }
  if (error) {
    return Fail(Reason::kInternal, "cannot list the data directory " + directory + ": " + error.message() +
                                       ". Make it readable for this user");
  }
  std::ranges::sort(indexes);
  return indexes;
}

Result<void> Rename(const std::string& from, const std::string& to, const std::string& directory) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return CannotWrite(directory, errno);
  return {};
}

void RemoveWithLog(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((path + suffix).c_str());
}

Result<void> CreateDataFile(const std::string& path, const FileIdentity& identity) {
  RemoveWithLog(path);
  // Made here rather than by SQLite, for the mode: everything in it is for this user alone. Its log inherits the mode.
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return CannotWrite(std::filesystem::path(path).parent_path().string(), errno);
  close(descriptor);
  MUSTER_ASSIGN(Database database, Database::Open(path, Database::Mode::kWrite));
  // NORMAL flushes once, at the checkpoint below, before the file gets its name.
  MUSTER_TRY(database.Execute("PRAGMA page_size = " + std::to_string(kPageBytes) +
                              "; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"));
  MUSTER_TRY(Migrate(database, AllMigrations()));
  MUSTER_TRY(WriteFileIdentity(database, identity));
  MUSTER_ASSIGN(const bool whole, database.RunCheckpoint(Database::Checkpoint::kTruncate));
  if (!whole) return Fail(Reason::kInternal, path + " is in use by another program: end it and start again");
  return {};
}

}  // namespace

Result<DirectoryLock> DirectoryLock::Acquire(const std::string& directory) {
  const std::string path = directory + "/lock";
  DirectoryLock lock;
  const int descriptor = lock.descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return CannotWrite(directory, errno);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return CannotWrite(directory, error);
    return InUse(directory, ReadHolder(descriptor));
  }
  MUSTER_TRY(lock.LockDirectory(directory, LOCK_EX));
  const std::string own = std::to_string(getpid()) + "\n";
  // A disk too full for the number still has a working lock; the number is for the message only.
  if (ftruncate(descriptor, 0) == 0) {
    [[maybe_unused]] const ssize_t written = pwrite(descriptor, own.data(), own.size(), 0);
  }
  return lock;
}

Result<DirectoryLock> DirectoryLock::AcquireForReading(const std::string& directory) {
  if (IsWritable(directory)) return Acquire(directory);
  const std::string path = directory + "/lock";
  DirectoryLock lock;
  MUSTER_TRY(lock.LockDirectory(directory, LOCK_SH));
  const int descriptor = lock.descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    // A copy that was made without the lock: no server has started in it.
    if (errno == ENOENT) return lock;
    return Fail(Reason::kInternal, "cannot open " + path + ": " + Describe(errno) +
                                       ". Make it readable for this user, or examine a copy of the directory");
  }
  if (flock(descriptor, LOCK_SH | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return InUse(directory, ReadHolder(descriptor));
  return Fail(Reason::kInternal, "cannot lock " + path + ": " + Describe(errno) + ". Examine a copy of the directory");
}

Result<void> DirectoryLock::LockDirectory(const std::string& directory, int kind) {
  directory_ = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ >= 0 && flock(directory_, kind | LOCK_NB) == 0) return {};
  if (directory_ >= 0 && errno == EWOULDBLOCK) return InUse(directory, "");
  return Fail(Reason::kInternal, "cannot lock " + directory + ": " + Describe(errno) +
                                     ". It has to be readable for this user, and on a local file system");
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : directory_(std::exchange(other.directory_, -1)), descriptor_(std::exchange(other.descriptor_, -1)) {}

DirectoryLock::~DirectoryLock() {
  for (const int descriptor : {descriptor_, directory_}) {
    if (descriptor >= 0) close(descriptor);
  }
}

bool IsWritable(const std::string& directory) { return faccessat(AT_FDCWD, directory.c_str(), W_OK, AT_EACCESS) == 0; }

std::string DataFilePath(const std::string& directory, std::int64_t index) {
  return directory + "/muster-" + std::to_string(index) + ".db";
}

Result<std::int64_t> CountDataFiles(const std::string& directory) {
  MUSTER_ASSIGN(const std::vector<std::int64_t> indexes, ListFiles(directory, ""));
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    if (indexes[i] != static_cast<std::int64_t>(i)) {
      return Fail(Reason::kInternal, DataFilePath(directory, static_cast<std::int64_t>(i)) +
                                         " is missing while later files are there: restore all files from one backup");
    }
  }
  return static_cast<std::int64_t>(indexes.size());
}

Result<void> CreateDataFiles(const std::string& directory, std::int64_t count, Random& random) {
  std::array<std::uint8_t, 16> bytes;
  random.Fill(bytes);
  FileIdentity identity{.installation_id = ToHex(bytes), .index = 0, .count = count};
  for (; identity.index < count; ++identity.index) {
    MUSTER_TRY(CreateDataFile(DataFilePath(directory, identity.index).append(kUnfinished), identity));
  }
  MUSTER_TRY(SyncDirectory(directory));
  // From the first rename on the files count as made. The highest comes first, so that a directory without muster-0.db
  // that has others is always one whose files wait to be renamed.
  for (std::int64_t index = count - 1; index >= 0; --index) {
    const std::string path = DataFilePath(directory, index);
    MUSTER_TRY(Rename(path + std::string(kUnfinished), path, directory));
  }
  return SyncDirectory(directory);
}

Result<void> FinishCreation(const std::string& directory) {
  MUSTER_ASSIGN(const std::vector<std::int64_t> unfinished, ListFiles(directory, kUnfinished));
  if (unfinished.empty()) return {};
  MUSTER_ASSIGN(const std::vector<std::int64_t> finished, ListFiles(directory, ""));
  for (const std::int64_t index : unfinished) {
    const std::string path = DataFilePath(directory, index);
    if (finished.empty()) {
      RemoveWithLog(path + std::string(kUnfinished));
    } else if (access(path.c_str(), F_OK) != 0) {
      MUSTER_TRY(Rename(path + std::string(kUnfinished), path, directory));
    }
  }
  return SyncDirectory(directory);
}

Result<void> CheckFileIdentity(Database& database, std::int64_t index, std::int64_t count,
                               std::string& installation_id) {
  MUSTER_ASSIGN(const FileIdentity identity, ReadFileIdentity(database));
  if (installation_id.empty()) installation_id = identity.installation_id;
  if (identity.installation_id != installation_id) {
    return Fail(Reason::kInternal, database.path() +
                                       " belongs to another installation than muster-0.db beside it: "
                                       "restore all files from one backup");
  }
  if (identity.count != count) {
    return Fail(Reason::kInternal, database.path() + " is one of " + std::to_string(identity.count) +
                                       " files, not of " + std::to_string(count) + ": set store.sqlite.files to " +
                                       std::to_string(identity.count) + ", and make sure that all of them are there");
  }
  if (identity.index != index) {
    return Fail(Reason::kInternal, database.path() + " is file " + std::to_string(identity.index) +
                                       " under another name: name it muster-" + std::to_string(identity.index) +
                                       ".db again");
  }
  return {};
}

}  // namespace muster
