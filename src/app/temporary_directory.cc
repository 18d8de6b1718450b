#include "app/temporary_directory.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/files.h"

namespace muster {

Outcome<TemporaryDirectory> TemporaryDirectory::Make(const std::string& prefix) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  if (error) return Fails(ExitCode::kFailure, "there is no directory for temporary files; set TMPDIR to one");
  std::string path = (parent / (prefix + "-XXXXXX")).string();
  if (mkdtemp(path.data()) == nullptr) {
    return Fails(ExitCode::kFailure, "cannot make a directory in " + parent.string() + ": " + SystemMessage(errno) +
                                         "; set TMPDIR to another");
  }
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;  // what cannot be removed is in the place for temporary files
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace muster
