#pragma once

#include <memory>
#include <utility>

#include "base/result.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/session.h"

namespace muster::mariadb {

// One connection to a group's primary, wherever that is: opened when it is needed, given up when the group has moved or
// it has ended. For one thread at a time.
class PrimaryLink {
 public:
  PrimaryLink(SessionSettings settings, Use use) : settings_(std::move(settings)), use_(use) {}

  // Runs `ask`, once more when the connection that there was had ended meanwhile: so it has to bear being run twice.
  template <typename Ask>
  auto Run(Ask ask) -> decltype(ask(std::declval<Connection&>())) {
    for (;;) {
      MUSTER_ASSIGN(const bool is_fresh, Connect());
      auto answer = ask(*connection_);
      if (answer || !connection_->is_lost()) return answer;
      connection_.reset();
      if (is_fresh) return answer;
    }
  }

  const SessionSettings& settings() const { return settings_; }

 private:
  // True: a new connection. Errors of GroupPlace::Primary and Connection::Open.
  Result<bool> Connect();

  const SessionSettings settings_;
  const Use use_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace muster::mariadb
