#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/testing/api_fixture.h"
#include "topology/testing/two_center_topology.h"
#include "topology/topology_codec.h"

namespace muster {
namespace {

using ::testing::AllOf;
using testing::BlamesField;
using ::testing::HasSubstr;
using testing::IsProblem;
using ::testing::Not;
using testing::Response;
using enum HttpMethod;

class FakeOperator final : public failover::FailoverOperator {
 public:
  failover::FailoverStatus Status() const override { return status; }
  failover::FailoverPlan Plan(const failover::FailoverRequest& request) const override { return PlanOf(request); }
  Result<failover::FailoverPlan> Act(const failover::FailoverRequest& request) override {
    acted.push_back(request);
    failover::FailoverPlan plan = PlanOf(request);
    if (!plan.is_possible()) return Fail(plan.AsError());
    return plan;
  }
  Result<void> AcceptLoss() override {
    ++losses_accepted;
    return {};
  }

  Result<void> Rebuild(std::string_view database, bool dry_run) override {
    if (database == "a1") return Fail(Reason::kStateConflict, "a1 is the primary");
    if (!dry_run) rebuilt.emplace_back(database);
    return {};
  }

  failover::FailoverStatus status;
  std::vector<std::string> rebuilt;
  std::vector<failover::RefusalText> refusals;
  std::vector<failover::FailoverRequest> acted;
  int losses_accepted = 0;

 private:
  failover::FailoverPlan PlanOf(const failover::FailoverRequest& request) const {
    return {.kind = request.kind,
            .from = "A",
            .to = "B",
            .steps = {"first", "then"},
            .refusals = refusals,
            .losses = {"a write"}};
  }
};

// One document, changed as the stores change theirs.
class OneDocument final : public TopologyStore {
 public:
  Result<std::shared_ptr<const TopologyDocument>> Read() override { return document; }
  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    MUSTER_ASSIGN(TopologyDocument changed, ChangeTopology(*document, "t.json", change));
    document = std::make_shared<const TopologyDocument>(std::move(changed));
    return document;
  }

  std::shared_ptr<const TopologyDocument> document = std::make_shared<const TopologyDocument>(testing::TwoCenters(2));
};

class AdminTopologyTest : public testing::ApiTest {
 protected:
  AdminTopologyTest() {
    TopologyDocument document{.revision = 12, .epoch = Epoch(4), .centers = {"A", "B"}, .writer = "A"};
    document.groups = {{.name = "g1",
                        .databases = {{.name = "a1", .center = "A", .address = "a1:3306"},
                                      {.name = "b1", .center = "B", .address = "b1:3306"}},
                        .primary = "a1",
                        .ackers = {{.name = "b1", .state = AckerState::kIn}},
                        .durability = Durability::kBothCenters}};
    document.caches = {{.center = "A", .epoch = Epoch(2), .mode = CacheMode::kWarming}};
    document.failovers = {{.by_operator = true, .from = "B", .to = "A", .cause = "a drill", .undone = true}};
    Set(std::move(document));
    operator_.status.now = Instant(std::chrono::seconds(100));
    operator_.status.databases["a1"] = {.state = {.is_writable = true},
                                        .looked_at = Instant(std::chrono::seconds(100))};
    operator_.status.databases["b1"] = {.state = {.following = "a1:3306"},
                                        .looked_at = Instant(std::chrono::seconds(9))};
    operator_.status.controller = "A-1";
    operator_.status.attention = {"b1 is silent"};
    admin_ = MakeAdminApi(
        loop_, Dependencies(),
        {.ranges = &ranges_, .routes = {}, .failover = &operator_, .topology = &topology_, .freshness = [this] {
           return freshness_;
         }});
  }

  void Set(TopologyDocument document) {
    operator_.status.document = std::make_shared<const TopologyDocument>(std::move(document));
  }
  Response Post(const std::string& verb, const std::string& body, const std::string& caller = "admin") {
    return SendAdmin({.method = kPost, .target = "/admin/v1/topology:" + verb, .body = body, .caller = caller});
  }

