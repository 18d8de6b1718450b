#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster {

// Sockets that listen on one address, for the kernel to spread connections over (SO_REUSEPORT).
struct HttpListeners {
  std::vector<int> sockets;  // non-blocking; the receiver closes them
  std::string address;       // "127.0.0.1:7400", "[::1]:7400": the real port
};

// `listen` is host:port, an IPv6 address in brackets; port 0 picks a free one. `option` names the option in errors
// ("http.listen"). Errors: the address is not valid, is not this machine's, is in use (by anybody, another muster too),
// is not permitted.
Result<HttpListeners> ListenHttp(const std::string& listen, std::size_t count, std::string_view option);

// The errors of ListenHttp that can be known without listening: the address is none, its host is not known.
Result<void> CheckListenAddress(const std::string& listen, std::string_view option);
// Whether two valid addresses cannot both be listened on: one port, and one address or one that stands for all.
bool ListenAddressesCollide(const std::string& one, const std::string& other);

}  // namespace muster
