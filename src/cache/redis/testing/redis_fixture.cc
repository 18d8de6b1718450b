#include "cache/redis/testing/redis_fixture.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>
#include <utility>

#include "base/check.h"

namespace muster::testing {
namespace {

constexpr char kRedisServer[] = "/usr/bin/redis-server";
constexpr std::chrono::seconds kRedisPatience{20};
constexpr std::chrono::milliseconds kRedisLookAgain{2};

// Skips all tests where there is no Redis to start; with MUSTER_REQUIRE_TOOLS=1 that fails.
class NeedsRedis final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (::access(kRedisServer, X_OK) == 0) return;
    const char* const why = "Redis is not installed (apt-get install redis-server)";
    const char* const required = std::getenv("MUSTER_REQUIRE_TOOLS");
    std::fprintf(stderr, "skipped: %s\n", why);
    if (required != nullptr && std::string_view(required) == "1") FAIL() << why;
    GTEST_SKIP() << why;
  }
};
const ::testing::Environment* const kNeedsRedis = ::testing::AddGlobalTestEnvironment(new NeedsRedis);

bool IsFreePort(int port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool is_free = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(listener);
  return is_free;
}

// One whose neighbour 10,000 higher, on which nodes of a Cluster talk, is free as well; none of those that the kernel
// gives to whoever connects.
std::uint16_t FreeRedisPort() {
  constexpr int kFirst = 12'000;
  constexpr int kCount = 8'000;
  constexpr int kBus = 10'000;
  static int next = static_cast<int>(std::random_device()() % kCount);
  for (int i = 0; i < kCount; ++i) {
    next = (next + 1) % kCount;
    if (IsFreePort(kFirst + next) && IsFreePort(kFirst + next + kBus)) return static_cast<std::uint16_t>(kFirst + next);
  }
  MUSTER_UNREACHABLE("no port is free");
}

std::string TextOf(const redisReply* reply) {
  switch (reply->type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply->integer);
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_ERROR:
      return "-" + std::string(reply->str, reply->len);
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (std::size_t i = 0; i < reply->elements; ++i) text += TextOf(reply->element[i]) + "\n";
      return text;
    }
    default:
      return {reply->str, reply->len};
  }
}

}  // namespace

bool RedisWaitUntil(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kRedisPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(kRedisLookAgain);
  }
  return true;
}

RedisServer::RedisServer(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), port_(FreeRedisPort()) {
  std::string name = (std::filesystem::temp_directory_path() / "muster-redis-XXXXXX").string();
  MUSTER_CHECK(::mkdtemp(name.data()) != nullptr);
  directory_ = name;
  Start();
}

RedisServer::~RedisServer() {
  if (process_ > 0) Kill();
  std::filesystem::remove_all(directory_);
}

void RedisServer::Start() {
  MUSTER_CHECK(process_ == 0);
  std::vector<std::string> command = {kRedisServer,
                                      "--port",
                                      std::to_string(port_),
                                      "--bind",
                                      "127.0.0.1",
                                      "--dir",
                                      directory_,
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no",
                                      "--enable-debug-command",
                                      "yes",
                                      "--repl-diskless-sync-delay",
                                      "0",
                                      "--loglevel",
                                      "warning"};
  command.insert(command.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string output = directory_ + "/log";
  process_ = ::fork();
  MUSTER_CHECK(process_ >= 0);
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left when the test dies
    if (std::freopen(output.c_str(), "a", stdout) == nullptr || ::dup2(STDOUT_FILENO, STDERR_FILENO) < 0) ::_exit(126);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  AwaitAnswer();
}

void RedisServer::AwaitAnswer() {
  MUSTER_CHECK(RedisWaitUntil([&] {
    const std::string answer = Run({"PING"});
    return answer == "PONG" || answer.starts_with("-NOAUTH");
  }));
}

void RedisServer::Kill() {
  MUSTER_CHECK(::kill(process_, SIGKILL) == 0);
  MUSTER_CHECK(::waitpid(std::exchange(process_, 0), nullptr, 0) > 0);
}

void RedisServer::Freeze() {
  int status = 0;
  MUSTER_CHECK(::kill(process_, SIGSTOP) == 0);
  MUSTER_CHECK(::waitpid(process_, &status, WUNTRACED) > 0 && WIFSTOPPED(status));
}

void RedisServer::Thaw() { MUSTER_CHECK(::kill(process_, SIGCONT) == 0); }

std::string RedisServer::Run(const std::vector<std::string>& words) const {
  const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
      redisConnectWithTimeout("127.0.0.1", port_, timeval{.tv_sec = 5, .tv_usec = 0}), redisFree);
  if (context == nullptr || context->err != 0) return {};
  redisSetTimeout(context.get(), timeval{.tv_sec = 5, .tv_usec = 0});
  std::string text;
  const auto ask = [&](const std::vector<std::string>& command) {
    std::vector<const char*> pointers;
    std::vector<std::size_t> sizes;
    for (const std::string& word : command) {
      pointers.push_back(word.data());
      sizes.push_back(word.size());
    }
    auto* const reply = static_cast<redisReply*>(
        redisCommandArgv(context.get(), static_cast<int>(command.size()), pointers.data(), sizes.data()));
    if (reply == nullptr) return text.clear();
    text = TextOf(reply);
    freeReplyObject(reply);
  };
  if (!password.empty()) ask({"AUTH", password});
  ask(words);
  return text;
}

