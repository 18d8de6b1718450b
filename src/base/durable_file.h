#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <string_view>

namespace muster {

// What the system refused.
struct FileFailure {
  std::string_view doing;  // "cannot write"
  std::string path;
  int error_number = 0;
  bool is_replaced = false;  // the new content is there, but the machine may lose it when it goes down now

  std::string Describe() const;  // "cannot write /data/x.tmp: No space left on device"
};

template <typename T>
using FileOutcome = std::expected<T, FileFailure>;

// A file that is replaced whole: written under a temporary name in its directory, made durable, renamed over. After a
// crash at any moment there is the old content or the new one, and perhaps the temporary file, which nobody reads and
// the next writer overwrites. Not thread-safe; two writers of one temporary name need a lock of their own.
class DurableFile {
 public:
  // Makes or empties `temporary`, with exactly this mode; follows no symbolic link.
  static FileOutcome<DurableFile> Create(std::string temporary, mode_t mode);
  // Goes on with `temporary`, which is open for writing and empty; closes the descriptor.
  DurableFile(int descriptor, std::string temporary) : descriptor_(descriptor), temporary_(std::move(temporary)) {}
  DurableFile(DurableFile&& other) noexcept;
  DurableFile& operator=(DurableFile&&) = delete;
  ~DurableFile();  // removes what was not published

  FileOutcome<void> Write(std::string_view data);
  // Once, and last.
  FileOutcome<void> Publish(const std::string& path);

 private:
  int descriptor_;  // below zero: moved from
  std::string temporary_;
  bool is_published_ = false;
};

// All of the above; the temporary name is `<path>.tmp`.
FileOutcome<void> ReplaceFile(const std::string& path, std::string_view content, mode_t mode);

// Makes it durable that `path` was made, renamed or removed.
FileOutcome<void> SyncDirectoryOf(const std::string& path);

}  // namespace muster
