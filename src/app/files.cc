#include "app/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

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
  int Close() { return close(std::exchange(number_, -1)); }

 private:
  int number_;
};

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Outcome<void> SyncDirectory(const std::string& directory) {
  const Descriptor handle(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.number() < 0 || fsync(handle.number()) != 0) return Refuse("cannot make durable", directory, errno);
  return {};
}

Outcome<void> WriteAll(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(descriptor, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Refuse("cannot write", path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

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
  const std::string temporary = path + ".tmp";
  {
    Descriptor handle(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (handle.number() < 0) return Refuse("cannot write", temporary, errno);
    // What a crash left behind keeps its mode, and the umask may have taken bits away.
    if (fchmod(handle.number(), mode) != 0) return Refuse("cannot set the mode of", temporary, errno);
    MUSTER_TRY(WriteAll(handle.number(), content, temporary));
    if (fsync(handle.number()) != 0 || handle.Close() != 0) return Refuse("cannot make durable", temporary, errno);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Refuse("cannot replace", path, errno);
  return SyncDirectory(ParentOf(path));
}

Outcome<void> RemoveFileDurably(const std::string& path) {
  if (unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return Refuse("cannot remove", path, errno);
  }
  return SyncDirectory(ParentOf(path));
}

Outcome<void> MakePrivateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return SyncDirectory(ParentOf(path));
  const int error_number = errno;
  if (error_number == ENOENT && ParentOf(path) != path) {
    MUSTER_TRY(MakePrivateDirectory(ParentOf(path)));
    if (mkdir(path.c_str(), 0700) == 0) return SyncDirectory(ParentOf(path));
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
