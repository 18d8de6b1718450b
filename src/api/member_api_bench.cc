#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>

#include "api/idempotency.h"
#include "api/json_reader.h"
#include "api/member_api.h"
#include "api/member_json.h"
#include "api/testing/fake_directory.h"
#include "api/testing/test_exchange.h"
#include "base/check.h"
#include "base/random.h"

// What the handlers cost above the HTTP server and below it: a near-cache hit, a line of an import.

namespace muster {
namespace {

class CountingSink final : public HttpExchange::Sink {
 public:
  explicit CountingSink(EventLoop& loop) : loop_(loop) {}
  EventLoop& loop() override { return loop_; }
  void Answer(const HttpExchange::Ticket&, const HttpExchange::Reply& reply) override {
    // What the server does with an answer: one copy.
    output.clear();
    output.append(reply.extra_headers).append(reply.body);
  }
  void Stream(const HttpExchange::Ticket&, const HttpExchange::Reply&, std::unique_ptr<HttpSource>) override {}
  Result<void> Hold(std::size_t, std::size_t) override { return {}; }
  void Abandon(const HttpExchange::Ticket&) override {}
  std::string output;

 private:
  EventLoop& loop_;
};

// One member, whatever is asked for: the cost of a cache is measured where the cache is.
class OneMember final : public MemberReader {
 public:
  explicit OneMember(MemberDocumentRef member) : member_(std::move(member)) {}
  void Get(MemberId, const ReadOptions&, MemberReply reply) override {
    reply(MemberAnswer{member_, Source::kNear, {}, {}});
  }
  void Resolve(const IdentityKey&, const ReadOptions&, MemberReply reply) override {
    reply(MemberAnswer{member_, Source::kNear, {}, {}});
  }
  RouteDescription Describe() const override { return {}; }

 private:
  MemberDocumentRef member_;
};

class OneCaller final : public TopologyStore {
 public:
  Result<std::shared_ptr<const TopologyDocument>> Read() override { return document_; }
  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    auto next = std::make_shared<TopologyDocument>(*document_);
    MUSTER_TRY(change(*next));
    document_ = std::move(next);
    return document_;
  }

 private:
  std::shared_ptr<const TopologyDocument> document_ = std::make_shared<TopologyDocument>();
};

// About 600 bytes of JSON, as the figures ask for.
constexpr std::string_view kLine =
    R"({"displayName":"Li Lei","realName":"李雷","gender":"MALE","birthDate":"1990-02-03","city":"Suzhou","tier":"gold",)"
    R"("tags":["frequent","newsletter"],"attributes":{"channel":"store","preferredStore":"SZ-0017"},"identities":[)"
    R"({"kind":"phone","value":"+8613800000001","verified":true,"source":"app"},)"
    R"({"kind":"unionid","platform":"wechat","value":"oA1b2c3d4e5f6g7h8i9j0"}]})";

struct Bench {
  Bench() {
    std::string key;
    MUSTER_CHECK(callers->EnsureAdmin([&](const std::string& text) -> Result<void> {
      key = text;
      return {};
    }));
    authorization = "Bearer " + key;
    Member member = json.ReadMember(kLine)->member;
    member.id = MemberId(123456789012345);
    CompleteTimes(member, clock.Now());
    handler = MakeMemberApi(loop, std::make_unique<OneMember>(MakeMemberDocument(member)),
                            {.writer = &writer,
                             .merger = &writer,
                             .archive = &archive,
                             .callers = callers.get(),
                             .catalog = &catalog,
                             .keyring = &keyring,
                             .clock = &clock,
                             .random = &random,
                             .logger = &NullLogger(),
                             .metrics = &metrics,
                             .keys_under_way = &keys_under_way,
                             .readiness = [] { return std::vector<ReadinessCheck>(); },
                             .server = [] { return ServerInfo(); }});
  }

  void Read(benchmark::State& state, std::string_view path, std::string_view query) {
    const std::array<HttpHeader, 5> headers = {{{"Host", "127.0.0.1:7400"},
                                                {"User-Agent", "bench/1.0"},
                                                {"Accept", "*/*"},
                                                {"Authorization", authorization},
                                                {"Accept-Encoding", "gzip"}}};
    HttpRequest request;
    request.method = HttpMethod::kGet;
    request.path = path;
    request.query = query;
    request.headers = headers;
    for (auto _ : state) {
      handler->Handle(request, HttpExchange(*sink, {}));
      benchmark::DoNotOptimize(sink->output.data());
    }
    state.SetLabel(std::to_string(sink->output.size()) + " bytes");
  }

  SystemClock clock;
  SeededRandom random{1};
  Keyring keyring = Keyring::Generate(random);
  IdentityCatalog catalog = IdentityCatalog::Default();
  MetricRegistry metrics;
  KeysUnderWay keys_under_way;
  OneCaller topology;
  std::unique_ptr<CallerDirectory> callers = MakeCallerDirectory(topology, keyring, clock, random);
  testing::FakeArchive archive;
  testing::StubWriter writer;
  testing::TestLoop loop;
  MemberJson json{catalog, keyring.hash_key()};
  CountingSink* sink = [this] {
    auto* made = new CountingSink(loop);
    made->AddReference();
    return made;
  }();
  std::string authorization;
  std::unique_ptr<HttpHandler> handler;
};

void BM_Get(benchmark::State& state) {
  Bench bench;
  bench.Read(state, "/v1/members/123456789012345", "");
}
BENCHMARK(BM_Get);

void BM_ResolveOpaque(benchmark::State& state) {
  Bench bench;
  bench.Read(state, "/v1/members:resolve", "kind=unionid&platform=wechat&value=oA1b2c3d4e5f6g7h8i9j0");
}
BENCHMARK(BM_ResolveOpaque);

void BM_ResolvePhone(benchmark::State& state) {
  Bench bench;
  bench.Read(state, "/v1/members:resolve", "kind=phone&value=+8613800000001");
}
BENCHMARK(BM_ResolvePhone);

void BM_ReadImportLine(benchmark::State& state) {
  Bench bench;
  std::string line(kLine);
  line.append(JsonReader::kPaddingBytes, '\0');
  for (auto _ : state) {
    auto body = bench.json.ReadMemberInPlace(std::string_view(line).substr(0, kLine.size()));
    benchmark::DoNotOptimize(body);
  }
}
BENCHMARK(BM_ReadImportLine);

}  // namespace
}  // namespace muster
