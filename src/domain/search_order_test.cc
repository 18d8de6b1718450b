#include "domain/search_order.h"

#include <gtest/gtest.h>

namespace muster::search_order_test {
namespace {

std::string Read(std::string_view text) {
  const Result<SearchOrder> order = ParseSearchOrder(text);
  return order ? PrintSearchOrder(*order) : order.error().violations.at(0).description;
}

TEST(SearchOrderTest, ReadsWhatAnIndexHas) {
  EXPECT_EQ(Read(""), "id");
  EXPECT_EQ(Read("id"), "id");
  EXPECT_EQ(Read(" id  desc "), "id desc");
  EXPECT_EQ(Read("updateTime desc"), "updateTime desc, id");
  EXPECT_EQ(Read("updateTime desc,id"), "updateTime desc, id");
  EXPECT_EQ(Read("createTime asc"), "createTime, id desc");
  EXPECT_EQ(Read("birthDate, id desc"), "birthDate, id desc");
}

TEST(SearchOrderTest, SaysWhatWouldBeRight) {
  EXPECT_EQ(Read("city"), "members are ordered by id, createTime, updateTime or birthDate");
  EXPECT_EQ(Read("updateTime, id"), "the index has no such order; write updateTime, id desc");
  EXPECT_EQ(Read("updateTime descending"), "after a field stands asc, desc or nothing: updateTime desc, id");
  EXPECT_EQ(Read("updateTime,"), "names no field before or after a comma: updateTime desc, id");
  EXPECT_EQ(Read("updateTime, createTime"), "takes one field and then id: updateTime desc, id");
  EXPECT_EQ(Read("id, id"), "takes one field and then id: updateTime desc, id");
  EXPECT_EQ(Read("id, updateTime, tier"), "takes one field and then id: updateTime desc, id");
}

TEST(SearchOrderTest, ComparesAsItsIndexDoes) {
  const auto key = [](std::int64_t value, std::int64_t id) { return SearchKey{value, MemberId(id)}; };
  const SearchOrder newest{SearchField::kUpdateTime, true}, oldest{SearchField::kUpdateTime, false};
  EXPECT_TRUE(ComesBefore(newest, key(2, 9), key(1, 1)));
  EXPECT_TRUE(ComesBefore(newest, key(2, 1), key(2, 9)));
  EXPECT_TRUE(ComesBefore(oldest, key(1, 1), key(2, 9)));
  EXPECT_TRUE(ComesBefore(oldest, key(2, 9), key(2, 1)));
  EXPECT_FALSE(ComesBefore(newest, key(2, 1), key(2, 1)));
  EXPECT_TRUE(ComesBefore({SearchField::kId, true}, key(9, 9), key(1, 1)));
}

}  // namespace
}  // namespace muster::search_order_test
