#include "search/search_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "search/testing/fake_source.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SearchIndexTest : public ::testing::Test {
 protected:
  SearchIndexTest() {
    std::string name = (std::filesystem::temp_directory_path() / "muster-search-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~SearchIndexTest() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  void Start(const std::string& installation = "one") {
    options_.refresh_ms = 0;
    metrics_ = std::make_unique<MetricRegistry>();
    index_ = SearchIndex::Start(directory_, options_,
                                {.feed = &source_,
                                 .archive = &source_,
                                 .clock = &clock_,
                                 .logger = &NullLogger(),
                                 .metrics = metrics_.get(),
                                 .installation = installation,
                                 .count_members = [] { return std::int64_t{1000}; }});
  }
  void Stop() {
    if (index_) index_->Stop();
    index_.reset();
  }

  Result<MemberSearch::Page> Search(std::string_view filter, Deadline deadline = {}) {
    return Begin("caller", filter, deadline).get();
  }
  std::future<Result<MemberSearch::Page>> Begin(std::string caller, std::string_view filter, Deadline deadline = {}) {
    std::promise<Result<MemberSearch::Page>> answer;
    auto page = answer.get_future();
    index_->Search(
        {.filter = ParseFilter(filter).value(), .limit = 10, .caller = std::move(caller), .deadline = deadline},
        [answer = std::move(answer)](Result<MemberSearch::Page> found) mutable { answer.set_value(std::move(found)); });
    return page;
  }
  // Keeps the one thread that there is, which tells somebody what was found for as long as this lives.
  class BusyThread {
   public:
    explicit BusyThread(MemberSearch& index) {
      std::promise<void> begun;
      std::future<void> has_begun = begun.get_future();
      index.Search({.filter = ParseFilter("city = a").value(), .limit = 1, .caller = "busy"},
                   [begun = std::move(begun), ended = ended_.get_future()](const Result<MemberSearch::Page>&) mutable {
                     begun.set_value();
                     ended.wait();
                   });
      has_begun.wait();
    }
    ~BusyThread() { ended_.set_value(); }
    BusyThread(const BusyThread&) = delete;
    BusyThread& operator=(const BusyThread&) = delete;

   private:
    std::promise<void> ended_;
  };
  std::vector<std::int64_t> Ids(const Result<MemberSearch::Page>& page) {
    std::vector<std::int64_t> ids;
    for (const SearchKey& key : page.value().hits) ids.push_back(key.id.value());
    return ids;
  }
  // The answer, once it is what `wanted` says.
  std::vector<std::int64_t> Await(std::string_view filter, const std::vector<std::int64_t>& wanted) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (true) {
      const Result<MemberSearch::Page> page = Search(filter);
      if (page && Ids(page) == wanted) return wanted;
      if (std::chrono::steady_clock::now() > end) return page ? Ids(page) : std::vector<std::int64_t>{-1};
      std::this_thread::yield();
    }
  }

  Member InCity(std::int64_t id, const std::string& city, std::int64_t version = 1) {
    Member member;
    member.id = MemberId(id);
    member.version = Version(version);
    member.city = city;
    member.real_name = Pii<std::string>("Han Meimei");
    member.update_time = Timestamp(Duration(id * 100 + version));
    return member;
  }
  double Metric(const std::string& name) {
    const std::string text = metrics_->Expose();
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  std::string directory_;
  testing::FakeSource source_;
  SystemClock clock_;
  SearchOptions options_;
  std::unique_ptr<MetricRegistry> metrics_;
  std::unique_ptr<SearchIndex> index_;
};

