#pragma once

#include <string>
#include <string_view>

namespace muster {

struct BuildInfo {
  std::string_view version;     // "0.1.0"
  std::string_view commit;      // short hash, "-dirty" when files differed; "unknown" outside a repository
  std::string_view build_type;  // "Release"
  std::string_view compiler;    // "clang 19.1.7"
};

BuildInfo GetBuildInfo();

}  // namespace muster
