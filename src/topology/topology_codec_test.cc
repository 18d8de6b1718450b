#include "topology/topology_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace muster {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kHash(64, 'a');

TopologyDocument Sample() {
  const Timestamp time(std::chrono::seconds(1'700'000'000));
  return {.revision = 7,
          .epoch = Epoch(3),
          .centers = {"east", "west"},
          .writer = "west",
          .lease_ms = 1500,
          .callers = {
              {.name = "admin",
               .purpose = "operating \"muster\"\n",
               .scopes = {"admin", "members.read"},
               .keys = {{.id = "abcd1234", .hash_hex = kHash, .create_time = time},
                        {.id = "zzzz9999", .hash_hex = kHash, .create_time = time, .expire_time = time + Duration(1)}},
               .create_time = time},
              {.name = "orders", .purpose = "订单", .disabled = true, .create_time = time},
              {.name = "payments", .purpose = "p", .idempotency_key_required = true, .create_time = time}}};
}

void ExpectSame(const TopologyDocument& a, const TopologyDocument& b) {
  EXPECT_EQ(a.revision, b.revision);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.centers, b.centers);
  EXPECT_EQ(a.writer, b.writer);
  EXPECT_EQ(a.lease_ms, b.lease_ms);
  EXPECT_EQ(a.callers, b.callers);
}

std::string RefusalOf(std::string_view text) {
  const auto parsed = ParseTopology("t.json", text);
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().reason, Reason::kInternal);
  return parsed.error().message;
}

std::string Document(std::string_view callers) {
  return R"({"format":1,"revision":"1","epoch":"1","callers":[)" + std::string(callers) + "]}\n";
}

TEST(TopologyCodec, GivesBackWhatItWrote) {
  const auto parsed = ParseTopology("t.json", RenderTopology(Sample()));
  ASSERT_TRUE(parsed) << parsed.error().message;
  ExpectSame(*parsed, Sample());
}

TEST(TopologyCodec, WritesACallerALine) {
  EXPECT_EQ(RenderTopology({.revision = 2,
                            .callers = {{.name = "a", .create_time = Timestamp(std::chrono::seconds(1))},
                                        {.name = "b", .create_time = Timestamp(std::chrono::seconds(1))}}}),
            "{\"format\":1,\"revision\":\"2\",\"epoch\":\"1\",\"callers\":[\n"
            "{\"name\":\"a\",\"purpose\":\"\",\"scopes\":[],\"keys\":[],\"disabled\":false,\"createTime\":\"1970-01-"
            "01T00:00:01Z\"}\n"
            ",{\"name\":\"b\",\"purpose\":\"\",\"scopes\":[],\"keys\":[],\"disabled\":false,\"createTime\":\"1970-01-"
            "01T00:00:01Z\"}]}\n");
}

std::string RenderedAgain(const std::string& text) {
  const auto parsed = ParseTopology("t.json", text);
  return parsed ? RenderTopology(*parsed) : parsed.error().message;
}

// An older muster would neither keep to what it does not know nor write it back, so it must not read such a file; any
// other file stays what it was.
TEST(TopologyCodec, TheFormatIsAsOldAsItsContentAllows) {
  TopologyDocument document = Sample();
  EXPECT_THAT(RenderTopology(document), StartsWith("{\"format\":3,"));
  document.writer.clear();
  EXPECT_THAT(RenderTopology(document), StartsWith("{\"format\":3,")) << "nobody may write";
  document.centers.clear();
  EXPECT_THAT(RenderTopology(document), StartsWith("{\"format\":3,")) << "the lease";
  document.lease_ms = TopologyDocument::kLeaseMsDefault;
  std::string text = RenderTopology(document);
  EXPECT_THAT(text, StartsWith("{\"format\":2,"));
  EXPECT_THAT(text, Not(AnyOf(HasSubstr("centers"), HasSubstr("writer"), HasSubstr("leaseMs"))));
  EXPECT_EQ(RenderedAgain(text), text);
  document.callers.back().idempotency_key_required = false;
  text = RenderTopology(document);
  EXPECT_THAT(text, StartsWith("{\"format\":1,"));
  EXPECT_THAT(text, Not(HasSubstr("idempotencyKeyRequired")));
  EXPECT_EQ(RenderedAgain(text), text);
}

TEST(TopologyCodec, AChangeIsSortedAndTheNextRevision) {
  const auto changed = ChangeTopology(Sample(), "t.json", [](TopologyDocument& document) -> Result<void> {
    document.revision = 3;
    document.centers = {"west", "north"};
    document.writer = "west";
    document.callers.push_back({.name = "a", .create_time = Timestamp(std::chrono::seconds(1))});
    return {};
  });
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->revision, 8);
  EXPECT_EQ(changed->centers, (std::vector<std::string>{"north", "west"}));
  EXPECT_EQ(changed->callers.front().name, "a");
}

