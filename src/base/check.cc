#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace muster {

void Abort(const char* file, int line, std::string_view what) {
  std::fprintf(stderr, "muster: %s:%d: %.*s\n", file, line, static_cast<int>(what.size()), what.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace muster
