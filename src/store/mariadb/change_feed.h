#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "domain/ports/change_feed.h"
#include "store/change_wakes.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/primary_link.h"
#include "store/mariadb/session.h"

namespace muster::mariadb {

// The stream as it lies on the first group's primary, with a connection of its own. One call runs at a time.
class StreamFeed final : public ChangeFeed {
 public:
  StreamFeed(SessionSettings first_group, ChangeWakes& wakes)
      : link_(std::move(first_group), Use::kRead), wakes_(wakes) {}

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

  std::mutex mutex_;
  PrimaryLink link_;  // guarded by mutex_
  ChangeWakes& wakes_;
};

}  // namespace muster::mariadb
