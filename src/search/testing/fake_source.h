#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "domain/ports/change_feed.h"
#include "domain/ports/member_archive.h"

namespace muster::testing {

// Members and the stream of their changes, in memory: what an index is fed from. Thread-safe.
class FakeSource final : public ChangeFeed, public MemberArchive {
 public:
  // A change of its own, whatever the member's version is.
  void Put(const Member& member) {
    Put(member, {.member_id = member.id,
                 .version = member.version,
                 .type = ChangeType::kUpdated,
                 .time = member.update_time,
                 .caller = {},
                 .request_id = {},
                 .fields = {},
                 .identities = {}});
  }
  void Put(const Member& member, const Change& change) {
    std::vector<std::function<void()>> wakes;
    {
      std::lock_guard lock(mutex_);
      members_[member.id.value()] = member;
      events_.push_back({.position = static_cast<std::int64_t>(events_.size()) + 1,
                         .member_id = member.id,
                         .version = member.version,
                         .type = change.type,
                         .time = change.time});
      changes_.push_back(change);
      for (const auto& [number, wake] : wakes_) wakes.push_back(wake);
    }
    for (const auto& wake : wakes) wake();
  }
  // Members without changes, as in data of which no change is kept any more.
  void PutSilently(const Member& member) {
    std::lock_guard lock(mutex_);
    members_[member.id.value()] = member;
  }
  void Expire(std::int64_t before_earliest) {
    std::lock_guard lock(mutex_);
    before_earliest_ = before_earliest;
  }
  // The changes from `position` on never were: a backup from before them was restored.
  void Forget(std::int64_t position) {
    std::lock_guard lock(mutex_);
    events_.resize(static_cast<std::size_t>(position - 1));
    changes_.resize(static_cast<std::size_t>(position - 1));
  }
  // While it is set, nobody gets past `limit` members in a scan.
  void SetFailure(std::optional<Error> failure) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }

  Result<Page> Read(std::int64_t after, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    if (after < before_earliest_) return Fail(Reason::kPositionExpired, "begin with the earliest");
    Page page{.events = {}, .next = after};
    for (const ChangeEvent& event : events_) {
      if (event.position > after && page.events.size() < limit) page.events.push_back(event);
    }
    if (!page.events.empty()) page.next = page.events.back().position;
    return page;
  }
  Result<Bounds> ReadBounds() override {
    std::lock_guard lock(mutex_);
    return Bounds{.before_earliest = before_earliest_, .latest = static_cast<std::int64_t>(events_.size())};
  }
  std::unique_ptr<Subscription> Subscribe(std::move_only_function<void()> wake) override {
    std::lock_guard lock(mutex_);
    const auto shared = std::make_shared<std::move_only_function<void()>>(std::move(wake));
    wakes_[++subscriptions_] = [shared] { (*shared)(); };
    return std::make_unique<Ticket>(*this, subscriptions_);
  }

  Result<std::vector<Change>> ListHistory(MemberId id, Version before, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    std::vector<Change> page;
    for (auto change = changes_.rbegin(); change != changes_.rend() && page.size() < limit; ++change) {
      if (change->member_id == id && change->version < before) page.push_back(*change);
    }
    return page;
  }
  Result<std::vector<Member>> ScanMembers(MemberId after, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    if (failure_) return std::unexpected(*failure_);
    std::vector<Member> page;
    for (auto at = members_.upper_bound(after.value()); at != members_.end() && page.size() < limit; ++at) {
      page.push_back(at->second);
    }
    return page;
  }
  Result<std::vector<Member>> ReadMembers(std::span<const MemberId> ids) override {
    std::lock_guard lock(mutex_);
    std::vector<Member> found;
    for (const MemberId id : ids) {
      if (const auto at = members_.find(id.value()); at != members_.end()) found.push_back(at->second);
    }
    return found;
  }

 private:
  class Ticket final : public Subscription {
   public:
    Ticket(FakeSource& source, int number) : source_(source), number_(number) {}
    ~Ticket() override {
      std::lock_guard lock(source_.mutex_);
      source_.wakes_.erase(number_);
    }

   private:
    FakeSource& source_;
    const int number_;
  };

  std::mutex mutex_;
  std::map<std::int64_t, Member> members_;
  std::vector<ChangeEvent> events_;
  std::vector<Change> changes_;  // of the events
  std::int64_t before_earliest_ = 0;
  std::optional<Error> failure_;
  std::map<int, std::function<void()>> wakes_;
  int subscriptions_ = 0;
};

}  // namespace muster::testing
