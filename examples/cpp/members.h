#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "muster/v1/member_service.grpc.pb.h"

// What a caller of muster has to do about failures.
//
// * One deadline a call, over all its attempts.
// * Repeated is only what may be: an error with a RetryInfo, or a connection that broke. A write carries an
// Idempotency-Key,
//   the same for every attempt, so that it is done once.
// * Between attempts: what RetryInfo asks for, and exponential back-off with full jitter, so that callers spread out.
// * A budget: retries are at most a tenth of all calls in the long run, so that they never become the overload
// themselves.

// Every call puts in a tenth of a retry, every retry takes out a whole one. Thread-safe: one for a process.
class RetryBudget {
 public:
  void OnCall();
  bool Take();

 private:
  static constexpr double kShare = 0.1;
  static constexpr double kMost = 10;
  std::mutex mutex_;
  double left_ = kMost;
};

struct Outcome {
  grpc::Status status;
  std::string reason;  // the code of muster's closed table; empty when muster did not answer
  muster::v1::Member member;
};

// Calls for one member; not for several threads.
class Members {
 public:
  using Stub = muster::v1::MemberService::Stub;
  template <typename Request>
  using Rpc = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, muster::v1::Member*);

  Members(const std::string& address, std::string key, RetryBudget& budget);

  template <typename Request>
  Outcome Call(Rpc<Request> rpc, const Request& request) {
    const Attempts attempts = Begin();
    for (int attempt = 0;; ++attempt) {
      Outcome outcome;
      grpc::ClientContext context;
      Prepare(context, attempts);
      outcome.status = (stub_.get()->*rpc)(&context, request, &outcome.member);
      if (!WaitToRepeat(outcome, attempts, attempt)) return outcome;
    }
  }

 private:
  // What is the same for all attempts of a call.
  struct Attempts {
    std::chrono::system_clock::time_point deadline;
    std::string idempotency_key;
  };
  Attempts Begin();
  void Prepare(grpc::ClientContext& context, const Attempts& attempts) const;
  // Sets the reason; false when the outcome is the call's.
  bool WaitToRepeat(Outcome& outcome, const Attempts& attempts, int attempt);

  std::unique_ptr<Stub> stub_;
  std::string key_;
  RetryBudget& budget_;
  std::mt19937_64 random_{std::random_device()()};
};
