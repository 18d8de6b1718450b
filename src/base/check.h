#pragma once

#include <string_view>

namespace muster {

// Ends the process with a message and the place. For broken invariants of our own code, in release builds too; never
// for anything a caller, a file or the network can cause.
[[noreturn]] void Abort(const char* file, int line, std::string_view what);

}  // namespace muster

#define MUSTER_CHECK(condition)                                         \
  do {                                                                  \
    if (!(condition)) [[unlikely]] {                                    \
      ::muster::Abort(__FILE__, __LINE__, "check failed: " #condition); \
    }                                                                   \
  } while (false)

#define MUSTER_UNREACHABLE(what) ::muster::Abort(__FILE__, __LINE__, what)
