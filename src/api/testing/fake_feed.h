#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "domain/ports/change_feed.h"

namespace muster::testing {

// A feed in memory: the test commits, expires and breaks it.
class FakeFeed final : public ChangeFeed {
 public:
  // The next `count` changes, each of another member.
  void Commit(std::int64_t count, ChangeType type = ChangeType::kRegistered) {
    std::lock_guard lock(mutex_);
    for (; count > 0; --count) {
      const std::int64_t position = NextPosition();
      events_.push_back({.position = position,
                         .member_id = MemberId(1000 + position),
                         .version = Version(1),
                         .type = type,
                         .time = Timestamp(Duration(position))});
    }
    Wake();
  }
  void CommitOne(MemberId id, Version version, ChangeType type) {
    std::lock_guard lock(mutex_);
    const std::int64_t position = NextPosition();
    events_.push_back({.position = position,
                       .member_id = id,
                       .version = version,
                       .type = type,
                       .time = Timestamp(Duration(position))});
    Wake();
  }
  void Expire(std::int64_t position) {
    std::lock_guard lock(mutex_);
    before_earliest_ = position;
  }
  void Break(std::optional<Error> error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  std::int64_t reads() const { return reads_; }

  Result<Page> Read(std::int64_t after, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    ++reads_;
    if (error_) return Fail(*error_);
    if (after < before_earliest_) return Fail(Reason::kPositionExpired, "gone");
    Page page{.events = {}, .next = after};
    for (auto at = static_cast<std::size_t>(after); at < events_.size() && page.events.size() < limit; ++at) {
      page.events.push_back(events_[at]);
      page.next = events_[at].position;
    }
    return page;
  }
  Result<Bounds> ReadBounds() override {
    std::lock_guard lock(mutex_);
    if (error_) return Fail(*error_);
    return Bounds{.before_earliest = before_earliest_, .latest = static_cast<std::int64_t>(events_.size())};
  }
  std::unique_ptr<Subscription> Subscribe(std::move_only_function<void()> wake) override {
    std::lock_guard lock(mutex_);
    wakes_.emplace(++subscriptions_, std::move(wake));
    return std::make_unique<Ticket>(*this, subscriptions_);
  }

 private:
  class Ticket final : public Subscription {
   public:
    Ticket(FakeFeed& feed, int number) : feed_(feed), number_(number) {}
    ~Ticket() override {
      std::lock_guard lock(feed_.mutex_);
      feed_.wakes_.erase(number_);
    }

   private:
    FakeFeed& feed_;
    const int number_;
  };

  std::int64_t NextPosition() const { return static_cast<std::int64_t>(events_.size()) + 1; }
  void Wake() {
    for (auto& [number, wake] : wakes_) wake();
  }

  std::mutex mutex_;
  std::vector<ChangeEvent> events_;
  std::int64_t before_earliest_ = 0;
  std::optional<Error> error_;
  std::int64_t reads_ = 0;
  std::map<int, std::move_only_function<void()>> wakes_;
  int subscriptions_ = 0;
};

}  // namespace muster::testing
