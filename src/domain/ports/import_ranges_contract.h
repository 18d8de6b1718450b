#pragma once

#include <gtest/gtest.h>

#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "domain/id_allocator.h"
#include "domain/ports/import_ranges.h"

namespace muster {

namespace contract {

// Asks for a range and waits until it is given.
inline Result<std::int64_t> ReserveAndWait(ImportRanges& ranges, std::uint64_t lines) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Result<std::int64_t>> answer;
  ranges.Reserve(lines, [&](Result<std::int64_t> first) {
    std::lock_guard lock(mutex);
    EXPECT_FALSE(answer.has_value()) << "given was called twice";
    answer.emplace(std::move(first));
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return *answer;
}

}  // namespace contract

// The contract of ImportRanges as tests, run on every engine:
//
//   struct MyRanges { ImportRanges& ranges(); };  // none given yet
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, ImportRangesContract, MyRanges);
template <typename Factory>
concept ImportRangesFactory = std::default_initializable<Factory> && requires(Factory factory) {
  { factory.ranges() } -> std::same_as<ImportRanges&>;
};

template <ImportRangesFactory Factory>
class ImportRangesContract : public ::testing::Test {
 protected:
  ImportRanges& ranges() { return factory_.ranges(); }
  std::int64_t Reserve(std::uint64_t lines) { return contract::ReserveAndWait(ranges(), lines).value(); }

  Factory factory_;
};

TYPED_TEST_SUITE_P(ImportRangesContract);

TYPED_TEST_P(ImportRangesContract, KnowsARangeByItsFirstNumberAlone) {
  EXPECT_EQ(this->ranges().CountLines(4096), 0U);
  const std::int64_t first = this->Reserve(1000);
  EXPECT_TRUE(IdAllocator::IsOfRange(first));
  EXPECT_EQ(this->ranges().CountLines(first), 1000U);
  EXPECT_EQ(this->ranges().CountLines(first + 1), 0U) << "inside of a range";
  EXPECT_EQ(this->ranges().CountLines(first - 1), 0U);
}

TYPED_TEST_P(ImportRangesContract, NoNumberIsGivenTwice) {
  std::int64_t last = 0;
  for (const std::uint64_t lines : {1UL, 1UL << 20, 3UL, 4096UL, 1UL}) {
    const std::int64_t first = this->Reserve(lines);
    ASSERT_GT(first, last);
    last = IdAllocator::IdOfRange(first, lines - 1);
    EXPECT_EQ(this->ranges().CountLines(first), lines);
  }
}

TYPED_TEST_P(ImportRangesContract, ARangeIsGivenHoweverManyThereWereBefore) {
  std::int64_t last = 0;
  for (int i = 0; i < 300; ++i) last = this->Reserve(100'000'000);
  EXPECT_EQ(this->ranges().CountLines(last), 100'000'000U);
}

REGISTER_TYPED_TEST_SUITE_P(ImportRangesContract, KnowsARangeByItsFirstNumberAlone, NoNumberIsGivenTwice,
                            ARangeIsGivenHoweverManyThereWereBefore);

}  // namespace muster
