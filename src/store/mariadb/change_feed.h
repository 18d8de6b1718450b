#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "domain/ports/change_feed.h"
#include "store/change_wakes.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/session.h"

namespace muster::mariadb {

// The stream as it lies in the first group, with a connection of its own, which is opened when it is needed and, when
// it has ended, once more in a call. One call runs at a time.
class StreamFeed final : public ChangeFeed {
 public:
  StreamFeed(SessionSettings first_group, ChangeWakes& wakes) : settings_(std::move(first_group)), wakes_(wakes) {}

  Result<Page> Read(std::int64_t after, std::size_t limit) override;
  Result<Bounds> ReadBounds() override;
  std::unique_ptr<Subscription> Subscribe(std::move_only_function<void()> wake) override {
    return wakes_.Subscribe(std::move(wake));
  }

  // What the relay's row says.
  struct Place {
    std::int64_t last = 0;
    std::int64_t forgotten_to = 0;
    std::string holder;
    Duration lease_left{0};  // over: below or zero
  };
  Result<Place> ReadPlace();

 private:
  Result<std::vector<Connection::Row>> Ask(const std::string& sql);

  const SessionSettings settings_;
  ChangeWakes& wakes_;
  std::mutex mutex_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace muster::mariadb
