#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/client/http_client.h"
#include "base/clock.h"
#include "base/random.h"
#include "domain/ids.h"
#include "domain/synthetic_members.h"

namespace muster {

// A gentle load on a server, at a constant rate over one connection: mostly gets, some resolves, a few updates; the
// first members more often than the last. Owns one thread.
class DemoLoad {
 public:
  struct Options {
    int requests_a_second = 200;
    std::uint64_t seed = 1;
  };
  // `members` are those of `synthetic` from index 0 on, and not none.
  DemoLoad(const Options& options, HttpClientOptions server, const SyntheticMembers& synthetic,
           std::vector<MemberId> members, const Clock& clock);
  ~DemoLoad();  // stops

  void Start();
  void Stop();

  // What happened since the last call.
  struct Window {
    double seconds = 0;
    std::uint64_t requests = 0;
    std::uint64_t failures = 0;  // no answer, or one that is not 2xx
    std::uint64_t reads = 0;
    std::uint64_t near_hits = 0;  // of the reads
    Duration p50{0};
    Duration p99{0};
  };
  Window TakeWindow();

  // "200 requests/s, p50 0.31 ms, p99 1.20 ms, near cache 83 %".
  static std::string Describe(const Window& window);

 private:
  void Loop();
  void SendOne();
  void Record(bool ok, bool is_read, bool is_near, Duration latency);
  // Waits until then; false when it is to stop.
  bool WaitUntil(Instant then);

  const Options options_;
  HttpClient client_;  // of the thread
  const SyntheticMembers& synthetic_;
  const std::vector<MemberId> members_;
  const Clock& clock_;
  SeededRandom random_;  // of the thread

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  Window window_;
  std::vector<Duration> latencies_;
  Instant window_start_;

  std::thread thread_;
};

}  // namespace muster