bool RedisServer::Await(const std::vector<std::string>& words, const std::string& text) const {
  return RedisWaitUntil([&] { return Run(words).contains(text); });
}

RedisServer& SharedRedis() {
  static RedisServer server;
  return server;
}

RedisOptions RedisCenters::Options(std::vector<std::string> endpoints) {
  static std::atomic<int> number{0};
  RedisOptions options;
  options.endpoints = std::move(endpoints);
  options.prefix = "test" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  options.request_timeout_ms = 1'000;  // sanitizers and busy machines; tests of time-outs have their own
  options.lease_ms = 300;
  options.fill_wait_ms = 1;
  return options;
}

RedisCenters::RedisCenters(const RedisOptions& all_options, int views) : options(all_options) {
  for (int i = 0; i < views; ++i) {
    RedisDependencies dependencies{.loop = &loop,
                                   .clock = &clock,
                                   .random = &random,
                                   .keyring = &keyring,
                                   .logger = logger,
                                   .state = [this] { return state; },
                                   .center = "a"};
    auto made = MakeRedisCenter(options, dependencies);
    if (!made) MUSTER_UNREACHABLE(made.error().message);
    views_.push_back(*std::move(made));
  }
}

RedisCenters::~RedisCenters() { views_.clear(); }

template <typename Answer, typename Ask>
Answer RedisCenters::Await(const Ask& ask) {
  std::optional<Answer> answer;
  ask([&answer](Answer got) {
    EXPECT_FALSE(answer.has_value()) << "answered twice";
    answer.emplace(std::move(got));
  });
  EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
  return answer.value();
}

MemberLookup RedisCenters::Get(std::int64_t id, int number) {
  return Await<MemberLookup>([&](auto reply) { view(number).Get(MemberId(id), Deadline(), std::move(reply)); });
}

HolderLookup RedisCenters::Find(const IdentityKey& key, int number) {
  return Await<HolderLookup>([&](auto reply) { view(number).FindHolder(key, Deadline(), std::move(reply)); });
}

Invalidation RedisCenters::Touch(std::int64_t id, std::int64_t version, int number, Duration timeout) {
  return Await<Invalidation>([&](auto reply) {
    view(number).Invalidate({.members = {{MemberId(id), Version(version)}}}, Deadline::After(clock, timeout),
                            std::move(reply));
  });
}

bool RedisCenters::Fill(std::int64_t id, std::int64_t version, int number) {
  const MemberLookup miss = Get(id, number);
  if (miss.kind != LookupKind::kMiss || miss.token == FillToken(0)) return false;
  const std::uint64_t before = Counter("fills", number), refused_before = Counter("fills_refused", number);
  view(number).Fill(MemberId(id), CenterDocument(id, version), miss.token);
  EXPECT_TRUE(
      RunUntil([&] { return Counter("fills", number) + Counter("fills_refused", number) > before + refused_before; }));
  return Counter("fills", number) > before;
}

std::uint64_t RedisCenters::Counter(const std::string& name, int number) {
  for (const auto& [known, count] : view(number).Counters()) {
    if (known == name) return count;
  }
  MUSTER_UNREACHABLE("no such counter");
}

Result<bool> RedisCenters::Begin(Epoch epoch) {
  EXPECT_TRUE(AwaitReachable());
  return Await<Result<bool>>([&](auto reply) {
    view(0).BeginEpoch(epoch, Deadline::After(clock, std::chrono::seconds(10)), std::move(reply));
  });
}

bool RedisCenters::AwaitReachable() {
  return RunUntil([&] {
    for (const auto& one : views_) {
      if (!one->IsReachable()) return false;
    }
    return true;
  });
}

bool RedisCenters::AwaitReadable() {
  for (int i = 0; i < static_cast<int>(views_.size()); ++i) {
    if (!RunUntil([&] { return Get(++unused_id_, i).kind != LookupKind::kUnusable; })) return false;
  }
  return true;
}

void RedisCenters::BeginAndUse(Epoch epoch) {
  // Servers that answer too late where everything waits for a processor are asked again, as the keeper does.
  Result<bool> begun = Begin(epoch);
  for (int again = 0; again < 20 && !begun && begun.error().reason == Reason::kOverloaded; ++again)
    begun = Begin(epoch);
  ASSERT_TRUE(begun) << begun.error().message;
  state = {.epoch = epoch, .mode = CacheMode::kOn};
  ASSERT_TRUE(AwaitReadable());
}

MemberDocumentRef CenterDocument(std::int64_t id, std::int64_t version, const std::vector<IdentityKey>& keys) {
  Member member;
  member.id = MemberId(id);
  member.version = Version(version);
  member.display_name = "member " + std::to_string(id);
  for (const IdentityKey& key : keys) {
    Identity& identity = member.identities.emplace_back();
    identity.kind = "account";
    identity.value = Pii<std::string>("value");
    identity.key = key;
  }
  return MakeMemberDocument(member);
}

}  // namespace muster::testing
