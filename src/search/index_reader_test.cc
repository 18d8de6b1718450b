#include "search/index_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <tuple>

#include "domain/testing/arbitrary_member.h"
#include "search/index_writer.h"

namespace muster {
namespace {

// A directory that goes with the test.
class IndexReaderTest : public ::testing::Test {
 protected:
  IndexReaderTest() {
    std::string name = (std::filesystem::temp_directory_path() / "muster-search-XXXXXX").string();
    path_ = std::string(::mkdtemp(name.data())) + "/search.db";
  }
  ~IndexReaderTest() override {
    writer_.reset();
    std::filesystem::remove_all(std::filesystem::path(path_).parent_path());
  }

  void Write(const std::vector<Member>& members) {
    if (!writer_) writer_ = IndexWriter::Open(path_, "installation", 1 << 20).value();
    ASSERT_TRUE(writer_->Begin());
    ASSERT_TRUE(writer_->Add(members));
    ASSERT_TRUE(writer_->Commit({.is_built = true}));
  }

  std::string path_;
  std::unique_ptr<IndexWriter> writer_;
  SystemClock clock_;
};

// A millisecond passes with each look.
class LookedAtClock final : public Clock {
 public:
  Timestamp Now() const override { return Timestamp(Monotonic().time_since_epoch()); }
  Instant Monotonic() const override { return Instant(std::chrono::milliseconds(++looks_)); }

