#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "lab/layout.h"

namespace muster::lab {

// A process of the lab, and where it is.
struct PlacedProcess {
  pid_t pid = 0;
  Center center = Center::kA;
};

// Who is at the other end of a connection to a port of 127.0.0.1.
struct Connector {
  enum class Who : std::uint8_t {
    kComponent,  // a process of the lab, in `center`
    kOutsider,   // somebody else: no link lies between
    kGone,       // nobody any more
  };
  Who who = Who::kOutsider;
  Center center = Center::kA;
  friend bool operator==(const Connector&, const Connector&) = default;
};

// The kernel is asked for the inode of the socket (NETLINK_SOCK_DIAG; /proc/net/tcp where that is not allowed), and
// then which of `processes` has it open (/proc/PID/fd). They are of this user, so both are allowed.
Connector FindConnector(std::uint16_t client_port, std::uint16_t server_port,
                        const std::vector<PlacedProcess>& processes);

namespace connector_internal {  // the two ways, for tests: 0: it is closed; none: this way does not work
std::optional<std::uint64_t> InodeByNetlink(std::uint16_t client_port, std::uint16_t server_port);
std::optional<std::uint64_t> InodeByProc(std::uint16_t client_port, std::uint16_t server_port);
}  // namespace connector_internal

}  // namespace muster::lab