TEST(TopologyCodec, AChangeThatCouldNotBeReadBackIsRefused) {
  const auto refused = ChangeTopology(Sample(), "t.json", [](TopologyDocument& document) -> Result<void> {
    document.epoch = Epoch(4);
    document.writer = "nowhere";
    return {};
  });
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("(about to be written):1:"));
  EXPECT_THAT(refused.error().message, HasSubstr("\"writer\" must be one of"));
}

// What a failover does step by step: take the right from one center, and, once its leases are over, give it to another.
TEST(TopologyCodec, TheRightToWriteIsTakenUnderANewEpochOnly) {
  const auto change = [](const TopologyDocument& from, int epoch, std::vector<std::string> centers,
                         std::string writer) {
    return ChangeTopology(from, "t.json", [&](TopologyDocument& document) -> Result<void> {
      document.epoch = Epoch(epoch);
      document.centers = centers;
      document.writer = writer;
      return {};
    });
  };
  const std::vector<std::string> centers = {"east", "west"};
  const TopologyDocument held = Sample();
  EXPECT_FALSE(change(held, 3, centers, "east"));
  EXPECT_FALSE(change(held, 3, centers, ""));
  EXPECT_FALSE(change(held, 3, {}, "")) << "who has no center may then write, too";
  EXPECT_FALSE(change(held, 2, centers, "west"));
  EXPECT_THAT(change(held, 3, centers, "").error().message, HasSubstr("without raising the epoch"));
  const auto taken = change(held, 4, centers, "");
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_TRUE(change(*taken, 4, centers, "east")) << "nobody had it";
  const TopologyDocument one_place = {.revision = 1, .epoch = Epoch(1)};
  EXPECT_FALSE(change(one_place, 1, centers, "east"));
  EXPECT_TRUE(change(one_place, 2, centers, "east"));
}

TEST(TopologyCodec, RefusesANewerFormatBeforeItMeetsWhatItDoesNotKnow) {
  EXPECT_EQ(RefusalOf(R"({"format":5,"lanes":[]})"),
            "t.json: has format 5, this muster reads up to 4: it was written by a newer one; run that");
  EXPECT_THAT(RefusalOf(R"({"revision":"1","format":1,"epoch":"1","callers":[]})"),
              HasSubstr("\"format\" must be the first"));
}

TEST(TopologyCodec, NamesLineAndColumnOfAMistake) {
  EXPECT_THAT(RefusalOf("{\"format\":1,\n \"revision\":true,\"epoch\":\"1\",\"callers\":[]}"),
              StartsWith("t.json:2:13: \"revision\" must be a string; correct the file"));
  EXPECT_THAT(RefusalOf(Document("\n{\"name\":\"a\",\n\"nmae\":1}")), StartsWith("t.json:3:8: unknown field \"nmae\""));
}

struct Mistake {
  std::string text;
  std::string complaint;
};

