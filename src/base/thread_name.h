#pragma once

#include <pthread.h>

#include <string>
#include <thread>

namespace muster {

// Names a thread for those who look at the process from outside (top -H, perf, a debugger): what it does, then which
// one. The kernel keeps 15 bytes.
inline void NameThread(std::thread& thread, const std::string& name) {
  constexpr std::size_t kNameBytesKept = 15;
  pthread_setname_np(thread.native_handle(), name.substr(0, kNameBytesKept).c_str());
}

}  // namespace muster
