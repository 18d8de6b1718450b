#include "cache/document_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <list>
#include <map>
#include <string>
#include <vector>

namespace muster {
namespace {

MemberDocumentRef Document(std::int64_t id, std::int64_t version = 1, std::size_t padding = 0) {
  Member member;
  member.id = MemberId(id);
  member.version = Version(version);
  member.display_name = std::string(padding, 'x');
  return MakeMemberDocument(member);
}

bool IsIn(DocumentTable& table, std::int64_t id) { return table.Contains(MemberId(id)); }

TEST(DocumentTable, FindsWhatWasInserted) {
  DocumentTable table(1 << 20);
  EXPECT_EQ(table.Find(MemberId(1)), nullptr);
  EXPECT_EQ(table.Find(MemberId(0)), nullptr);
  for (std::int64_t id = 1; id <= 1000; ++id) ASSERT_TRUE(table.Insert(Document(id, id)));
  EXPECT_EQ(table.size(), 1000U);
  for (std::int64_t id = 1; id <= 1000; ++id) {
    const MemberDocumentRef* found = table.Find(MemberId(id));
    ASSERT_NE(found, nullptr) << id;
    EXPECT_EQ((*found)->id(), MemberId(id));
    EXPECT_EQ((*found)->version(), Version(id));
  }
  EXPECT_EQ(table.Find(MemberId(1001)), nullptr);
}

TEST(DocumentTable, TakesTheHigherVersion) {
  DocumentTable table(1 << 20);
  EXPECT_TRUE(table.Insert(Document(1, 2)));
  EXPECT_TRUE(table.Insert(Document(1, 2))) << "it is there";
  EXPECT_FALSE(table.Insert(Document(1, 1)));
  EXPECT_EQ((*table.Find(MemberId(1)))->version(), Version(2));
  EXPECT_TRUE(table.Insert(Document(1, 3, 500)));
  EXPECT_EQ((*table.Find(MemberId(1)))->version(), Version(3));
  EXPECT_EQ(table.size(), 1U);
}

TEST(DocumentTable, EraseGivesBackAllBytes) {
  DocumentTable table(1 << 20);
  const std::size_t empty = table.bytes();
  for (std::int64_t id = 1; id <= 40; ++id) table.Insert(Document(id, 1, static_cast<std::size_t>(id * 10)));
  EXPECT_GT(table.bytes(), empty + 40 * 200);
  for (std::int64_t id = 1; id <= 40; ++id) EXPECT_TRUE(table.Erase(MemberId(id)));
  EXPECT_FALSE(table.Erase(MemberId(1)));
  EXPECT_EQ(table.bytes(), empty);
  EXPECT_EQ(table.size(), 0U);
}

TEST(DocumentTable, RefusesWhatIsLargerThanAQuarter) {
  DocumentTable table(100'000);
  EXPECT_FALSE(table.Insert(Document(1, 1, 30'000)));
  EXPECT_TRUE(table.Insert(Document(2, 1, 20'000)));
  EXPECT_EQ(table.size(), 1U);
}

TEST(DocumentTable, EvictsWhatWasNotUsed) {
  DocumentTable table(100'000);
  for (std::int64_t id = 1; id <= 20; ++id) ASSERT_TRUE(table.Insert(Document(id, 1, 1000)));
  for (std::int64_t id = 100; table.evictions() < 50; ++id) {
    for (std::int64_t used = 1; used <= 20; ++used)
      ASSERT_NE(table.Find(MemberId(used)), nullptr) << used << " at " << id;
    ASSERT_TRUE(table.Insert(Document(id, 1, 1000)));
  }
}

TEST(DocumentTable, EvictsThoughAllIsUsed) {
  DocumentTable table(100'000);
  for (std::int64_t id = 1; id <= 500; ++id) {
    ASSERT_TRUE(table.Insert(Document(id, 1, 1000)));
    for (std::int64_t each = 1; each <= id; ++each) table.Find(MemberId(each));
    EXPECT_LE(table.bytes(), 100'000U);
  }
  EXPECT_GT(table.evictions(), 400U);
}

// Documents so small that the table itself would become the larger part.
TEST(DocumentTable, TheTableStaysAPartOfTheBound) {
  DocumentTable table(10'000);
  for (std::int64_t id = 1; id <= 5'000; ++id) {
    ASSERT_TRUE(table.Insert(Document(id)));
    ASSERT_LE(table.bytes(), 10'000U);
  }
  EXPECT_GE(table.size(), 30U);
}

// SIEVE as in the paper, with a list.
class ReferenceSieve {
 public:
  void Insert(std::int64_t id) { queue_.push_front({id, false}); }
  void Use(std::int64_t id) {
    for (auto& entry : queue_) {
      if (entry.id == id) entry.is_marked = true;
    }
  }
  void Erase(std::int64_t id) {
    for (auto at = queue_.begin(); at != queue_.end(); ++at) {
      if (at->id != id) continue;
      Remove(at);
      return;
    }
  }
  void Evict() {
    auto at = hand_ == queue_.end() ? std::prev(queue_.end()) : hand_;
    while (at->is_marked) {
      at->is_marked = false;
      at = at == queue_.begin() ? std::prev(queue_.end()) : std::prev(at);
    }
    hand_ = at;
    Remove(at);
  }
  bool Contains(std::int64_t id) const {
    for (const auto& entry : queue_) {
      if (entry.id == id) return true;
    }
    return false;
  }
  std::size_t size() const { return queue_.size(); }

 private:
  struct Entry {
    std::int64_t id;
    bool is_marked;
  };

  void Remove(std::list<Entry>::iterator at) {
    if (at == hand_) hand_ = at == queue_.begin() ? queue_.end() : std::prev(at);
    queue_.erase(at);
  }

  std::list<Entry> queue_;  // the newest first
  std::list<Entry>::iterator hand_ = queue_.end();
};

// Against the reference, through growth, collisions and moves: the same documents are evicted in the same order, and
// bytes never pass the bound.
RC_GTEST_PROP(DocumentTable, EvictsAsTheReferenceDoes, ()) {
  constexpr std::size_t kBytesMax = 60'000;
  DocumentTable table(kBytesMax);
  ReferenceSieve reference;
  SeededRandom random(*rc::gen::arbitrary<std::uint64_t>());
  const std::int64_t ids = *rc::gen::inRange<std::int64_t>(10, 600);
  for (int step = 0; step < 2'000; ++step) {
    const auto id = static_cast<std::int64_t>(1 + random.Below(static_cast<std::uint64_t>(ids)));
    switch (random.Below(8)) {
      case 0:
        RC_ASSERT(table.Erase(MemberId(id)) == reference.Contains(id));
        reference.Erase(id);
        break;
      case 1:
      case 2:
      case 3: {
        if (IsIn(table, id)) break;
        const std::uint64_t before = table.evictions();
        RC_ASSERT(table.Insert(Document(id, 1, random.Below(600))));
        for (std::uint64_t i = before; i < table.evictions(); ++i) reference.Evict();
        reference.Insert(id);
        break;
      }
      default:
        RC_ASSERT((table.Find(MemberId(id)) != nullptr) == reference.Contains(id));
        reference.Use(id);
    }
    RC_ASSERT(table.bytes() <= kBytesMax);
    RC_ASSERT(table.size() == reference.size());
  }
  for (std::int64_t id = 1; id <= ids; ++id) RC_ASSERT(IsIn(table, id) == reference.Contains(id));
}

}  // namespace
}  // namespace muster
