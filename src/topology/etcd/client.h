#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "topology/etcd/http.h"
#include "topology/topology_etcd.h"

namespace muster::etcd {

// What a request does, which decides what its failure means.
enum class Effect { kRead, kChange };

struct Answer {
  std::string body;
  // An earlier attempt may have reached etcd as well, and then done the same or nothing, now or later.
  bool is_repeated = false;
};

// Asks the endpoints in turn, the one that answered last first, until one answers or the deadline is over; the pauses
// between rounds grow and are random. Keeps a token of the account. Thread-safe.
class Client {
 public:
  Client(EtcdOptions options, EtcdDependencies dependencies);

  // `path` is "/v3/kv/range" and the like, `body` its JSON. Errors as of EtcdTopologyStore.
  Result<Answer> Call(std::string_view path, const std::string& body, Effect effect, Deadline deadline);

  // What opens the watch of a key at the endpoint that answered last, with the token that was good then; for Stream.
  Request WatchOf(std::string_view key);
  // Whether it goes to the endpoint that is asked first now.
  bool IsPreferred(const Request& request) const;
  // That endpoint broke off: the next one is to be asked first.
  void Avoid(const Request& request);

  // Waits for a random time below `most`, or until the deadline.
  void Rest(Duration most, Deadline deadline);

  const Tls& tls() const { return http_.tls(); }
  const Clock& clock() const { return clock_; }

 private:
  static constexpr int kRoundsMax = 20;
  static constexpr int kDoublingsMax = 4;  // of the attempt's time-out
  static constexpr Duration kRestMin = std::chrono::milliseconds(20);
  static constexpr Duration kRestMax = std::chrono::milliseconds(320);

  // Why an endpoint gave no answer.
  struct Complaint {
    enum class Cause { kUnreachable, kSilent, kTls, kAccount, kRequest };
    Cause cause = Cause::kUnreachable;
    std::string text;
    bool is_final() const { return cause == Cause::kAccount || cause == Cause::kRequest; }
  };

  std::expected<std::string, Complaint> Try(std::size_t endpoint, std::string_view path, const std::string& body,
                                            Effect effect, Deadline attempt);
  std::expected<std::string, Complaint> Post(std::size_t endpoint, std::string_view path, const std::string& body,
                                             const std::string& token, Effect effect, Deadline attempt);
  // A token of the account, a new one unless `known` is older than what is kept; empty without an account.
  std::expected<std::string, Complaint> Token(std::size_t endpoint, const std::string& known, Deadline attempt);
  std::string KeptToken();
  static Complaint Judge(const Reply& reply);
  Error Explain(const std::vector<Complaint>& complaints, Effect effect, bool is_repeated) const;

  const EtcdOptions options_;
  const Clock& clock_;
  Random& random_;
  Http http_;
  std::atomic<std::size_t> preferred_{0};

  std::mutex token_mutex_;
  std::string token_;  // guarded by token_mutex_
};

}  // namespace muster::etcd
