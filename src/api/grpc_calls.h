#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/api_dependencies.h"
#include "api/call_ledger.h"
#include "api/grpc.h"
#include "api/rpc.h"

namespace muster {

// One unary call between its arrival and its answer.
struct GrpcCall : CallFacts {
  std::optional<GrpcExchange> exchange;
};

// What an answer says of where it came from.
struct GrpcOrigin {
  std::string_view source = {};
  std::int64_t age_ms = 0;
};

// The gRPC calls of one loop; `Calls` is the same for HTTP. Objects are used again, so that a call costs no allocation.
// Threads and the end: as CallLedger's.
class GrpcCalls {
 public:
  GrpcCalls(EventLoop& loop, const ApiDependencies& dependencies) : ledger_(loop, dependencies, "grpc") {}

  // Takes a call up. Null when there are CallPool::kCallsMax already: it is answered OVERLOADED.
  GrpcCall* Begin(Rpc rpc, const GrpcMetadata& metadata, GrpcExchange exchange);
  // Reads the deadline and says who calls. UNAUTHENTICATED, PERMISSION_DENIED when `scope` is missing,
  // INVALID_ARGUMENT.
  Result<void> Admit(GrpcCall& call, const GrpcMetadata& metadata, Scope scope);
  Result<void> Admit(GrpcCall& call, const GrpcMetadata& metadata);

  // An empty buffer for the next answer's message.
  std::string& StartMessage();
  // Each ends the call: `call` is gone afterwards. A large answer (kLargeAnswerBytes) to a read becomes an error when
  // there is no room for it.
  void Answer(GrpcCall& call, std::string_view message, const GrpcOrigin& origin = {});
  void Fail(GrpcCall& call, const Error& error, const GrpcOrigin& origin = {});

  // For calls with streams, which have facts of their own: `ledger` to begin and close them, and the reply that an
  // error makes, which holds until the next one is made.
  CallLedger& ledger() { return ledger_; }
  GrpcReply MakeFailure(const CallFacts& call, const Error& error);

 private:
  void End(GrpcCall& call, int http_status, std::optional<Reason> reason);

  CallPool<GrpcCall> pool_;
  std::string message_;
  std::string status_message_;
  std::string status_details_;
  CallLedger ledger_;  // goes first: it waits for writes that refer to calls
};

}  // namespace muster
