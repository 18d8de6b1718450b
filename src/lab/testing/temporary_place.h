#pragma once

#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp

#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace muster::lab::testing {

// A directory of the test's own; gone afterwards.
class TemporaryPlace {
 public:
  TemporaryPlace() : path_((std::filesystem::temp_directory_path() / "muster-lab-XXXXXX").string()) {
    MUSTER_CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryPlace() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryPlace(const TemporaryPlace&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace muster::lab::testing