TEST_F(SearchIndexTest, IsBuiltFromTheMembersAndFollowsTheChanges) {
  for (std::int64_t id = 1; id <= 2000; ++id) source_.PutSilently(InCity(id, "c" + std::to_string(id % 1000)));
  Start();
  EXPECT_THAT(Await("city = c7", {7, 1007}), ElementsAre(7, 1007));
  source_.Put(InCity(7, "elsewhere", 2));
  source_.Put(InCity(3000, "c7"));
  EXPECT_THAT(Await("city = c7", {1007, 3000}), ElementsAre(1007, 3000));
  EXPECT_THAT(Await("city = elsewhere", {7}), ElementsAre(7));
  EXPECT_EQ(Metric("muster_search_lag_seconds"), 0);
  EXPECT_EQ(Metric("muster_search_indexed_total"), 2002);
}

TEST_F(SearchIndexTest, GoesOnWhereItWas) {
  source_.Put(InCity(1, "a"));
  Start();
  EXPECT_THAT(Await("city = a", {1}), ElementsAre(1));
  Stop();
  source_.Put(InCity(2, "a"));
  Start();
  EXPECT_THAT(Await("city = a", {1, 2}), ElementsAre(1, 2));
  EXPECT_EQ(Metric("muster_search_indexed_total"), 1);
  EXPECT_EQ(Metric("muster_search_rebuilds_total"), 0);
}

TEST_F(SearchIndexTest, IsBuiltAnewWhenItDoesNotFitTheData) {
  for (std::int64_t id = 1; id <= 5; ++id) source_.Put(InCity(id, "a"));
  Start();
  EXPECT_THAT(Await("city = a", {1, 2, 3, 4, 5}), ElementsAre(1, 2, 3, 4, 5));
  Stop();
  // Of another installation.
  Start("two");
  EXPECT_THAT(Await("city = a", {1, 2, 3, 4, 5}), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(Metric("muster_search_indexed_total"), 5);
  Stop();
  // Changes that it has seen never were, and others are in their places.
  source_.Forget(4);
  for (std::int64_t id = 6; id <= 9; ++id) source_.Put(InCity(id, "b"));
  Start("two");
  EXPECT_THAT(Await("city = b", {6, 7, 8, 9}), ElementsAre(6, 7, 8, 9));
  EXPECT_EQ(Metric("muster_search_rebuilds_total"), 1);
  Stop();
  // Changes that it has not seen are not kept any more.
  source_.Put(InCity(10, "b"));
  source_.Put(InCity(11, "b"));
  source_.Expire(8);
  Start("two");
  EXPECT_THAT(Await("city = b", {6, 7, 8, 9, 10, 11}), ElementsAre(6, 7, 8, 9, 10, 11));
  EXPECT_EQ(Metric("muster_search_rebuilds_total"), 1);
  Stop();
  // Deleted.
  std::filesystem::remove(directory_ + "/search.db");
  Start("two");
  EXPECT_THAT(Await("city = b", {6, 7, 8, 9, 10, 11}), ElementsAre(6, 7, 8, 9, 10, 11));
}

TEST_F(SearchIndexTest, ADamagedFileIsReplaced) {
  for (std::int64_t id = 1; id <= 500; ++id) source_.Put(InCity(id, id == 77 ? "a" : "b"));
  Start();
  EXPECT_THAT(Await("city = a", {77}), ElementsAre(77));
  Stop();
  const std::string path = directory_ + "/search.db";
  const auto size = std::filesystem::file_size(path);
  ASSERT_GT(size, 8192u);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  const std::string garbage(size - 4096, '\x55');
  file.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
  file.close();
  Start();
  EXPECT_THAT(Await("city = a", {77}), ElementsAre(77));
  Stop();
  std::ofstream(path) << "no database at all";
  Start();
  EXPECT_THAT(Await("city = a", {77}), ElementsAre(77));
}

TEST_F(SearchIndexTest, SaysHowFarItIsWhileItIsBuilt) {
  source_.SetFailure(Error{.reason = Reason::kOverloaded, .message = "not now"});
  Start();
  const Result<MemberSearch::Page> page = Search("city = a");
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().reason, Reason::kOverloaded);
  EXPECT_THAT(page.error().message, HasSubstr("is being built: 0 of about 1000 members"));
  source_.SetFailure(std::nullopt);
}

