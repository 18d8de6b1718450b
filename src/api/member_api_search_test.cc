#include "api/page_token.h"
#include "api/testing/api_fixture.h"
#include "api/testing/stub_search.h"

namespace muster::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MemberApiSearchTest : public ApiTest {
 protected:
  MemberApiSearchTest() {
    auto reader = std::make_unique<StubReader>();
    reader_ = reader.get();
    ApiDependencies dependencies = Dependencies();
    dependencies.search = &search_;
    members_ = MakeMemberApi(loop_, std::move(reader), dependencies);
  }

  Response Search(std::string body, std::string caller = "reader") {
    return Send({.method = HttpMethod::kPost,
                 .target = "/v1/members:search",
                 .body = std::move(body),
                 .caller = std::move(caller),
                 .headers = {{"Content-Type", "application/json"}}});
  }
  void Find(std::initializer_list<std::int64_t> ids) {
    search_.page.hits.clear();
    for (const std::int64_t id : ids) search_.page.hits.push_back({id, MemberId(id)});
  }
  Member InSuzhou(std::int64_t id) {
    Member member = LiLei();
    member.id = MemberId(id);
    member.city = "Suzhou";
    member.tags = {"frequent"};
    member.attributes["channel"] = "store";
    return member;
  }
  static std::string TokenIn(const Response& response) {
    const std::string key = "\"nextPageToken\":\"";
    const std::size_t at = response.body.find(key) + key.size();
    return response.body.substr(at, response.body.find('"', at) - at);
  }

  StubSearch search_;
};

TEST_F(MemberApiSearchTest, AnswersTheMembersInTheOrderOfTheIndexAndMasked) {
  reader_->Put(InSuzhou(7));
  reader_->Put(InSuzhou(9));
  Find({9, 7});
  const Response response = Search(R"({"filter":"city = \"Suzhou\" tags:frequent identities.kind:phone"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.body.starts_with(R"({"members":[{"id":"9",)")) << response.body;
  EXPECT_THAT(response.body, HasSubstr(R"(},{"id":"7",)"));
  EXPECT_THAT(response.body, HasSubstr(R"("nextPageToken":"")"));
  EXPECT_THAT(response.body, Not(HasSubstr("+8613800000001")));
  EXPECT_THAT(Search(R"({"filter":"city = \"Suzhou\""})", "clear").body, HasSubstr("+8613800000001"));
  ASSERT_EQ(search_.asked.size(), 2u);
  EXPECT_EQ(search_.asked[1].limit, 50u);
  EXPECT_EQ(search_.asked[1].caller, "clear");
  EXPECT_EQ(PrintFilter(search_.asked[1].filter), "city = \"Suzhou\"");
}

TEST_F(MemberApiSearchTest, LeavesOutWhoWentOrDoesNotMatchAnyMore) {
  Member moved = InSuzhou(8);
  moved.city = "Beijing";
  reader_->Put(moved);
  reader_->Put(InSuzhou(9));
  Find({7, 8, 9});
  const Response response = Search(R"({"filter":"city = Suzhou"})");
  EXPECT_THAT(response.body, Not(HasSubstr(R"("id":"8")")));
  EXPECT_THAT(response.body, HasSubstr(R"([{"id":"9",)"));
  // Every field that a filter may look at.
  for (const char* filter :
       {"state = ACTIVE", "displayName = Lei", "gender != MALE", "birthDate != 2000-01-01", "tier != gold",
        "attributes.channel = store", "identities.platform:wechat", "version = 3", "id = 9",
        "createTime > 2000-01-01T00:00:00Z", "updateTime > 2000-01-01T00:00:00Z", "mergedInto != 5"}) {
    Find({9});
    EXPECT_THAT(Search(R"({"filter":")" + std::string(filter) + "\"}").body, HasSubstr(R"("id":"9")")) << filter;
  }
}

TEST_F(MemberApiSearchTest, GoesOnWhereThePageBeforeEnded) {
  reader_->Put(InSuzhou(7));
  Find({7});
  search_.page.next = SearchKey{123, MemberId(7)};
  const std::string token = TokenIn(Search(R"({"filter":"city=Suzhou","orderBy":"updateTime desc","pageSize":1})"));
  EXPECT_EQ(token.size(), 54u);
  // Another spelling of the same question, and another page size.
  EXPECT_EQ(Search(R"({"filter":"city = \"Suzhou\"","orderBy":"updateTime desc, id","pageSize":"2000","pageToken":")" +
                   token + "\"}")
                .status,
            200);
  ASSERT_EQ(search_.asked.size(), 2u);
  EXPECT_EQ(search_.asked[1].after, (SearchKey{123, MemberId(7)}));
  EXPECT_EQ(search_.asked[1].limit, 1000u);
  EXPECT_EQ(search_.asked[0].limit, 1u);

  const std::string rest = R"(,"pageToken":")" + token + "\"}";
  EXPECT_THAT(Search(R"({"filter":"city = Beijing","orderBy":"updateTime desc")" + rest), BlamesField("pageToken"));
  EXPECT_THAT(Search(R"({"filter":"city = Suzhou","orderBy":"id")" + rest), BlamesField("pageToken"));
  EXPECT_THAT(Search(R"({"filter":"city=Suzhou","orderBy":"updateTime desc")" + rest, "clear"),
              BlamesField("pageToken"));
  clock_.Advance(kPageTokenLifetime);
  EXPECT_THAT(Search(R"({"filter":"city=Suzhou","orderBy":"updateTime desc")" + rest).body, HasSubstr("expired"));
}

TEST_F(MemberApiSearchTest, RefusesWhatIsWrongAndSaysWhere) {
  EXPECT_THAT(Search(R"({"filter":"cty = Suzhou"})"), BlamesField("filter"));
  EXPECT_THAT(Search(R"({"filter":"city = a","orderBy":"city"})"), BlamesField("orderBy"));
  EXPECT_THAT(Search(R"({"filter":7})"), BlamesField("filter"));
  EXPECT_THAT(Search(R"({"pageSize":-1})"), BlamesField("pageSize"));
  EXPECT_THAT(Search(R"({"pageToken":"x"})"), BlamesField("pageToken"));
  EXPECT_THAT(Search(R"({"sort":"x"})"), BlamesField("sort"));
  EXPECT_THAT(Search("{}", "importer"), IsProblem(Reason::kPermissionDenied));
  EXPECT_TRUE(search_.asked.empty());
  search_.failure = Error{.reason = Reason::kOverloaded, .message = "being built"};
  EXPECT_THAT(Search("{}"), IsProblem(Reason::kOverloaded));
}

TEST_F(MemberApiSearchTest, AFailedReadFailsThePage) {
  Find({7});
  reader_->failure = Error{.reason = Reason::kOverloaded, .message = "not now"};
  EXPECT_THAT(Search("{}"), IsProblem(Reason::kOverloaded));
}

TEST_F(ApiTest, WithoutAnIndexMembersAreNotSearched) {
  EXPECT_THAT(Send({.method = HttpMethod::kPost,
                    .target = "/v1/members:search",
                    .body = "{}",
                    .headers = {{"Content-Type", "application/json"}}}),
              IsProblem(Reason::kNotImplemented));
}

}  // namespace
}  // namespace muster::testing
