#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "store/schema.h"

namespace muster {

// The lock on a data directory: held by one process at a time, and gone with it however it ends.
class DirectoryLock {
 public:
  // INTERNAL: somebody else holds it (its process id is named), or the directory cannot be written.
  static Result<DirectoryLock> Acquire(const std::string& directory);
  // For whoever only reads: as Acquire, and in a directory that this user cannot write as well. INTERNAL: a server
  // holds it, or whether one does cannot be known.
  static Result<DirectoryLock> AcquireForReading(const std::string& directory);
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  DirectoryLock() = default;
  Result<void> LockDirectory(const std::string& directory, int kind);

  int directory_ = -1;   // locked itself, as somebody may delete the file
  int descriptor_ = -1;  // of the file `lock`, which names the holder
};

// Whether this process may make files in the directory.
bool IsWritable(const std::string& directory);

std::string DataFilePath(const std::string& directory, std::int64_t index);

// How many data files the directory has, or 0. INTERNAL when it has some but not muster-0.db up to the last without a
// gap.
Result<std::int64_t> CountDataFiles(const std::string& directory);

// Makes `count` new data files, all or none: a crash leaves nothing, or something that the next FinishCreation
// completes.
Result<void> CreateDataFiles(const std::string& directory, std::int64_t count, Random& random);
// Completes or removes what an interrupted CreateDataFiles left.
Result<void> FinishCreation(const std::string& directory);

// INTERNAL unless file `index` of `count` says that it is that, and of the installation of the others.
// `installation_id` is set by the first file.
Result<void> CheckFileIdentity(Database& database, std::int64_t index, std::int64_t count,
                               std::string& installation_id);

}  // namespace muster
