// What is committed is announced again whatever became of its writer: in order, from a while back, until it is heard
// of.

#include "store/change_repeater.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace muster {
namespace {

IdentityKey RepeatedKey(std::uint64_t number) {
  IdentityKey key;
  SeededRandom(number).Fill(key.bytes);
  return key;
}

// A stream and histories that a test writes.
class WrittenChanges final : public ChangeFeed, public MemberArchive {
 public:
  void Add(std::int64_t id, std::int64_t version, ChangeType type, const std::vector<IdentityKey>& keys = {}) {
    std::lock_guard lock(mutex_);
    Change change;
    change.member_id = MemberId(id);
    change.version = Version(version);
    change.type = type;
    for (const IdentityKey& key : keys) change.identities.push_back({"phone", "", key});
    events_.push_back({.position = ++latest_, .member_id = MemberId(id), .version = Version(version), .type = type});
    changes_.push_back(std::move(change));
  }
  void ForgetTo(std::int64_t position) {
    std::lock_guard lock(mutex_);
    forgotten_to_ = position;
    std::erase_if(events_, [&](const ChangeEvent& event) { return event.position <= position; });
  }
  void SkipTo(std::int64_t position) {
    std::lock_guard lock(mutex_);
    latest_ = position;
  }
  void FailNext(int times) {
    std::lock_guard lock(mutex_);
    failures_ = times;
  }
  std::size_t histories_read() const {
    std::lock_guard lock(mutex_);
    return histories_read_;
  }

  Result<Page> Read(std::int64_t after, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    if (failures_ > 0) {
      --failures_;
      return Fail(Reason::kOverloaded, "out of reach");
    }
    if (after < forgotten_to_) return Fail(Reason::kPositionExpired, "forgotten");
    Page page{.events = {}, .next = after};
    for (const ChangeEvent& event : events_) {
      if (event.position > after && page.events.size() < limit) page.events.push_back(event);
    }
    if (!page.events.empty()) page.next = page.events.back().position;
    return page;
  }
  Result<Bounds> ReadBounds() override {
    std::lock_guard lock(mutex_);
    return Bounds{.before_earliest = forgotten_to_, .latest = latest_};
  }
  std::unique_ptr<Subscription> Subscribe(std::move_only_function<void()> /*wake*/) override { return nullptr; }

  Result<std::vector<Change>> ListHistory(MemberId id, Version before, std::size_t limit) override {
    std::lock_guard lock(mutex_);
    ++histories_read_;
    std::vector<Change> found;
    for (const Change& change : changes_) {
      if (change.member_id == id && change.version < before) found.push_back(change);
    }
    std::ranges::sort(found, std::ranges::greater(), &Change::version);
    if (found.size() > limit) found.resize(limit);
    return found;
  }
  Result<std::vector<Member>> ScanMembers(MemberId, std::size_t) override { return std::vector<Member>(); }
  Result<std::vector<Member>> ReadMembers(std::span<const MemberId>) override { return std::vector<Member>(); }

 private:
  mutable std::mutex mutex_;
  std::vector<ChangeEvent> events_;
  std::vector<Change> changes_;
  std::int64_t latest_ = 0;
  std::int64_t forgotten_to_ = 0;
  int failures_ = 0;
  std::size_t histories_read_ = 0;
};

// Hears of everything, unless it is told to fail.
class Hearer final : public CommitListener {
 public:
  bool IsReady() const override { return true; }
  void Prepare(Deadline, Reply reply) override { reply({}); }
  void Announce(TouchedEntries touched, Reply reply) override {
    {
      std::lock_guard lock(mutex_);
      if (failures_ > 0) {
        --failures_;
      } else {
        for (const auto& [id, version] : touched.members) heard_[id] = std::max(heard_[id], version);
        keys_.insert(keys_.end(), touched.keys.begin(), touched.keys.end());
        reply = [reply = std::move(reply)](const Result<void>&) mutable { reply({}); };
      }
      changed_.notify_all();
    }
    reply(Fail(Reason::kOutcomeUnknown, "nobody could be told"));
  }
  void FailNext(int times) {
    std::lock_guard lock(mutex_);
    failures_ = times;
  }
  bool Await(std::int64_t id, std::int64_t version) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return heard_[MemberId(id)] >= Version(version); });
  }
  bool HasHeard(std::int64_t id) {
    std::lock_guard lock(mutex_);
    return heard_[MemberId(id)] > Version(0);
  }
  bool HasHeard(const IdentityKey& key) {
    std::lock_guard lock(mutex_);
    return std::ranges::count(keys_, key) > 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int failures_ = 0;
  std::map<MemberId, Version> heard_;
  std::vector<IdentityKey> keys_;
};

