#include "store/change_positions.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace muster {
namespace {

TEST(ChangePositions, WhatIsNotCommittedCannotBeRead) {
  ChangePositions positions(2, 10);
  EXPECT_EQ(positions.Readable(), 10);
  positions.Begin(0);
  EXPECT_EQ(positions.Take(), 11);
  positions.Begin(1);
  EXPECT_EQ(positions.Take(), 12);
  positions.End(1, 12);
  EXPECT_EQ(positions.Readable(), 10) << "12 is committed, 11 may come";
  positions.End(0, 11);
  EXPECT_EQ(positions.Readable(), 12);
}

TEST(ChangePositions, AGroupThatIsRolledBackLeavesAGapAmongSeveralFilesOnly) {
  ChangePositions several(2, 0);
  several.Begin(0);
  EXPECT_EQ(several.Take(), 1);
  several.End(0, 0);
  EXPECT_EQ(several.Readable(), 1);
  several.Begin(0);
  EXPECT_EQ(several.Take(), 2);

  ChangePositions one(1, 0);
  one.Begin(0);
  EXPECT_EQ(one.Take(), 1);
  one.End(0, 0);
  EXPECT_EQ(one.Readable(), 0);
  one.Begin(0);
  EXPECT_EQ(one.Take(), 1);
}

// Whatever a reader is told, no position up to it is committed later.
TEST(ChangePositions, NothingIsAddedBehindAReader) {
  constexpr std::size_t kFiles = 4;
  constexpr int kGroups = 2'000;
  ChangePositions positions(kFiles, 0);
  std::vector<std::atomic<bool>> committed(kFiles * kGroups * 3 + 1);
  std::atomic<std::size_t> writing{kFiles};
  std::vector<std::thread> writers;
  for (std::size_t file = 0; file < kFiles; ++file) {
    writers.emplace_back([&, file] {
      for (int group = 0; group < kGroups; ++group) {
        positions.Begin(file);
        std::vector<std::int64_t> taken;
        for (int i = 0; i < 1 + group % 3; ++i) taken.push_back(positions.Take());
        for (const std::int64_t position : taken) committed[static_cast<std::size_t>(position)].store(true);
        positions.End(file, taken.back());
      }
      writing.fetch_sub(1);
    });
  }
  std::int64_t checked = 0;
  for (bool more = true; more;) {
    more = writing.load() > 0;
    for (const std::int64_t readable = positions.Readable(); checked < readable;) {
      ASSERT_TRUE(committed[static_cast<std::size_t>(++checked)].load()) << checked;
    }
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(checked, positions.Readable());
}

TEST(ChangePositions, SubscribersAreToldUntilTheyLeave) {
  ChangePositions positions(1, 0);
  int told = 0;
  auto first = positions.Subscribe([&] { ++told; });
  auto second = positions.Subscribe([&] { told += 10; });
  positions.Notify();
  EXPECT_EQ(told, 11);
  first.reset();
  positions.Notify();
  EXPECT_EQ(told, 21);
  second.reset();
  positions.Notify();
  EXPECT_EQ(told, 21);
}

}  // namespace
}  // namespace muster