TEST(TopologyCodec, RefusesWhatDoesNotFit) {
  const std::string caller_tail =
      R"("purpose":"p","scopes":[],"keys":[],"disabled":false,"createTime":"2026-01-02T03:04:05Z"})";
  const std::string key = R"("createTime":"2026-01-02T03:04:05Z","id":"i","hash":)";
  const std::vector<Mistake> mistakes = {
      {"", "not valid JSON"},
      {"nonsense", "not valid JSON"},
      {"[]", "an object is wanted here"},
      {R"({"format":1)", ""},
      {R"({"format":1})", "lacks \"revision\""},
      {R"({"format":0})", "\"format\" must be"},
      {R"({"format":"1"})", "\"format\" must be"},
      {R"({"format":1,"format":1})", "is there twice"},
      {R"({"format":1,"revision":"0"})", "\"revision\" must be"},
      {R"({"format":1,"revision":"-1"})", "\"revision\" must be"},
      {R"({"format":1,"revision":"1x"})", "\"revision\" must be"},
      {R"({"format":1,"revision":"99999999999999999999"})", "\"revision\" must be"},
      {R"({"format":1,"revision":"1","epoch":"1","callers":{}})", "\"callers\" must be an array"},
      {R"({"format":1,"revision":"1","epoch":"1","callers":[]} x)", "follows the end"},
      {R"({"format":1,"revision":"1","epoch":"1","callers":[]}{})", "follows the end"},
      {"{\"format\":1,\"revision\":\"\xff\"}", "not valid JSON"},
      {R"({"format":3,"revision":"1","epoch":"1","centers":"a"})", "\"centers\" must be an array"},
      {R"({"format":3,"revision":"1","epoch":"1","centers":[1]})", "\"centers\" must be a string"},
      {R"({"format":3,"revision":"1","epoch":"1","centers":[""]})", "\"centers\" must be a list of names"},
      {R"({"format":3,"revision":"1","epoch":"1","centers":["b","a"]})", "out of place"},
      {R"({"format":3,"revision":"1","epoch":"1","centers":["a","a"]})", "out of place"},
      {R"({"format":3,"revision":"1","epoch":"1","centers":["a"],"writer":"b"})", "one of the \"centers\""},
      {R"({"format":3,"revision":"1","epoch":"1","writer":"a","centers":["a"]})", "one of the \"centers\""},
      {R"({"format":3,"revision":"1","epoch":"1","centers":["a"],"writer":""})", "one of the \"centers\""},
      {R"({"format":3,"revision":"1","epoch":"1","leaseMs":99})", "from 100 to 10000"},
      {R"({"format":3,"revision":"1","epoch":"1","leaseMs":10001})", "from 100 to 10000"},
      {R"({"format":3,"revision":"1","epoch":"1","leaseMs":"1000"})", "from 100 to 10000"},
      {Document("1"), "an object is wanted"},
      {Document("{}"), "lacks \"name\""},
      {Document(R"({"name":"",)" + caller_tail), "\"name\" must be"},
      {Document(R"({"name":"b",)" + caller_tail + R"(,{"name":"a",)" + caller_tail), "out of place"},
      {Document(R"({"name":"b",)" + caller_tail + R"(,{"name":"b",)" + caller_tail), "out of place"},
      {Document(R"({"name":"b","disabled":"no"})"), "true or false"},
      {Document(R"({"name":"b","idempotencyKeyRequired":1})"), "true or false"},
      {Document(R"({"name":"b","createTime":"yesterday"})"), "a time as in"},
      {Document(R"({"name":"b","scopes":[1]})"), "\"scopes\" must be a string"},
      {Document(R"({"name":"b","keys":[{)" + key + R"("abc"}]})"), "64 hexadecimal digits"},
      {Document(R"({"name":"b","keys":[{)" + key + "\"" + std::string(64, 'g') + R"("}]})"), "64 hexadecimal digits"},
      {Document(R"({"name":"b","keys":[{"id":"i"}]})"), "lacks \"hash\""},
  };
  for (const Mistake& mistake : mistakes) {
    EXPECT_THAT(RefusalOf(mistake.text), HasSubstr(mistake.complaint)) << mistake.text;
    EXPECT_THAT(RefusalOf(mistake.text), StartsWith("t.json")) << mistake.text;
  }
}

TEST(TopologyCodec, RefusesEveryTruncation) {
  const std::string text = RenderTopology(Sample());
  for (std::size_t size = 0; size < text.size() - 1; ++size) {
    EXPECT_NE(RefusalOf(std::string_view(text).substr(0, size)), "accepted") << size;
  }
}

RC_GTEST_PROP(TopologyCodec, KeepsAnyDocument, ()) {
  const auto word =
      rc::gen::map(rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)), [](std::string s) { return s; });
  const auto time = rc::gen::map(rc::gen::inRange<std::int64_t>(1, 4'000'000'000'000'000),
                                 [](std::int64_t micros) { return Timestamp(Duration(micros)); });
  TopologyDocument document{.revision = *rc::gen::inRange<std::int64_t>(1, INT64_MAX),
                            .epoch = Epoch(*rc::gen::inRange(1, 99)),
                            .lease_ms = *rc::gen::inRange<std::int64_t>(100, 10'001)};
  for (const std::string& name : *rc::gen::container<std::set<std::string>>(rc::gen::nonEmpty(word))) {
    document.centers.push_back(name);
    if (*rc::gen::arbitrary<bool>()) document.writer = name;
  }
  for (const std::string& name : *rc::gen::container<std::set<std::string>>(rc::gen::nonEmpty(word))) {
    CallerRecord caller{.name = name,
                        .purpose = *word,
                        .disabled = *rc::gen::arbitrary<bool>(),
                        .idempotency_key_required = *rc::gen::arbitrary<bool>(),
                        .create_time = *time};
    caller.scopes = *rc::gen::container<std::vector<std::string>>(word);
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      caller.keys.push_back({.id = *word,
                             .hash_hex = kHash,
                             .create_time = *time,
                             .expire_time = *rc::gen::arbitrary<bool>() ? *time : Timestamp{}});
    }
    document.callers.push_back(std::move(caller));
  }
  const auto parsed = ParseTopology("t.json", RenderTopology(document));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == document);
}

}  // namespace
}  // namespace muster