class ChangeRepeaterTest : public ::testing::Test {
 protected:
  MetricRegistry metrics_;
  WrittenChanges changes_;
  Hearer hearer_;
  ChangeRepeater repeater_{
      {.feed = &changes_, .archive = &changes_, .listener = &hearer_, .logger = &NullLogger(), .metrics = &metrics_}};
};

TEST_F(ChangeRepeaterTest, TellsOfEveryChangeAndOfTheIdentitiesThatItBound) {
  changes_.Add(1, 1, ChangeType::kRegistered, {RepeatedKey(1), RepeatedKey(2)});
  repeater_.Start();
  ASSERT_TRUE(hearer_.Await(1, 1)) << "from before it began";
  EXPECT_TRUE(hearer_.HasHeard(RepeatedKey(1)) && hearer_.HasHeard(RepeatedKey(2)));
  const std::size_t histories = changes_.histories_read();
  changes_.Add(1, 2, ChangeType::kUpdated);
  changes_.Add(1, 3, ChangeType::kIdentityUnbound, {RepeatedKey(2)});
  changes_.Add(1, 4, ChangeType::kIdentityBound, {RepeatedKey(3)});
  ASSERT_TRUE(hearer_.Await(1, 4));
  EXPECT_TRUE(hearer_.HasHeard(RepeatedKey(3)));
  EXPECT_EQ(changes_.histories_read(), histories + 1) << "only of what bound something";
}

TEST_F(ChangeRepeaterTest, WhatNobodyHeardOfIsToldAgain) {
  hearer_.FailNext(1);
  changes_.FailNext(1);
  changes_.Add(1, 1, ChangeType::kUpdated);
  repeater_.Start();
  EXPECT_TRUE(hearer_.Await(1, 1));
}

TEST_F(ChangeRepeaterTest, ManyChangesAreToldInPages) {
  for (std::int64_t id = 1; id <= 1000; ++id) changes_.Add(id, 2, ChangeType::kUpdated);
  repeater_.Start();
  for (std::int64_t id = 1; id <= 1000; ++id) ASSERT_TRUE(hearer_.Await(id, 2)) << id;
}

TEST_F(ChangeRepeaterTest, BeginsABoundedWhileBack) {
  changes_.Add(1, 1, ChangeType::kUpdated);
  changes_.SkipTo(ChangeRepeater::kBackAtStart + 1);
  changes_.Add(2, 1, ChangeType::kUpdated);
  repeater_.Start();
  ASSERT_TRUE(hearer_.Await(2, 1));
  EXPECT_FALSE(hearer_.HasHeard(1));
}

TEST_F(ChangeRepeaterTest, GoesOnBehindWhatWasForgotten) {
  changes_.Add(1, 1, ChangeType::kUpdated);
  repeater_.Start();
  ASSERT_TRUE(hearer_.Await(1, 1));
  changes_.FailNext(1);  // and meanwhile
  changes_.Add(2, 1, ChangeType::kUpdated);
  changes_.Add(3, 1, ChangeType::kUpdated);
  changes_.ForgetTo(2);
  EXPECT_TRUE(hearer_.Await(3, 1));
}

TEST_F(ChangeRepeaterTest, StopsWithoutHavingBegunAndTwice) {
  repeater_.Stop();
  repeater_.Stop();
}

}  // namespace
}  // namespace muster
