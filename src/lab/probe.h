#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "lab/layout.h"

namespace muster::lab {

inline constexpr std::string_view kReadyRole = "ready";

// What a component answers when it is asked, directly, past the proxy.
struct Answer {
  bool is_up = false;
  // Of etcd: leader, follower, or without-leader. Of MariaDB: primary (takes writes), replica, or read-only (neither).
  // Of Redis: primary or replica. Of muster: ready, or alive while it cannot serve.
  std::string role = {};
};

// Within about a second (libmariadb counts whole ones). `control_password` is of the databases' control account.
Answer Ask(const Component& component, const std::string& control_password);

// One exchange over a connection of its own: what is answered until `until` is in it, the connection ends, or
// `patience` has passed. Empty: nothing. For tests, too.
std::string Exchange(std::uint16_t port, const std::string& question, const std::string& until, Duration patience);

}  // namespace muster::lab