 private:
  mutable int looks_ = 0;
};

// Members of few values each, so that filters match some of them.
std::vector<Member> SomeMembers(std::size_t count) {
  const auto word = [](const char* prefix, int values) {
    const int n = *rc::gen::inRange(0, values);
    return n == 0 ? std::string() : prefix + std::to_string(n);
  };
  std::vector<Member> members;
  for (std::size_t i = 1; i <= count; ++i) {
    Member member;
    member.id = MemberId(static_cast<std::int64_t>(i * 3));
    member.version = Version(*rc::gen::inRange(1, 5));
    member.city = word("city", 4);
    member.tier = word("tier", 3);
    member.gender = static_cast<Gender>(*rc::gen::inRange(0, 4));
    member.state = *rc::gen::element(MemberState::kActive, MemberState::kActive, MemberState::kFrozen);
    for (int tag = 1; tag < 4; ++tag) {
      if (*rc::gen::arbitrary<bool>()) member.tags.push_back("tag" + std::to_string(tag));
    }
    if (*rc::gen::arbitrary<bool>()) member.attributes["store"] = word("store", 3);
    member.birth_date = *rc::gen::element<std::string>("", "1990-05-17", "2000-02-29");
    member.create_time = Timestamp(Duration(*rc::gen::inRange(0, 5)));
    member.update_time = Timestamp(Duration(*rc::gen::inRange(0, 5)));
    members.push_back(std::move(member));
  }
  return members;
}

std::string SomeFilter() {
  const auto part = [] {
    return *rc::gen::element<std::string>(
        "city = city1", "city = city2", "tier = tier1", "(city = city1 OR tags:tag2)", "tags:tag1", "tags:tag3",
        "NOT tags:tag2", "gender = MALE", "attributes.store = store1", "state = FROZEN", "state = ACTIVE",
        "version > 2", "(tags:tag1 OR (tier = tier2 AND state = FROZEN) OR attributes.store = store2)", "id > 20",
        "id <= 120", "updateTime >= 1970-01-01T00:00:00.000002Z", "birthDate < 2000-01-01",
        "createTime < 1970-01-01T00:00:00.000003Z");
  };
  std::string filter;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) filter += part() + " ";
  return filter;
}

// All pages, one after the other.
std::vector<SearchKey> ReadAll(IndexReader& reader, MemberSearch::Query query, std::size_t pages_max) {
  std::vector<SearchKey> all;
  for (std::size_t pages = 0; pages < pages_max; ++pages) {
    const Result<MemberSearch::Page> page = reader.Search(query);
    RC_ASSERT(page.has_value());
    RC_ASSERT(page->hits.size() <= query.limit);
    all.insert(all.end(), page->hits.begin(), page->hits.end());
    if (!page->next) return all;
    RC_ASSERT(!query.after || ComesBefore(query.order, *query.after, *page->next));
    query.after = page->next;
  }
  RC_FAIL("the pages have no end");
}

RC_GTEST_FIXTURE_PROP(IndexReaderTest, AnswersWhatANaiveReaderFinds, ()) {
  const std::vector<Member> members = SomeMembers(*rc::gen::inRange<std::size_t>(0, 60));
  Write(members);
  const std::string text = SomeFilter();
  MemberSearch::Query query{.filter = ParseFilter(text).value()};
  query.order.field =
      *rc::gen::element(SearchField::kId, SearchField::kCreateTime, SearchField::kUpdateTime, SearchField::kBirthDate);
  query.order.descending = *rc::gen::arbitrary<bool>();
  query.limit = *rc::gen::inRange<std::size_t>(1, 20);
  const SearchBounds bounds{.examined_max = *rc::gen::inRange<std::size_t>(20, 100),
                            .sorted_max = *rc::gen::inRange<std::size_t>(1, 20)};
  RC_LOG() << text << " by " << PrintSearchOrder(query.order) << "\n";
  const bool is_served = MakeIndexPlan(query.filter, query.order).has_value();
  RC_CLASSIFY(is_served, "served");
  const auto reader = IndexReader::Open(path_, bounds, clock_).value();
  if (!is_served) {
    RC_ASSERT(reader->Search(query).error().reason == Reason::kInvalidArgument);
    return;
  }

  std::vector<SearchKey> expected;
  for (const Member& member : members) {
    const SearchDocument document = MakeSearchDocument(member);
    if (Matches(query.filter, document)) expected.push_back({SearchValueOf(query.order.field, document), member.id});
  }
  std::ranges::sort(expected, [&](const SearchKey& a, const SearchKey& b) { return ComesBefore(query.order, a, b); });
  RC_ASSERT(ReadAll(*reader, query, members.size() + 20) == expected);
}

RC_GTEST_FIXTURE_PROP(IndexReaderTest, TheHighestVersionWinsAndLeavesNothingOfOthers, ()) {
  std::vector<Member> versions = SomeMembers(6);
  for (std::size_t i = 0; i < versions.size(); ++i) {
    versions[i].id = MemberId(7);
    versions[i].version = Version(static_cast<std::int64_t>(i) + 1);
  }
  const Member newest = versions.back();
  for (std::size_t i = versions.size(); i > 1; --i)
    std::swap(versions[i - 1], versions[*rc::gen::inRange<std::size_t>(0, i)]);
  for (const Member& member : versions) Write({member});
  const auto reader = IndexReader::Open(path_, {}, clock_).value();
  for (const char* text : {"city = city1", "city = city2", "city = city1 tier = tier2", "tags:tag1", "tags:tag2",
                           "attributes.store = store1", "state = FROZEN"}) {
    const Filter filter = ParseFilter(text).value();
    const auto page = reader->Search({.filter = filter, .limit = 10}).value();
    RC_ASSERT(page.hits.empty() != Matches(filter, MakeSearchDocument(newest)));
  }
}

RC_GTEST_FIXTURE_PROP(IndexReaderTest, KeepsEveryDocumentAsItWas, ()) {
  Member member = *testing::ArbitraryMember();
  Write({member});
  const auto reader = IndexReader::Open(path_, {}, clock_).value();
  const std::string id = std::to_string(member.id.value());
  for (const auto& [name, value] : member.attributes) {
    std::vector<Filter> both = {ParseFilter("id = " + id).value(),
                                Filter::Of({.field = SearchField::kAttributes, .name = name, .text = value})};
    RC_ASSERT(reader->Search({.filter = Filter::And(std::move(both)), .limit = 1})->hits.size() == 1);
  }
  for (const SearchField field : {SearchField::kCreateTime, SearchField::kUpdateTime, SearchField::kBirthDate}) {
    const auto page = reader->Search({.filter = {}, .order = {field, true}, .limit = 1}).value();
    RC_ASSERT(page.hits.at(0).value == SearchValueOf(field, MakeSearchDocument(member)));
  }
}

TEST_F(IndexReaderTest, ARareCombinationEndsPagesEarlyAndIsFoundAllTheSame) {
  std::vector<Member> members(3000);
  for (std::size_t i = 0; i < members.size(); ++i) {
    members[i].id = MemberId(static_cast<std::int64_t>(i) + 1);
    members[i].city = "Suzhou";
    members[i].gender = i == 2900 ? Gender::kOther : Gender::kFemale;
  }
  Write(members);
  const auto reader = IndexReader::Open(path_, {.examined_max = 1000}, clock_).value();
  MemberSearch::Query query{.filter = ParseFilter("city = Suzhou gender = OTHER").value(), .limit = 10};
  std::vector<SearchKey> hits;
  std::size_t pages = 0;
  do {
    const auto page = reader->Search(query).value();
    hits.insert(hits.end(), page.hits.begin(), page.hits.end());
    query.after = page.next;
    ++pages;
  } while (query.after);
  EXPECT_EQ(hits.size(), 1u);
  EXPECT_GE(pages, 6u);
  EXPECT_LE(reader->examined(), 7000u);
}

TEST_F(IndexReaderTest, StopsSoonAfterTheDeadline) {
  std::vector<Member> members(3000);
  for (std::size_t i = 0; i < members.size(); ++i) {
    members[i].id = MemberId(static_cast<std::int64_t>(i) + 1);
    members[i].city = "Suzhou";
    members[i].gender = Gender::kFemale;
  }
  Write(members);
  // By id through a source and through all, by another order sorted and in the order's own index.
  for (const auto& [filter, order, sorted_max] :
       std::initializer_list<std::tuple<const char*, SearchOrder, std::size_t>>{
           {"city = Suzhou gender = OTHER", {}, 2000},
           {"id > 0 gender = OTHER", {}, 2000},
           {"city = Suzhou gender = OTHER", {SearchField::kUpdateTime, true}, 5000},
           {"city = Suzhou gender = OTHER", {SearchField::kUpdateTime, true}, 1}}) {
    LookedAtClock clock;
    const auto reader = IndexReader::Open(path_, {.sorted_max = sorted_max}, clock).value();
    const Deadline deadline(Instant(std::chrono::milliseconds(3)));
    const MemberSearch::Query query{
        .filter = ParseFilter(filter).value(), .order = order, .limit = 10, .deadline = deadline};
    const auto page = reader->Search(query);
    ASSERT_FALSE(page) << filter;
    EXPECT_EQ(page.error().reason, Reason::kDeadlineExceeded);
    // The third look.
    EXPECT_GE(reader->examined(), 3 * SearchBudget::kRowsPerLook);
    EXPECT_LE(reader->examined(), 3 * SearchBudget::kRowsPerLook + 2) << filter;
    // The next one has time.
    MemberSearch::Query again = query;
    again.deadline = {};
    EXPECT_TRUE(reader->Search(again)) << filter;
  }
}

}  // namespace
}  // namespace muster
