#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

// Where a benchmark's requests go.
struct HttpTarget {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::string host;  // of the Host header: "127.0.0.1:7400"
};

// Of "http://HOST:PORT", looking the host up; nothing may follow but a slash. There is no TLS here: it would measure
// the cost of itself.
Result<HttpTarget> ResolveHttpTarget(std::string_view url);

}  // namespace muster