TEST_F(SearchIndexTest, RefusesWhatNoIndexServesAndWhatIsLate) {
  Start();
  EXPECT_THAT(Await("city = a", {}), IsEmpty());
  EXPECT_EQ(Search("gender = MALE").error().violations.at(0).field, "filter");
  const Deadline passed(clock_.Monotonic());
  EXPECT_EQ(Search("city = a", passed).error().reason, Reason::kDeadlineExceeded);
}

TEST_F(SearchIndexTest, OneThatWaitsIsToldAtItsDeadline) {
  options_.threads = 1;
  Start();
  EXPECT_THAT(Await("city = a", {}), IsEmpty());
  const BusyThread busy(*index_);
  auto patient = Begin("caller", "city = a");
  const Result<MemberSearch::Page> page = Search("city = a", Deadline::After(clock_, std::chrono::milliseconds(20)));
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().reason, Reason::kDeadlineExceeded);
  EXPECT_THAT(page.error().message, HasSubstr("waited for its turn"));
  EXPECT_EQ(patient.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

TEST_F(SearchIndexTest, WhoSendsManyLeavesRoomForOthers) {
  options_.threads = 1;
  options_.queue_max = 4;
  Start();
  EXPECT_THAT(Await("city = a", {}), IsEmpty());
  std::vector<std::future<Result<MemberSearch::Page>>> many;
  std::future<Result<MemberSearch::Page>> other;
  {
    const BusyThread busy(*index_);
    for (int i = 0; i < 5; ++i) many.push_back(Begin("many", "city = a"));
    // The fifth finds no place, and the fourth makes one for the other caller.
    EXPECT_EQ(many[4].get().error().reason, Reason::kOverloaded);
    other = Begin("other", "city = a");
    const Result<MemberSearch::Page> displaced = many[3].get();
    EXPECT_EQ(displaced.error().reason, Reason::kOverloaded);
    EXPECT_GT(displaced.error().retry_after_ms, 0);
  }
  EXPECT_TRUE(other.get());
  for (const int i : {0, 1, 2}) EXPECT_TRUE(many[static_cast<std::size_t>(i)].get());
}

TEST_F(SearchIndexTest, HoldsNoPersonalValue) {
  Member member = InCity(1, "Suzhou");
  Identity& phone = member.identities.emplace_back();
  phone.kind = "phone";
  phone.value = Pii<std::string>("+8613800000001");
  source_.Put(member);
  Start();
  EXPECT_THAT(Await("identities.kind:phone", {1}), ElementsAre(1));
  Stop();
  std::ifstream file(directory_ + "/search.db", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_NE(bytes.find("Suzhou"), std::string::npos);
  EXPECT_EQ(bytes.find("Meimei"), std::string::npos);
  EXPECT_EQ(bytes.find("13800000001"), std::string::npos);
}

TEST_F(SearchIndexTest, ManyAskWhileMembersChange) {
  for (std::int64_t id = 1; id <= 200; ++id) source_.Put(InCity(id, "a"));
  Start();
  Await("city = a", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  std::vector<std::thread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      for (int asked = 0; asked < 50; ++asked) {
        const Result<MemberSearch::Page> page = Search("city = a");
        ASSERT_TRUE(page) << page.error().message;
        ASSERT_EQ(page->hits.size(), 10u);
      }
    });
  }
  for (std::int64_t id = 1; id <= 200; ++id) source_.Put(InCity(id, id % 2 == 0 ? "a" : "b", 2));
  for (std::thread& asker : askers) asker.join();
  EXPECT_THAT(Await("city = a", {2, 4, 6, 8, 10, 12, 14, 16, 18, 20}), ElementsAre(2, 4, 6, 8, 10, 12, 14, 16, 18, 20));
}

}  // namespace
}  // namespace muster
