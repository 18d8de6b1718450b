#include "api/admin_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/import_batch.h"
#include "api/testing/api_fixture.h"

namespace muster {
namespace {

using ::testing::AllOf;
using testing::BlamesField;
using ::testing::HasSubstr;
using testing::IsProblem;
using ::testing::Not;
using testing::Response;
using testing::StubWriter;
using enum HttpMethod;

class AdminApiTest : public testing::ApiTest {
 protected:
  Response Post(const std::string& target, const std::string& body, const std::string& caller = "admin") {
    return SendAdmin({.method = kPost, .target = target, .body = body, .caller = caller});
  }
  Response Get(const std::string& target, const std::string& caller = "admin") {
    return SendAdmin({.target = target, .caller = caller});
  }
};

TEST_F(AdminApiTest, NeedsTheScope) {
  callers_.Add("blind-importer", {Scope::kMembersImport});
  for (const char* target : {"/admin/v1/callers", "/admin/v1/routes"}) {
    EXPECT_THAT(Get(target, ""), IsProblem(Reason::kUnauthenticated));
    EXPECT_THAT(Get(target, "importer"), IsProblem(Reason::kPermissionDenied));
  }
  for (const char* target : {"/admin/v1/callers", "/admin/v1/callers/x:rotate", "/admin/v1/callers/x:disable",
                             "/admin/v1/callers/x:enable"}) {
    EXPECT_THAT(Post(target, "{}", "importer"), IsProblem(Reason::kPermissionDenied)) << target;
  }
  for (const char* target : {"/admin/v1/imports:reserve", "/admin/v1/members:import?rangeStart=1"}) {
    EXPECT_THAT(Post(target, "{}", "clear"), IsProblem(Reason::kPermissionDenied)) << target;
  }
  EXPECT_THAT(Get("/admin/v1/members:export", "clear"), IsProblem(Reason::kPermissionDenied));
  EXPECT_THAT(Get("/admin/v1/members:export", "blind-importer"), IsProblem(Reason::kPermissionDenied));
  EXPECT_TRUE(callers_.records.empty());
}

TEST_F(AdminApiTest, MakesACallerAndShowsItsKeyOnce) {
  const Response response =
      Post("/admin/v1/callers",
           R"({"name":"orders","purpose":"order path","scopes":["members.read"],"keyLifetime":"86400s"})");
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, R"({"key":"mk_new","keyId":"id1"})");
  EXPECT_EQ(response.Header("Cache-Control"), "no-store");
  EXPECT_EQ(callers_.records.at(0).name, "orders");
  EXPECT_FALSE(callers_.records.at(0).idempotency_key_required);
  EXPECT_EQ(callers_.lifetime, std::chrono::hours(24));
  for (const auto& [level, line] : logger_.lines) EXPECT_THAT(line, Not(HasSubstr("mk_new")));
  callers_.records[0].keys = {{"id1", "00ff", clock_.Now(), {}}, {"id2", "00ff", clock_.Now(), clock_.Now()}};
  callers_.records[0].create_time = clock_.Now();
  const Response list = Get("/admin/v1/callers");
  EXPECT_EQ(list.body,
            R"({"callers":[{"name":"orders","purpose":"order path","scopes":["members.read"],"disabled":false,)"
            R"("createTime":"2023-11-14T22:13:20Z","keys":[{"id":"id1","createTime":"2023-11-14T22:13:20Z"},)"
            R"({"id":"id2","createTime":"2023-11-14T22:13:20Z","expireTime":"2023-11-14T22:13:20Z"}],)"
            R"("idempotencyKeyRequired":false}]})");
  EXPECT_THAT(list.body, Not(HasSubstr("00ff")));
}

TEST_F(AdminApiTest, ChecksCallerBodies) {
  const auto create = [&](const std::string& body) { return Post("/admin/v1/callers", body); };
  EXPECT_THAT(create(""), IsProblem(Reason::kInvalidArgument));
  EXPECT_THAT(create(R"({"name":1})"), BlamesField("name"));
  EXPECT_THAT(create(R"({"name":"a","scope":["x"]})"), BlamesField("scope"));
  EXPECT_THAT(create(R"({"scopes":"members.read"})"), BlamesField("scopes"));
  EXPECT_THAT(create(R"({"scopes":[1]})"), BlamesField("scopes[0]"));
  EXPECT_THAT(create(R"({"idempotencyKeyRequired":"yes"})"), BlamesField("idempotencyKeyRequired"));
  for (const char* lifetime : {"1", "\"0s\"", "\"00s\"", "\"1\"", "\"1m\"", "\"-1s\"", "\"1.5s\"", "\"s\"",
                               "\"99999999999999999999s\"", "\"9000000000000s\""}) {
    EXPECT_THAT(create(R"({"keyLifetime":)" + std::string(lifetime) + "}"), BlamesField("keyLifetime")) << lifetime;
  }
  EXPECT_TRUE(callers_.records.empty());
}

TEST_F(AdminApiTest, RotatesDisablesAndEnables) {
  Post("/admin/v1/callers", R"({"name":"orders","purpose":"p","scopes":["members.read"]})");
  EXPECT_EQ(Post("/admin/v1/callers/orders:rotate", "").body, R"({"key":"mk_rotated","keyId":"id2"})");
  EXPECT_EQ(callers_.overlap, std::chrono::hours(24));
  EXPECT_EQ(callers_.lifetime, Duration(0));
  EXPECT_EQ(Post("/admin/v1/callers/orders:rotate", R"({"overlap":"0s","keyLifetime":"60s"})").status, 200);
  EXPECT_EQ(callers_.overlap, Duration(0));
  EXPECT_EQ(callers_.lifetime, std::chrono::minutes(1));
  EXPECT_THAT(Post("/admin/v1/callers/orders:rotate", R"({"keyLifetime":"0s"})"), BlamesField("keyLifetime"));
  EXPECT_EQ(Post("/admin/v1/callers/orders:disable", "{}").body, "{}");
  EXPECT_TRUE(callers_.records.at(0).disabled);
  EXPECT_EQ(Post("/admin/v1/callers/orders:enable", "").status, 200);
  EXPECT_FALSE(callers_.records.at(0).disabled);
  EXPECT_THAT(Post("/admin/v1/callers/nobody:rotate", "{}"), IsProblem(Reason::kNotFound));
  EXPECT_THAT(Post("/admin/v1/callers/nobody:disable", "{}"), IsProblem(Reason::kNotFound));
  EXPECT_THAT(Post("/admin/v1/callers/orders:disable", R"({"why":1})"), BlamesField("why"));
}

TEST_F(AdminApiTest, ChangesWhetherACallerNeedsIdempotencyKeys) {
  Post("/admin/v1/callers",
       R"({"name":"orders","purpose":"p","scopes":["members.write"],"idempotencyKeyRequired":true})");
  EXPECT_TRUE(callers_.records.at(0).idempotency_key_required);
  callers_.records[0].create_time = clock_.Now();
  const auto update = [&](const std::string& name, const std::string& body, const std::string& caller = "admin") {
    return SendAdmin({.method = kPatch, .target = "/admin/v1/callers/" + name, .body = body, .caller = caller});
  };
  EXPECT_THAT(update("orders", R"({"idempotencyKeyRequired":false})", "importer"),
              IsProblem(Reason::kPermissionDenied));
  EXPECT_TRUE(callers_.records.at(0).idempotency_key_required);
  const Response changed = update("orders", R"({"idempotencyKeyRequired":false})");
  EXPECT_EQ(changed.status, 200);
  EXPECT_EQ(changed.body, R"({"name":"orders","purpose":"p","scopes":["members.write"],"disabled":false,)"
                          R"("createTime":"2023-11-14T22:13:20Z","keys":[],"idempotencyKeyRequired":false})");
  EXPECT_FALSE(callers_.records.at(0).idempotency_key_required);
  Post("/admin/v1/callers/orders:disable", "{}");
  EXPECT_THAT(update("orders", R"({"idempotencyKeyRequired":true})").body,
              AllOf(HasSubstr("\"disabled\":true"), HasSubstr("\"idempotencyKeyRequired\":true")));
  for (const char* body : {"{}", R"({"idempotencyKeyRequired":null})", R"({"idempotencyKeyRequired":1})"})
    EXPECT_THAT(update("orders", body), BlamesField("idempotencyKeyRequired")) << body;
  EXPECT_THAT(update("orders", ""), IsProblem(Reason::kInvalidArgument));
  EXPECT_THAT(update("orders", R"({"disabled":false})"), BlamesField("disabled"));
  EXPECT_THAT(update("nobody", R"({"idempotencyKeyRequired":true})"), IsProblem(Reason::kNotFound));
  EXPECT_THAT(Get("/admin/v1/callers/orders"), IsProblem(Reason::kMethodNotAllowed));
}

TEST_F(AdminApiTest, PrintsTheRouteTree) {
  routes_ = RouteDescription{
      "cache(near)", "asks the cache first", {{"hits", 7}, {"misses", 2}}, {{"store", "reads SQLite", {}, {}}}};
  EXPECT_EQ(Get("/admin/v1/routes").body,
            R"~({"name":"cache(near)","policy":"asks the cache first","counters":{"hits":"7","misses":"2"},)~"
            R"~("children":[{"name":"store","policy":"reads SQLite","counters":{},"children":[]}]})~");
}

TEST_F(AdminApiTest, ThereAreNoRoutesToShowWhileTheServerStarts) {
  routes_ = Fail(Reason::kOverloaded, "the server is just starting; try again");
  EXPECT_THAT(Get("/admin/v1/routes"), IsProblem(Reason::kOverloaded));
}

TEST_F(AdminApiTest, ReservesANumberForEachLine) {
  const auto reserve = [&](const std::string& lines) {
    return Post("/admin/v1/imports:reserve", "{\"lines\":" + lines + "}", "importer");
  };
  const std::string first = reserve("1000").body;
  const std::string second = reserve("\"1\"").body;
  EXPECT_THAT(first, HasSubstr("\"rangeStart\":\""));
  EXPECT_NE(first, second);
  for (const char* lines : {"0", "-1", "100000001", "\"x\"", "1.5", "null"})
    EXPECT_THAT(reserve(lines), BlamesField("lines")) << lines;
  ranges_.failure = Error{.reason = Reason::kWritesUnavailable, .message = "the disk is full"};
  EXPECT_THAT(reserve("1"), IsProblem(Reason::kWritesUnavailable));
}

class ImportTest : public AdminApiTest {
 protected:
  ImportTest() {
    ranges_.Reserve(20'000, [this](const Result<std::int64_t>& first) { start_ = first.value(); });
  }
  Response Import(const std::string& lines, const std::string& query = "") {
    return Post("/admin/v1/members:import?rangeStart=" + std::to_string(start_) + query, lines, "importer");
  }
  MemberId IdOfLine(std::uint64_t line) const { return MemberId(IdAllocator::IdOfRange(start_, line - 1)); }

  std::int64_t start_ = 0;
};

TEST_F(ImportTest, ChecksItsParameters) {
  EXPECT_THAT(Post("/admin/v1/members:import", "{}"), BlamesField("rangeStart"));
  for (const char* start : {"0", "-1", "x", "9223372036854775807"}) {
    EXPECT_THAT(Post("/admin/v1/members:import?rangeStart=" + std::string(start), "{}"), BlamesField("rangeStart"))
        << start;
  }
  for (const std::int64_t start : {start_ - 1, start_ + 1}) {
    EXPECT_THAT(Post("/admin/v1/members:import?rangeStart=" + std::to_string(start), "{}"), BlamesField("rangeStart"))
        << "not the first number of a range";
  }
  EXPECT_THAT(Import("{}", "&firstLine=20001"), BlamesField("firstLine"));
  EXPECT_THAT(Import("{}\n{}", "&firstLine=20000"), BlamesField("firstLine"));
  for (const char* line : {"0", "-1", "x", "100000001"})
    EXPECT_THAT(Import("{}", "&firstLine=" + std::string(line)), BlamesField("firstLine"));
  EXPECT_THAT(Import("{}", "&line=1"), BlamesField("line"));
  EXPECT_THAT(SendAdmin({.method = kPost,
                         .target = "/admin/v1/members:import?rangeStart=1",
                         .body = "{}",
                         .caller = "importer",
                         .headers = {{"Content-Type", "text/csv"}}}),
              IsProblem(Reason::kUnsupportedMediaType));
  EXPECT_THAT(Import(std::string(10'001, '\n')), IsProblem(Reason::kInvalidArgument));
  EXPECT_TRUE(writer_.TakeAsked().empty());
}

TEST_F(ImportTest, WritesEachLineUnderItsOwnNumber) {
  const Response response =
      Import("{\"city\":\"a\"}\n\n{\"id\":\"5\",\"version\":\"9\"}\r\n{\"city\":\"b\"}", "&firstLine=101");
  EXPECT_EQ(response.body, R"({"imported":3,"alreadyIn":0,"rejected":0,"results":[]})");
  const auto writes = writer_.TakeAsked();
  ASSERT_EQ(writes.size(), 3u);
  EXPECT_EQ(writes[0].id, IdOfLine(101));
  EXPECT_EQ(writes[0].context.operation_id, OperationId(IdOfLine(101).value()));
  EXPECT_EQ(writes[1].id, MemberId(5));
  EXPECT_EQ(writes[1].member.version, Version(9));
  EXPECT_EQ(writes[1].context.operation_id, OperationId(IdOfLine(103).value()));
  EXPECT_EQ(writes[2].id, IdOfLine(104));
  for (const auto& write : writes) {
    EXPECT_TRUE(write.imported);
    EXPECT_EQ(write.context.caller, "importer");
    EXPECT_EQ(write.member.create_time, clock_.Now());
  }
}

TEST_F(ImportTest, TellsHowManyLinesWereIn) {
  EXPECT_EQ(Import("{}\n{}").body, R"({"imported":2,"alreadyIn":0,"rejected":0,"results":[]})");
  EXPECT_EQ(Import("{}\n{}\n{}").body, R"({"imported":3,"alreadyIn":2,"rejected":0,"results":[]})");
}

TEST_F(ImportTest, TellsWhichLinesItRejects) {
  writer_.answer = [](const StubWriter::Asked& write) -> Result<Member> {
    if (write.member.city == "taken") return Fail(Reason::kIdentityTaken, "another member holds it");
    return write.member;
  };
  const Response response = Import(R"({"city":"taken"})"
                                   "\nnonsense\n{}\n"
                                   R"({"identities":[{"kind":"phone","value":"CANARY"}]})"
                                   "\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(
      response.body,
      HasSubstr(
          R"({"imported":1,"alreadyIn":0,"rejected":3,"results":[{"line":1,"code":"IDENTITY_TAKEN","detail":"another member holds it"},)"
          R"({"line":2,"code":"INVALID_ARGUMENT",)"));
  EXPECT_THAT(response.body, HasSubstr(R"({"line":4,"code":"INVALID_ARGUMENT","detail":"identities[0].value: )"));
  EXPECT_THAT(response.body, Not(HasSubstr("CANARY")));
}

TEST_F(ImportTest, AFailureThatMayPassIsTheAnswerToAll) {
  for (const Reason reason :
       {Reason::kOverloaded, Reason::kWritesUnavailable, Reason::kOutcomeUnknown, Reason::kDeadlineExceeded}) {
    writer_.answer = [reason](const StubWriter::Asked& write) -> Result<Member> {
      if (write.member.city == "b") return Fail(reason, "not now");
      return write.member;
    };
    const Response response = Import(R"({"city":"a"})"
                                     "\n"
                                     R"({"city":"b"})"
                                     "\nnonsense\n");
    EXPECT_THAT(response, IsProblem(reason));
    EXPECT_THAT(response.body, HasSubstr("send the same batch again"));
  }
}

TEST_F(ImportTest, ManyLinesAreUnderWayAtOnceButNotAll) {
  constexpr int kLines = 9'999;
  std::string lines;
  for (int i = 0; i < kLines; ++i) lines += "{}\n";
  // Lines come back only once as many are under way as ever will be.
  writer_.SetHeld(true);
  const auto response = Begin(*admin_, {.method = kPost,
                                        .target = "/admin/v1/members:import?rangeStart=" + std::to_string(start_),
                                        .body = lines,
                                        .caller = "importer"});
  writer_.SetHeld(false);
  EXPECT_EQ(Await(response).body, R"({"imported":9999,"alreadyIn":0,"rejected":0,"results":[]})");
  const auto writes = writer_.TakeAsked();
  ASSERT_EQ(writes.size(), std::size_t{kLines});
  for (std::size_t i = 0; i < writes.size(); ++i) EXPECT_EQ(writes[i].id, IdOfLine(i + 1));
  EXPECT_LE(writer_.under_way_max(), ImportBatch::kWindowMax);
  EXPECT_GT(writer_.under_way_max(), ImportBatch::kWindowMax / 2);
}

// However small what the lines wait in is, an import does not fill it.
TEST_F(ImportTest, NoMoreLinesAreUnderWayThanTheWindow) {
  for (const std::uint32_t window : {1U, 2U, 3U, 7U}) {
    admin_ = MakeAdminApi(loop_, Dependencies(), {.ranges = &ranges_, .import_window = window, .routes = {}});
    std::string lines;
    for (int i = 0; i < 50; ++i) lines += "{}\n";
    EXPECT_THAT(Import(lines).body, HasSubstr(R"("imported":50)"));
    EXPECT_LE(writer_.under_way_max(), window);
  }
}

TEST_F(ImportTest, NothingToImportIsNoError) {
  EXPECT_EQ(Import("").body, R"({"imported":0,"alreadyIn":0,"rejected":0,"results":[]})");
  EXPECT_EQ(Import("\n\n\r\n").body, R"({"imported":0,"alreadyIn":0,"rejected":0,"results":[]})");
}

TEST_F(ImportTest, TheHandlerWaitsForItsLines) {
  writer_.SetHeld(true);
  const auto response = Begin(*admin_, {.method = kPost,
                                        .target = "/admin/v1/members:import?rangeStart=" + std::to_string(start_),
                                        .body = "{}\n{}\n",
                                        .caller = "importer"});
  std::thread opener([this] { writer_.SetHeld(false); });
  admin_.reset();
  opener.join();
  EXPECT_EQ(writer_.TakeAsked().size(), 2u);
  EXPECT_TRUE(response->abandoned);
}

TEST_F(AdminApiTest, ExportsInTheOrderOfIdsAndInClear) {
  for (int id = 1; id <= 250; ++id) {
    Member member = LiLei();
    member.id = MemberId(id * 2);
    archive_.members.push_back(member);
  }
  const auto lines_of = [](const Response& response) { return std::ranges::count(response.body, '\n'); };
  const Response page = Get("/admin/v1/members:export?after=10&limit=3", "importer");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "application/x-ndjson");
  std::string expected;
  for (const int id : {12, 14, 16}) {
    Member member = LiLei();
    member.id = MemberId(id);
    expected.append(MakeMemberDocument(member)->json()).append("\n");
  }
  EXPECT_EQ(page.body, expected);
  EXPECT_THAT(page.body, HasSubstr("+8613800000001"));
  EXPECT_EQ(lines_of(Get("/admin/v1/members:export")), 250);
  EXPECT_EQ(lines_of(Get("/admin/v1/members:export?limit=1000&after=300")), 100);
  EXPECT_EQ(lines_of(Get("/admin/v1/members:export?after=500")), 0);
  for (const char* query : {"limit=0", "limit=1001", "after=-1", "after=x", "before=1"}) {
    EXPECT_THAT(Get("/admin/v1/members:export?" + std::string(query)), IsProblem(Reason::kInvalidArgument)) << query;
  }
  archive_.failure = Error{.reason = Reason::kInternal, .message = "disk"};
  EXPECT_THAT(Get("/admin/v1/members:export"), IsProblem(Reason::kInternal));
}

TEST_F(AdminApiTest, KnowsNoOtherPaths) {
  EXPECT_THAT(Get("/v1/members/7"), IsProblem(Reason::kNotFound));
  const Response response = SendAdmin({.method = kDelete, .target = "/admin/v1/callers"});
  EXPECT_THAT(response, IsProblem(Reason::kMethodNotAllowed));
  EXPECT_EQ(response.Header("Allow"), "GET, HEAD, POST");
}

}  // namespace
}  // namespace muster
