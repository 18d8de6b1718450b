#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/grpc_api.h"
#include "api/testing/api_fixture.h"
#include "domain/proto_writer.h"

namespace muster::testing {

// What one call was answered.
struct GrpcOutcome {
  bool answered = false;
  bool abandoned = false;
  int status = -1;
  std::string message;  // of a success
  std::string status_message;
  std::string status_details;
  std::string request_id;
  std::string trace_parent;
  std::string source;
  std::int64_t age_ms = 0;
  bool is_replayed = false;
  std::size_t held = 0;
  std::size_t hold_max = SIZE_MAX;
};

class TestGrpcSink final : public GrpcExchange::Sink {
 public:
  explicit TestGrpcSink(std::shared_ptr<GrpcOutcome> outcome) : outcome_(std::move(outcome)) {}

  void Answer(const GrpcReply& reply) override {
    EXPECT_FALSE(outcome_->answered);
    *outcome_ = {.answered = true,
                 .status = reply.status,
                 .message = std::string(reply.message),
                 .status_message = std::string(reply.status_message),
                 .status_details = std::string(reply.status_details),
                 .request_id = std::string(reply.request_id),
                 .trace_parent = std::string(reply.trace_parent),
                 .source = std::string(reply.source),
                 .age_ms = reply.age_ms,
                 .is_replayed = reply.is_replayed,
                 .held = outcome_->held,
                 .hold_max = outcome_->hold_max};
  }
  Result<void> Hold(std::size_t bytes) override {
    if (bytes > outcome_->hold_max) return Fail(Reason::kOverloaded, "no room");
    outcome_->held = bytes;
    return {};
  }
  void Abandon() override { outcome_->abandoned = true; }

 private:
  void Release() override { delete this; }
  std::shared_ptr<GrpcOutcome> outcome_;
};

// A stream whose messages can be looked at, and which takes no more than it is told.
class TestGrpcStream final : public GrpcStream {
 public:
  void Begin(const GrpcReply& reply) override { begun = !std::string_view(reply.request_id).empty(); }
  bool Write(std::string_view message) override {
    if (messages.size() >= room) return false;
    messages.emplace_back(message);
    return true;
  }
  void End(const GrpcReply& reply) override {
    EXPECT_EQ(status, -1);
    status = reply.status;
    status_details = reply.status_details;
  }
  bool begun = false;
  std::size_t room = SIZE_MAX;
  std::vector<std::string> messages;
  int status = -1;
  std::string status_details;
};

// The gRPC handler on the fakes of ApiTest.
class GrpcApiTest : public ApiTest {
 protected:
  GrpcApiTest() {
    auto reader = std::make_unique<StubReader>();
    grpc_reader_ = reader.get();
    grpc_ = MakeGrpcApi(loop_, std::move(reader), Dependencies());
  }

  struct GrpcCallOf {
    std::string method;  // of MemberService, or a whole path
    std::string message = {};
    std::string caller = "writer";  // empty: no key
    std::string timeout = {};
    std::string request_id = {};
    std::string trace_parent = {};
    std::size_t hold_max = SIZE_MAX;
    bool crowded = false;
    std::vector<std::string> idempotency_keys = {};
  };

  std::shared_ptr<GrpcOutcome> BeginGrpc(const GrpcCallOf& call) {
    auto outcome = std::make_shared<GrpcOutcome>();
    outcome->hold_max = call.hold_max;
    // Views that must not be used after Handle: the texts go away with this function.
    const auto texts = std::make_unique<GrpcCallOf>(call);
    const std::string path = call.method.starts_with('/') ? call.method : "/muster.v1.MemberService/" + call.method;
    const std::vector<std::string>& keys = texts->idempotency_keys;
    const std::string authorization = call.caller.empty() ? "" : "Bearer " + call.caller;
    grpc_->Handle({.path = path,
                   .metadata = {.authorization = authorization,
                                .timeout = texts->timeout,
                                .request_id = texts->request_id,
                                .trace_parent = texts->trace_parent,
                                .idempotency_key = keys.empty() ? std::string_view() : keys.front(),
                                .idempotency_keys = static_cast<std::uint32_t>(keys.size())},
                   .message = texts->message,
                   .crowded = call.crowded},
                  GrpcExchange(*new TestGrpcSink(outcome)));
    return outcome;
  }
  GrpcOutcome Call(const GrpcCallOf& call) {
    const auto outcome = BeginGrpc(call);
    loop_.RunUntil([&] { return outcome->answered || outcome->abandoned; });
    EXPECT_FALSE(outcome->abandoned);
    EXPECT_NE(outcome->request_id, "");
    return *outcome;
  }

  StubReader* grpc_reader_ = nullptr;
  std::unique_ptr<GrpcHandler> grpc_;
};

// A failure of that reason, with the status of the reason, and the reason in its ErrorInfo.
MATCHER_P(IsGrpcError, reason, "") {
  const ReasonDescription& row = DescribeReason(reason);
  return arg.status == row.grpc_code && arg.status_details.find(row.code) != std::string::npos &&
         arg.status_details.find(arg.request_id) != std::string::npos && !arg.status_message.empty();
}

}  // namespace muster::testing
