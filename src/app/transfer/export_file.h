#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "base/durable_file.h"

namespace muster {

// Where an export goes. A regular file appears when it is whole and durable, mode 0600 (it holds personal data), in the
// place that symbolic links lead to; what is there and no regular file (a pipe, a device) is written into as it is.
class ExportFile {
 public:
  static Outcome<ExportFile> Open(const std::string& path);

  Outcome<void> Write(std::string_view data);
  // Once, and last. Without it a regular file stays as it was.
  Outcome<void> Finish();

 private:
  ExportFile() = default;

  std::string path_;
  std::optional<DurableFile> whole_;  // one of the two
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_{nullptr, &std::fclose};
};

}  // namespace muster
