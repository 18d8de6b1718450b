#pragma once

#include <string>

#include "app/cli/exit_code.h"

namespace muster {

// A directory of mode 0700 below TMPDIR (or /tmp) that goes, with all in it, when this object does.
class TemporaryDirectory {
 public:
  static Outcome<TemporaryDirectory> Make(const std::string& prefix);
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace muster
