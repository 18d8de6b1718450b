#include "app/transfer/reject_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "app/files.h"
#include "base/encoding.h"
#include "domain/json_writer.h"

namespace muster {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::unexpected<Failure> Refuse(const char* what, const std::string& path) {
  return Fails(ExitCode::kFailure, std::string(what) + " the reject file " + path + ": " + SystemMessage(errno));
}

std::string ToUtf8(const std::string& text) {
  if (IsValidUtf8(text)) return text;
  std::string valid;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t size = 1;
    while (size <= 4 && i + size <= text.size() && !IsValidUtf8(std::string_view(text).substr(i, size))) ++size;
    if (size <= 4 && i + size <= text.size()) {
      valid.append(text, i, size);
      i += size;
    } else {
      valid += kReplacement;
      ++i;
    }
  }
  return valid;
}

}  // namespace

std::string RejectJson(const Reject& reject) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("line").Number(static_cast<std::int64_t>(reject.line));
  json.Key("code").String(reject.code);
  json.Key("detail").String(reject.detail);
  json.Key("text").String(ToUtf8(reject.text));
  json.EndObject();
  out += '\n';
  return out;
}

Outcome<RejectFile> RejectFile::Open(const std::string& path, std::uint64_t size) {
  if (path.empty()) return RejectFile(path, -1, 0);
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return Refuse("cannot write", path);
  RejectFile file(path, descriptor, size);
  struct stat status{};
  if (fstat(descriptor, &status) != 0) return Refuse("cannot read", path);
  if (S_ISREG(status.st_mode)) {
    if (static_cast<std::uint64_t>(status.st_size) < size) {
      return Fails(ExitCode::kFailure, "the reject file " + path +
                                           " is shorter than the interrupted import left it; put it back, or remove "
                                           "the import's state to start from the beginning");
    }
    if (ftruncate(descriptor, static_cast<off_t>(size)) != 0 || lseek(descriptor, 0, SEEK_END) < 0)
      return Refuse("cannot write", path);
  }
  return file;
}

RejectFile::RejectFile(RejectFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_descriptor_(std::exchange(other.file_descriptor_, -1)),
      size_(other.size_),
      is_dirty_(other.is_dirty_) {}

RejectFile::~RejectFile() {
  if (file_descriptor_ >= 0) close(file_descriptor_);
}

Outcome<void> RejectFile::Append(const Reject& reject) {
  if (file_descriptor_ < 0) return {};
  const std::string json = RejectJson(reject);
  std::string_view left = json;
  while (!left.empty()) {
    const ssize_t written = write(file_descriptor_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Refuse("cannot write", path_);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  size_ += json.size();
  is_dirty_ = true;
  return {};
}

Outcome<void> RejectFile::Sync() {
  if (!std::exchange(is_dirty_, false)) return {};
  if (fdatasync(file_descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) return Refuse("cannot write", path_);
  return {};
}

}  // namespace muster
