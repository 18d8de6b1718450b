#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "lab/connector.h"
#include "lab/links.h"

namespace muster::lab {

// A port of 127.0.0.1 behind which a server of another center is.
struct ProxyRoute {
  std::string name;
  std::uint16_t listen_port = 0;
  std::uint16_t target_port = 0;
  Center center = Center::kA;  // the server's
};

struct ProxyDependencies {
  const Clock* clock = nullptr;
  Logger* logger = nullptr;
  Links* links = nullptr;
  // Who it is that connects from one port to another. Asked on the proxy's thread.
  std::function<Connector(std::uint16_t client_port, std::uint16_t server_port)> locate;
};

// What lies between the centers: every connection from one to another goes through it, and it does to the bytes what
// the link between the two says. A cut loses packets: connections stay open and silent, new ones get no answer, and
// neither an end nor a reset passes; with the cut's end all goes on. Bytes keep their order and are held in bounded
// memory (Flow::kBytesMax a direction), so whoever sends more waits, as with TCP. Ends and resets travel as bytes do.
//
// One thread with an epoll set, which ends with this object, as all connections do.
class Proxy {
 public:
  static constexpr std::size_t kConnectionsMax = 4096;  // more are refused

  // STATE_CONFLICT: a port is in use by another process.
  static Result<std::unique_ptr<Proxy>> Start(const std::vector<ProxyRoute>& routes, ProxyDependencies dependencies);
  virtual ~Proxy() = default;

  // Connections at hand, of both ends.
  virtual std::size_t open() const = 0;
};

}  // namespace muster::lab
