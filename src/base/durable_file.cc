#include "base/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace muster {
namespace {

std::unexpected<FileFailure> Refuse(std::string_view doing, const std::string& path) {
  return std::unexpected(FileFailure{.doing = doing, .path = path, .error_number = errno});
}

}  // namespace

std::string FileFailure::Describe() const {
  const bool is_full = error_number == ENOSPC || error_number == EDQUOT;
  return std::string(doing) + " " + path + ": " + std::generic_category().message(error_number) +
         (is_full ? "; make room and try again" : "");
}

FileOutcome<DurableFile> DurableFile::Create(std::string temporary, mode_t mode) {
  const int descriptor = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (descriptor < 0) return Refuse("cannot write", temporary);
  DurableFile file(descriptor, std::move(temporary));
  // What a crash left behind keeps its mode, and the umask may have taken bits away.
  if (fchmod(descriptor, mode) != 0) return Refuse("cannot set the mode of", file.temporary_);
  return file;
}

DurableFile::DurableFile(DurableFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      temporary_(std::move(other.temporary_)),
      is_published_(other.is_published_) {}

DurableFile::~DurableFile() {
  if (descriptor_ < 0) return;
  if (!is_published_) unlink(temporary_.c_str());  // before a lock on it goes with the descriptor
  close(descriptor_);
}

FileOutcome<void> DurableFile::Write(std::string_view data) {
  while (!data.empty()) {
    const ssize_t written = write(descriptor_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Refuse("cannot write", temporary_);
    data.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

FileOutcome<void> DurableFile::Publish(const std::string& path) {
  if (fsync(descriptor_) != 0) return Refuse("cannot make durable", temporary_);
  if (rename(temporary_.c_str(), path.c_str()) != 0) return Refuse("cannot replace", path);
  is_published_ = true;
  auto synced = SyncDirectoryOf(path);
  if (!synced) synced.error().is_replaced = true;
  return synced;
}

FileOutcome<void> ReplaceFile(const std::string& path, std::string_view content, mode_t mode) {
  auto file = DurableFile::Create(path + ".tmp", mode);
  if (!file) return std::unexpected(std::move(file).error());
  if (auto written = file->Write(content); !written) return written;
  return file->Publish(path);
}

FileOutcome<void> SyncDirectoryOf(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string directory = parent.empty() ? "." : parent.string();
  const int handle = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return Refuse("cannot make durable", directory);
  FileOutcome<void> outcome;
  if (fsync(handle) != 0) outcome = Refuse("cannot make durable", directory);
  close(handle);
  return outcome;
}

}  // namespace muster
