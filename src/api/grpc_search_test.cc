#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/page_token.h"
#include "api/testing/grpc_fixture.h"
#include "api/testing/stub_search.h"
#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using testing::IsGrpcError;

class GrpcSearchTest : public testing::GrpcApiTest {
 protected:
  GrpcSearchTest() {
    grpc_.reset();
    auto reader = std::make_unique<testing::StubReader>();
    grpc_reader_ = reader.get();
    ApiDependencies dependencies = Dependencies();
    dependencies.search = &search_;
    grpc_ = MakeGrpcApi(loop_, std::move(reader), dependencies);
  }

  testing::GrpcOutcome Search(const std::string& filter, const std::string& order_by = {},
                              const std::string& page_token = {}, std::int32_t page_size = 0,
                              const std::string& caller = "reader") {
    v1::SearchMembersRequest request;
    request.set_filter(filter);
    request.set_order_by(order_by);
    request.set_page_token(page_token);
    request.set_page_size(page_size);
    return Call({.method = "SearchMembers", .message = request.SerializeAsString(), .caller = caller});
  }
  static v1::SearchMembersResponse PageOf(const testing::GrpcOutcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.status_message;
    v1::SearchMembersResponse page;
    EXPECT_TRUE(page.ParseFromString(outcome.message));
    return page;
  }
  void Put(std::int64_t id, const std::string& city) {
    Member member = LiLei();
    member.id = MemberId(id);
    member.city = city;
    grpc_reader_->Put(member);
    search_.page.hits.push_back({id, MemberId(id)});
  }

  testing::StubSearch search_;
};

TEST_F(GrpcSearchTest, AnswersWhoMatchesInTheOrderOfTheIndexAndMasked) {
  Put(9, "Suzhou");
  Put(8, "Beijing");  // moved since the index looked
  Put(7, "Suzhou");
  search_.page.hits.push_back({6, MemberId(6)});  // gone
  const v1::SearchMembersResponse page = PageOf(Search("city = Suzhou"));
  ASSERT_EQ(page.members_size(), 2);
  EXPECT_EQ(page.members(0).id(), 9);
  EXPECT_EQ(page.members(1).id(), 7);
  EXPECT_EQ(page.members(1).identities(0).value(), "+86138****0001");
  EXPECT_EQ(page.next_page_token(), "");
  EXPECT_EQ(search_.asked.at(0).limit, 50U);
  EXPECT_EQ(PageOf(Search("", "", "", 0, "clear")).members(1).identities(0).value(), "+8613800000001");
}

TEST_F(GrpcSearchTest, GoesOnWhereThePageBeforeEnded) {
  Put(7, "Suzhou");
  search_.page.next = SearchKey{123, MemberId(7)};
  const std::string token = PageOf(Search("city=Suzhou", "updateTime desc", "", 1)).next_page_token();
  // Another spelling of the same question, and another page size.
  EXPECT_EQ(Search("city = \"Suzhou\"", "updateTime desc, id", token, 2000).status, 0);
  ASSERT_EQ(search_.asked.size(), 2U);
  EXPECT_EQ(search_.asked[1].after, (SearchKey{123, MemberId(7)}));
  EXPECT_EQ(search_.asked[1].limit, 1000U);
  EXPECT_EQ(search_.asked[0].limit, 1U);

  for (const auto& refused : {Search("city = Beijing", "updateTime desc", token), Search("city = Suzhou", "id", token),
                              Search("city=Suzhou", "updateTime desc", token, 0, "clear"),
                              Search("city=Suzhou", "updateTime desc", "forged")}) {
    EXPECT_THAT(refused, IsGrpcError(Reason::kInvalidArgument));
    EXPECT_THAT(refused.status_details, HasSubstr("page_token"));
  }
  clock_.Advance(kPageTokenLifetime);
  EXPECT_THAT(Search("city=Suzhou", "updateTime desc", token).status_details, HasSubstr("expired"));
}

TEST_F(GrpcSearchTest, RefusesWhatIsWrongAndSaysWhere) {
  EXPECT_THAT(Search("cty = Suzhou").status_details, HasSubstr("filter"));
  EXPECT_THAT(Search("city = a", "city").status_details, HasSubstr("order_by"));
  EXPECT_THAT(Search("", "", "", -1).status_details, HasSubstr("page_size"));
  std::string no_text;
  ProtoWriter(no_text).Bytes(1, "city = \xff");
  EXPECT_THAT(Call({.method = "SearchMembers", .message = no_text}), IsGrpcError(Reason::kInvalidArgument));
  EXPECT_THAT(Search("", "", "", 0, "importer"), IsGrpcError(Reason::kPermissionDenied));
  EXPECT_TRUE(search_.asked.empty());
  Put(7, "Suzhou");
  grpc_reader_->failure = Error{.reason = Reason::kStale, .message = "not now"};
  EXPECT_THAT(Search(""), IsGrpcError(Reason::kStale));
  search_.failure = Error{.reason = Reason::kOverloaded, .message = "being built"};
  EXPECT_THAT(Search(""), IsGrpcError(Reason::kOverloaded));
}

using GrpcWithoutSearchTest = testing::GrpcApiTest;

TEST_F(GrpcWithoutSearchTest, MembersAreNotSearched) {
  EXPECT_THAT(Call({"SearchMembers"}), IsGrpcError(Reason::kNotImplemented));
}

}  // namespace
}  // namespace muster
