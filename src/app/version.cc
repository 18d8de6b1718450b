#include "app/version.h"

#include "app/version_commit.h"  // generated: cmake/write_commit.cmake

namespace muster {

BuildInfo GetBuildInfo() {
  return {.version = MUSTER_VERSION,
          .commit = MUSTER_COMMIT,
          .build_type = MUSTER_BUILD_TYPE,
          .compiler = "clang " __clang_version__};
}

}  // namespace muster