  FakeOperator operator_;
  OneDocument topology_;
  FreshnessReport freshness_;
};

TEST_F(AdminTopologyTest, SaysHowFreshReadsAre) {
  const auto ask = [&](const std::string& caller) {
    return SendAdmin({.target = "/admin/v1/topology:freshness", .caller = caller});
  };
  freshness_ = {.since = Timestamp(std::chrono::seconds(1'700'000'000)),
                .samples = 1000,
                .skipped = 2,
                .tiers = {{.name = "redis A", .center = "A", .samples = 1000},
                          {.name = "database b1",
                           .center = "B",
                           .bound = std::chrono::seconds(5),
                           .samples = 1000,
                           .late = 30,
                           .beyond = 10,
                           .unanswered = 1,
                           .latest = std::chrono::milliseconds(6'001)}},
                .late = {{.member = MemberId(7), .version = Version(5), .tier = "database b1", .held = Version(4)},
                         {.member = MemberId(8),
                          .version = Version(1),
                          .tier = "database b1",
                          .late = std::chrono::milliseconds(12),
                          .is_over = true}}};
  const Response response = ask("admin");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(
      response.body,
      AllOf(HasSubstr(
                R"({"sinceTime":"2023-11-14T22:13:20Z","samples":"1000","skipped":"2","tiers":[{"name":"redis A",)"),
            HasSubstr(R"("samples":"1000","late":"30","beyond":"10","unanswered":"1","latestMs":"6001","nines":2)"),
            HasSubstr(R"({"memberId":"7","version":"5","tier":"database b1","held":"4",)"),
            HasSubstr(R"("lateMs":"12")")));
  EXPECT_THAT(response.body.substr(response.body.find(R"("memberId":"7")"), 130), Not(HasSubstr(R"("lateMs":"0")")));
  EXPECT_THAT(ask("importer"), IsProblem(Reason::kPermissionDenied));
}

TEST_F(AdminTopologyTest, WithoutCachesNothingIsSampled) {
  admin_ = MakeAdminApi(loop_, Dependencies(), {.ranges = &ranges_, .routes = {}, .failover = &operator_});
  EXPECT_THAT(SendAdmin({.target = "/admin/v1/topology:freshness", .caller = "admin"}),
              IsProblem(Reason::kStateConflict));
}

TEST_F(AdminTopologyTest, TellsOfCentersDatabasesAndCaches) {
  const Response response = SendAdmin({.target = "/admin/v1/topology", .caller = "admin"});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(
      response.body,
      R"({"revision":"12","epoch":"4","centers":["A","B"],"writer":"A","groups":[{"name":"g1","durability":"both-centers","shards":"0-1023",)"
      R"("databases":[{"name":"a1","center":"A","address":"a1:3306","role":"primary","acker":"","isUp":true,"state":"writing"},)"
      R"({"name":"b1","center":"B","address":"b1:3306","role":"replica","acker":"in","isUp":false,"state":"stopped"}]}],)"
      R"("caches":[{"center":"A","mode":"warming","epoch":"2"}],)"
      R"("failovers":[{"kind":"failover","from":"B","to":"A","cause":"a drill","byOperator":true,)"
      R"("beginTime":"1970-01-01T00:00:00Z","endTime":"1970-01-01T00:00:00Z","undone":true,"steps":[]}],)"
      R"("controller":"A-1","health":"well","cause":"","attention":["b1 is silent"]})");
  EXPECT_THAT(SendAdmin({.target = "/admin/v1/topology", .caller = "importer"}), IsProblem(Reason::kPermissionDenied));
}

TEST_F(AdminTopologyTest, MovesShards) {
  const std::string move = R"({"shards":"0-6/2","from":"g0","to":"g1","dryRun":true})";
  const Response dry = Post("moveShards", move);
  EXPECT_EQ(dry.status, 200);
  EXPECT_THAT(dry.body, HasSubstr(R"({"from":"g0","to":"g1","shards":"0-6/2","steps":["copy 4 shards)"));
  EXPECT_FALSE(topology_.document->shard_move) << "a dry run";
  EXPECT_EQ(Post("moveShards", R"({"shards":"0-6/2","from":"g0","to":"g1"})").status, 200);
  ASSERT_TRUE(topology_.document->shard_move);
  EXPECT_EQ(ShardsText(topology_.document->shard_move->shards), "0-6/2");
  EXPECT_THAT(Post("moveShards", move), IsProblem(Reason::kStateConflict)) << "one is under way";
  Set(*topology_.document);
  EXPECT_THAT(
      SendAdmin({.target = "/admin/v1/topology", .caller = "admin"}).body,
      HasSubstr(R"("shardMove":{"from":"g0","to":"g1","shards":"0-6/2","moved":"","batch":"","step":"copying",)"));
  EXPECT_EQ(Post("moveShards", R"({"undo":true,"dryRun":true})").status, 200);
  EXPECT_FALSE(topology_.document->shard_move->stops);
  EXPECT_EQ(Post("moveShards", R"({"undo":true})").status, 200);
  EXPECT_TRUE(topology_.document->shard_move->stops);
}

TEST_F(AdminTopologyTest, AMoveOfShardsThatCannotBeIsRefused) {
  EXPECT_THAT(Post("moveShards", R"({"shards":"0-5000","from":"g0","to":"g1"})"), BlamesField("shards"));
  EXPECT_THAT(Post("moveShards", R"({"undo":true,"from":"g0"})"), BlamesField("undo"));
  EXPECT_THAT(Post("moveShards", R"({"shards":"1","from":"g0","to":"g1"})"), IsProblem(Reason::kInvalidArgument));
  EXPECT_THAT(Post("moveShards", R"({"undo":true})"), IsProblem(Reason::kStateConflict));
  EXPECT_THAT(Post("moveShards", "{}", "importer"), IsProblem(Reason::kPermissionDenied));
  EXPECT_FALSE(topology_.document->shard_move);
}

TEST_F(AdminTopologyTest, TellsHowFarAFailoverIs) {
  TopologyDocument document = *operator_.status.document;
  document.writer.clear();
  document.failover = FailoverJournal{
      .from = "A", .to = "B", .cause = "lost", .groups = {{.group = "g1", .step = GroupStep::kChosen, .chosen = "b1"}}};
  Set(document);
  EXPECT_THAT(SendAdmin({.target = "/admin/v1/topology", .caller = "admin"}).body,
              HasSubstr(R"("failover":{"kind":"failover","from":"A","to":"B","cause":"lost","byOperator":false,)"
                        R"("beginTime":"1970-01-01T00:00:00Z","undone":false,"steps":["g1: chosen b1"]})"));
}

TEST_F(AdminTopologyTest, ADryRunSaysWhatWouldBeDoneAndDoesNothing) {
  operator_.refusals = {{failover::Refusal::kLagging, "b1 is behind"}};
  const Response response = Post("failover", R"({"dryRun":true,"to":"B"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"kind":"failover","from":"A","to":"B","steps":["first","then"],)"
                           R"("refusals":[{"code":"lagging","detail":"b1 is behind"}],"losses":["a write"]})");
  EXPECT_TRUE(operator_.acted.empty());
}

TEST_F(AdminTopologyTest, MovesTheWriterAsItIsAsked) {
  EXPECT_EQ(Post("failover", R"({"to":"B","acceptLoss":true,"cause":"a drill"})").status, 200);
  EXPECT_EQ(Post("switchover", "").status, 200);
  ASSERT_EQ(operator_.acted.size(), 2U);
  const failover::FailoverRequest& loss = operator_.acted[0];
  EXPECT_EQ(loss.kind, FailoverKind::kLoss);
  EXPECT_EQ(loss.to, "B");
  EXPECT_EQ(loss.cause, "a drill");
  EXPECT_TRUE(loss.by_operator && loss.accepts_loss);
  EXPECT_EQ(operator_.acted[1].kind, FailoverKind::kPlanned);
  operator_.refusals = {{failover::Refusal::kUnderWay, "wait"}};
  const Response refused = Post("switchover", "{}");
  EXPECT_THAT(refused, IsProblem(Reason::kStateConflict));
  EXPECT_THAT(refused.body, HasSubstr("under-way: wait"));
}

TEST_F(AdminTopologyTest, OneThatWaitsForDatabasesGoesOnWithoutThem) {
  TopologyDocument document = *operator_.status.document;
  document.writer.clear();
  document.failover = FailoverJournal{.from = "A", .to = "B"};
  Set(document);
  EXPECT_THAT(Post("failover", R"({"acceptLoss":true})").body, HasSubstr(R"("from":"A","to":"B")"));
  EXPECT_EQ(operator_.losses_accepted, 1);
  EXPECT_TRUE(operator_.acted.empty());
}

TEST_F(AdminTopologyTest, AsksForTheRebuildOfADatabase) {
  EXPECT_EQ(Post("rebuild", R"({"database":"b1","dryRun":true})").body, "{}");
  EXPECT_TRUE(operator_.rebuilt.empty());
  EXPECT_EQ(Post("rebuild", R"({"database":"b1"})").status, 200);
  EXPECT_EQ(operator_.rebuilt, std::vector<std::string>{"b1"});
  EXPECT_THAT(Post("rebuild", R"({"database":"a1"})"), IsProblem(Reason::kStateConflict));
  EXPECT_THAT(Post("rebuild", "{}"), BlamesField("database"));
  EXPECT_THAT(Post("rebuild", R"({"database":"b1","force":true})"), BlamesField("force"));
  EXPECT_THAT(Post("rebuild", R"({"database":"b1"})", "importer"), IsProblem(Reason::kPermissionDenied));
  EXPECT_EQ(operator_.rebuilt.size(), 1U);
}

TEST_F(AdminTopologyTest, TellsHowARebuildIs) {
  TopologyDocument document = *operator_.status.document;
  const auto tell = [&](RebuildRecord rebuild) {
    document.groups[0].databases[1].rebuild = std::move(rebuild);
    Set(document);
    return SendAdmin({.target = "/admin/v1/topology", .caller = "admin"}).body;
  };
  EXPECT_THAT(tell({.revision = 12}), HasSubstr(R"("isUp":false,"state":"rebuilding"})"));
  EXPECT_THAT(tell({.revision = 12, .failure = "no room"}),
              HasSubstr(R"("state":"stopped","rebuildFailure":"no room"})"));
}

TEST_F(AdminTopologyTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(Post("failover", R"({"To":"B"})"), BlamesField("To"));
  EXPECT_THAT(Post("switchover", R"({"acceptLoss":true})"), BlamesField("acceptLoss"));
  EXPECT_THAT(Post("failover", R"({"cause":")" + std::string(257, 'x') + R"("})"), BlamesField("cause"));
  EXPECT_THAT(Post("failover", "{}", "importer"), IsProblem(Reason::kPermissionDenied));
  EXPECT_TRUE(operator_.acted.empty());
}

TEST_F(AdminTopologyTest, AServerThatIsAloneSaysSo) {
  admin_ = MakeAdminApi(loop_, Dependencies(), {.ranges = &ranges_, .routes = {}});
  for (const Response& response : {SendAdmin({.target = "/admin/v1/topology", .caller = "admin"}), Post("failover", ""),
                                   Post("rebuild", R"({"database":"b1"})")}) {
    EXPECT_THAT(response, IsProblem(Reason::kStateConflict));
    EXPECT_THAT(response.body, HasSubstr("no centers"));
  }
}

}  // namespace
}  // namespace muster
