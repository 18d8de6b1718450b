#include "app/transfer/export_file.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "app/files.h"

namespace muster {
namespace {

constexpr mode_t kPersonalMode = 0600;
constexpr int kLinksMax = 40;  // as the kernel

// What `path` leads to, which need not be there yet.
std::filesystem::path FollowLinks(std::filesystem::path path) {
  for (int i = 0; i < kLinksMax; ++i) {
    std::error_code no_link;
    const std::filesystem::path target = std::filesystem::read_symlink(path, no_link);
    if (no_link) break;
    path = path.parent_path() / target;
  }
  return path;
}

std::unexpected<Failure> CannotWrite(const std::string& path) {
  return Fails(ExitCode::kFailure, "cannot write " + path + ": " + SystemMessage(errno));
}

}  // namespace

Outcome<ExportFile> ExportFile::Open(const std::string& path) {
  ExportFile file;
  std::error_code ignored;  // what cannot be examined cannot be opened either, and that says why
  const auto type = std::filesystem::status(path, ignored).type();
  if (type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found) {
    file.path_ = FollowLinks(path).string();
    auto whole = DurableFile::Create(file.path_ + ".tmp", kPersonalMode);
    if (!whole) return Fails(ExitCode::kFailure, whole.error().Describe());
    file.whole_.emplace(std::move(*whole));
  } else {
    file.path_ = path;
    file.stream_.reset(std::fopen(path.c_str(), "we"));
    if (!file.stream_) return CannotWrite(path);
  }
  return file;
}

Outcome<void> ExportFile::Write(std::string_view data) {
  if (whole_) return AsOutcome(whole_->Write(data));
  if (std::fwrite(data.data(), 1, data.size(), stream_.get()) != data.size()) return CannotWrite(path_);
  return {};
}

Outcome<void> ExportFile::Finish() {
  if (whole_) return AsOutcome(whole_->Publish(path_));
  if (std::fclose(stream_.release()) != 0) return CannotWrite(path_);
  return {};
}

}  // namespace muster
