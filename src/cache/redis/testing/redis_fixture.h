#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/socket_loop.h"
#include "cache/redis/center.h"
#include "cache/redis/testing/poll_loop.h"
#include "domain/keyring.h"
#include "domain/ports/center_cache.h"

// What tests of the cache on Redis share. Where no Redis is installed all of them are skipped.
namespace muster::testing {

// A Redis of its own, on a port of 127.0.0.1 and a temporary directory. It ends with this object.
class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;

  void Start();   // again, on its data; waits until it answers
  void Kill();    // kill -9, and waits for its end
  void Freeze();  // SIGSTOP, and waits until it stands still
  void Thaw();
  // Waits until it answers.
  void AwaitAnswer();

  // One command on a connection of its own; the answer as text: an array's parts in lines, an error as "-…".
  std::string Run(const std::vector<std::string>& words) const;
  // Until the answer holds `text`.
  bool Await(const std::vector<std::string>& words, const std::string& text) const;

  std::uint16_t port() const { return port_; }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& directory() const { return directory_; }
  std::string password;  // of Run

 private:
  std::string directory_;
  const std::vector<std::string> arguments_;
  const std::uint16_t port_;
  pid_t process_ = 0;
};

// One server for all tests that leave it as they found it (data may stay: each test has a prefix of its own).
RedisServer& SharedRedis();

// Within the tests' patience, looking again and again.
bool RedisWaitUntil(const std::function<bool()>& done);

// Processes of one center, which all follow `state`, on one loop.
class RedisCenters {
 public:
  // With a prefix of its own and short times.
  static RedisOptions Options(std::vector<std::string> endpoints);

  explicit RedisCenters(const RedisOptions& options, int views = 2);
  ~RedisCenters();
  RedisCenters(const RedisCenters&) = delete;

  RedisCenterCache& view(int number) { return *views_[static_cast<std::size_t>(number)]; }
  void EndView(int number) { views_[static_cast<std::size_t>(number)].reset(); }
  bool RunUntil(const std::function<bool()>& done) { return loop.RunUntil(done); }
  // Begins the epoch when all is in reach and makes it the state, ON; and waits until all views can read.
  void BeginAndUse(Epoch epoch);
  Result<bool> Begin(Epoch epoch);
  bool AwaitReachable();
  bool AwaitReadable();

  MemberLookup Get(std::int64_t id, int number = 0);
  HolderLookup Find(const IdentityKey& key, int number = 0);
  Invalidation Touch(std::int64_t id, std::int64_t version, int number = 0, Duration timeout = std::chrono::seconds(1));
  // A miss with a lease, a fill, and whether it was taken.
  bool Fill(std::int64_t id, std::int64_t version, int number = 0);
  std::uint64_t Counter(const std::string& name, int number = 0);

  PollLoop loop;
  SystemClock clock;
  SystemRandom random;
  Keyring keyring = Keyring::Generate(random);
  Logger* logger = &NullLogger();
  CacheState state{};
  const RedisOptions options;

 private:
  template <typename Answer, typename Ask>
  Answer Await(const Ask& ask);

  std::vector<std::unique_ptr<RedisCenterCache>> views_;
  std::int64_t unused_id_ = 1'000'000'000;
};

MemberDocumentRef CenterDocument(std::int64_t id, std::int64_t version, const std::vector<IdentityKey>& keys = {});

}  // namespace muster::testing
