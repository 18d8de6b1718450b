#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "domain/ports/change_feed.h"
#include "domain/ports/shard_store_testing.h"

namespace muster {

namespace contract {

// All events after a position, a page at a time.
inline std::vector<ChangeEvent> ReadChanges(ChangeFeed& feed, std::size_t page_size, std::int64_t after = 0) {
  std::vector<ChangeEvent> all;
  for (;;) {
    const Result<ChangeFeed::Page> page = feed.Read(after, page_size);
    EXPECT_TRUE(page) << page.error().message;
    if (!page || page->events.empty()) return all;
    EXPECT_LE(page->events.size(), page_size);
    EXPECT_GE(page->next, page->events.back().position);
    all.insert(all.end(), page->events.begin(), page->events.end());
    after = page->next;
  }
}

}  // namespace contract

// The contract of ChangeFeed as tests, run on every engine:
//
//   struct MyFeed { ChangeFeed& feed(); void Commit(const Member&, ChangeType); void ExpireSome(); };  // empty
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, ChangeFeedContract, MyFeed);
//
// `Commit` adds the change that made this version of the member; `ExpireSome` forgets old events, but not the newest.
template <typename Factory>
concept ChangeFeedFactory =
    std::default_initializable<Factory> && requires(Factory factory, const Member& member, ChangeType type) {
      { factory.feed() } -> std::same_as<ChangeFeed&>;
      factory.Commit(member, type);
      factory.ExpireSome();
    };

template <ChangeFeedFactory Factory>
class ChangeFeedContract : public ::testing::Test {
 protected:
  ChangeFeed& feed() { return factory_.feed(); }
  void Commit(std::int64_t id, std::int64_t version = 1) {
    factory_.Commit(contract::PlainMember(MemberId(id), Version(version)),
                    version == 1 ? ChangeType::kRegistered : ChangeType::kUpdated);
  }
  std::vector<ChangeEvent> ReadAll(std::size_t page_size, std::int64_t after = 0) {
    return contract::ReadChanges(feed(), page_size, after);
  }
  void ExpectExpired(std::int64_t after) {
    const auto expired = feed().Read(after, 10);
    ASSERT_FALSE(expired) << after;
    EXPECT_EQ(expired.error().reason, Reason::kPositionExpired);
  }

  Factory factory_;
};

TYPED_TEST_SUITE_P(ChangeFeedContract);

TYPED_TEST_P(ChangeFeedContract, TellsEveryChangeOnceAndInOrder) {
  EXPECT_EQ(this->feed().ReadBounds()->latest, 0);
  EXPECT_TRUE(this->ReadAll(10).empty());
  for (std::int64_t id = 1; id <= 20; ++id) this->Commit(id);
  for (std::int64_t id = 20; id >= 1; --id) this->Commit(id, 2);
  for (const std::size_t page_size : {1UL, 7UL, 1000UL}) {
    const std::vector<ChangeEvent> all = this->ReadAll(page_size);
    ASSERT_EQ(all.size(), 40U);
    for (std::size_t i = 0; i < 40; ++i) {
      const auto number = static_cast<std::int64_t>(i);
      EXPECT_EQ(all[i].member_id, MemberId(i < 20 ? number + 1 : 40 - number));
      EXPECT_EQ(all[i].version, Version(i < 20 ? 1 : 2));
      EXPECT_EQ(all[i].type, i < 20 ? ChangeType::kRegistered : ChangeType::kUpdated);
      if (i > 0) EXPECT_GT(all[i].position, all[i - 1].position);
    }
  }
  const ChangeFeed::Bounds bounds = *this->feed().ReadBounds();
  EXPECT_EQ(bounds.before_earliest, 0);
  EXPECT_EQ(bounds.latest, this->ReadAll(1000).back().position);
}

TYPED_TEST_P(ChangeFeedContract, GoesOnFromAnyPositionAndFromTheEnd) {
  for (std::int64_t id = 1; id <= 10; ++id) this->Commit(id);
  const std::vector<ChangeEvent> before = this->ReadAll(1000);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto rest = this->ReadAll(3, before[i].position);
    EXPECT_EQ(rest, std::vector<ChangeEvent>(before.begin() + static_cast<std::ptrdiff_t>(i) + 1, before.end()));
  }
  this->Commit(11);
  const auto after = this->ReadAll(1000, before.back().position);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after[0].member_id, MemberId(11));
}

TYPED_TEST_P(ChangeFeedContract, WhatIsNotKeptAnyMoreHasExpired) {
  for (std::int64_t id = 1; id <= 40; ++id) this->Commit(id);
  const std::vector<ChangeEvent> before = this->ReadAll(1000);
  this->factory_.ExpireSome();
  const ChangeFeed::Bounds bounds = *this->feed().ReadBounds();
  EXPECT_GT(bounds.before_earliest, 0);
  EXPECT_LT(bounds.before_earliest, bounds.latest);
  EXPECT_EQ(bounds.latest, before.back().position);
  this->ExpectExpired(0);
  this->ExpectExpired(bounds.before_earliest - 1);
  std::vector<ChangeEvent> kept;
  for (const ChangeEvent& event : before) {
    if (event.position > bounds.before_earliest) kept.push_back(event);
  }
  EXPECT_EQ(this->ReadAll(7, bounds.before_earliest), kept) << "at their positions";
  this->Commit(41);
  EXPECT_EQ(this->ReadAll(7, bounds.latest).size(), 1U) << "positions go on";
}

TYPED_TEST_P(ChangeFeedContract, WakesSubscribersUntilTheyGo) {
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  const auto wake = [&] {
    std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_one();
  };
  std::unique_ptr<ChangeFeed::Subscription> subscription = this->feed().Subscribe(wake);
  ASSERT_NE(subscription, nullptr);
  this->Commit(1);
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(60), [&] { return wakes > 0; }));
  }
  EXPECT_EQ(this->ReadAll(10).size(), 1U);
  subscription.reset();
  const int before = wakes;
  this->Commit(2);
  EXPECT_EQ(this->ReadAll(10).size(), 2U);
  EXPECT_EQ(wakes, before) << "nobody is called after its subscription";
}

REGISTER_TYPED_TEST_SUITE_P(ChangeFeedContract, TellsEveryChangeOnceAndInOrder, GoesOnFromAnyPositionAndFromTheEnd,
                            WhatIsNotKeptAnyMoreHasExpired, WakesSubscribersUntilTheyGo);

}  // namespace muster
