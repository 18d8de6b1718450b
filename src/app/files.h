#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "base/durable_file.h"

namespace muster {

// Small files of a data directory or an import. Failures name the file and what the system says; kFailure.

// The content of a regular file of at most `bytes_max`.
Outcome<std::string> ReadSmallFile(const std::string& path, std::size_t bytes_max);

// Replaces `path` by `content`, so that after a crash at any moment it has its old content or the new one. Durable on
// return.
Outcome<void> WriteFileDurably(const std::string& path, std::string_view content, mode_t mode);

// Durable too. A file that is not there is removed already.
Outcome<void> RemoveFileDurably(const std::string& path);

// Makes `path` and its parents, all mode 0700; what is there already stays as it is.
Outcome<void> MakePrivateDirectory(const std::string& path);

bool FileExists(const std::string& path);

// The outcome of a durable file as a command ends with it.
Outcome<void> AsOutcome(const FileOutcome<void>& outcome);

// What the last failed system call says: "No space left on device".
std::string SystemMessage(int error_number);

}  // namespace muster
