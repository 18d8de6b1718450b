#include "cache/tag_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <vector>

namespace muster {
namespace {

std::uint64_t HashOf(std::uint64_t tag) { return Mix64(tag); }

TEST(TagTable, RemembersTheLastValueOfATag) {
  std::vector<TagTable::Line> lines(16);
  TagTable table(lines);
  EXPECT_EQ(table.Find(HashOf(1), 1), std::nullopt);
  table.Put(HashOf(1), {1, 10});
  table.Put(HashOf(1), {1, 11});
  EXPECT_EQ(table.Find(HashOf(1), 1), 11U);
  EXPECT_EQ(table.size(), 1U);
  table.RemoveTag(HashOf(1), 1);
  EXPECT_EQ(table.Find(HashOf(1), 1), std::nullopt);
  EXPECT_EQ(table.size(), 0U);
}

TEST(TagTable, RemembersPairs) {
  std::vector<TagTable::Line> lines(1);
  TagTable table(lines);
  table.Add(7, {1, 10});
  table.Add(7, {1, 11});
  table.Add(7, {1, 11});
  EXPECT_EQ(table.size(), 2U);
  EXPECT_TRUE(table.Contains(7, {1, 10}));
  EXPECT_FALSE(table.Contains(7, {1, 12}));
  EXPECT_FALSE(table.Contains(7, {2, 10}));
  table.Remove(7, {1, 10});
  EXPECT_FALSE(table.Contains(7, {1, 10}));
  EXPECT_TRUE(table.Contains(7, {1, 11}));
}

TEST(TagTable, AFullLineForgetsInTurn) {
  std::vector<TagTable::Line> lines(1);
  TagTable table(lines);
  for (std::uint64_t tag = 1; tag <= 4; ++tag) table.Put(0, {tag, tag});
  for (std::uint64_t tag = 5; tag <= 8; ++tag) {
    table.Put(0, {tag, tag});
    EXPECT_EQ(table.size(), 4U);
    EXPECT_EQ(table.Find(0, tag), tag);
    EXPECT_EQ(table.Find(0, tag - 4), std::nullopt);
  }
  EXPECT_EQ(table.forgotten(), 4U);
}

TEST(TagTable, UsesEveryLineAndNoOther) {
  for (const std::size_t count : {1, 3, 1000}) {
    std::vector<TagTable::Line> lines(count);
    TagTable table(lines);
    for (const std::uint64_t hash : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{0xFFFF'FFFF}}) {
      table.Put(hash, {hash + 5, 1});
      EXPECT_EQ(table.Find(hash, hash + 5), 1U);
    }
    for (std::uint64_t tag = 1; tag < 40 * count; ++tag) table.Put(HashOf(tag), {tag, tag});
    EXPECT_EQ(table.size(), 4 * count);
  }
}

// Against a map: what is found was put there last, and with room nothing is forgotten.
RC_GTEST_PROP(TagTable, AnswersNothingThatIsNotTrue, ()) {
  std::vector<TagTable::Line> lines(*rc::gen::inRange<std::size_t>(1, 64));
  TagTable table(lines);
  std::map<std::uint64_t, std::uint64_t> truth;
  const auto steps = *rc::gen::container<std::vector<std::tuple<bool, std::uint64_t, std::uint64_t>>>(rc::gen::tuple(
      rc::gen::arbitrary<bool>(), rc::gen::inRange<std::uint64_t>(0, 30), rc::gen::inRange<std::uint64_t>(1, 1000)));
  for (const auto& [is_put, tag, value] : steps) {
    if (is_put) {
      table.Put(HashOf(tag), {tag, value});
      truth[tag] = value;
    } else {
      table.RemoveTag(HashOf(tag), tag);
      truth.erase(tag);
    }
    for (std::uint64_t each = 0; each < 30; ++each) {
      const auto found = table.Find(HashOf(each), each);
      if (found) RC_ASSERT(truth.contains(each) && truth[each] == *found);
      if (table.forgotten() == 0) RC_ASSERT(found.has_value() == truth.contains(each));
    }
    if (table.forgotten() == 0) RC_ASSERT(table.size() == truth.size());
  }
}

}  // namespace
}  // namespace muster
