#include "app/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/durable_file.h"

namespace muster {
namespace {

std::unexpected<Failure> Refuse(const std::string& what, const std::string& path, int error_number) {
  return Fails(ExitCode::kFailure, what + " " + path + ": " + SystemMessage(error_number));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

Outcome<void> AsOutcome(const FileOutcome<void>& outcome) {
  if (!outcome) return Fails(ExitCode::kFailure, outcome.error().Describe());
  return {};
}

std::string SystemMessage(int error_number) { return std::generic_category().message(error_number); }

Outcome<std::string> ReadSmallFile(const std::string& path, std::size_t bytes_max) {
  const Descriptor handle(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (handle.number() < 0) return Refuse("cannot read", path, errno);
  std::string content;
  std::string chunk(std::size_t{16} << 10, '\0');
  while (true) {
    const ssize_t size = read(handle.number(), chunk.data(), chunk.size());
    if (size < 0) {
      if (errno == EINTR) continue;
      return Refuse("cannot read", path, errno);
    }
    if (size == 0) return content;
    content.append(chunk, 0, static_cast<std::size_t>(size));
    if (content.size() > bytes_max) {
      return Fails(ExitCode::kFailure,
                   path + " is larger than the " + std::to_string(bytes_max) + " bytes it may have");
    }
  }
}

Outcome<void> WriteFileDurably(const std::string& path, std::string_view content, mode_t mode) {
  return AsOutcome(ReplaceFile(path, content, mode));
}

Outcome<void> RemoveFileDurably(const std::string& path) {
  if (unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return Refuse("cannot remove", path, errno);
  }
  return AsOutcome(SyncDirectoryOf(path));
}

Outcome<void> MakePrivateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return AsOutcome(SyncDirectoryOf(path));
  const int error_number = errno;
  if (error_number == ENOENT && ParentOf(path) != path) {
    MUSTER_TRY(MakePrivateDirectory(ParentOf(path)));
    if (mkdir(path.c_str(), 0700) == 0) return AsOutcome(SyncDirectoryOf(path));
    return Refuse("cannot make the directory", path, errno);
  }
  struct stat status{};
  if (error_number == EEXIST && stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return {};
    return Fails(ExitCode::kFailure, path + " is a file, not a directory");
  }
  return Refuse("cannot make the directory", path, error_number);
}

bool FileExists(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0;
}

}  // namespace muster
