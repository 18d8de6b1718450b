#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/api_dependencies.h"
#include "api/change_stream.h"
#include "api/grpc.h"
#include "api/grpc_calls.h"
#include "api/grpc_health.h"
#include "api/member_batch.h"
#include "api/member_proto.h"
#include "api/member_searches.h"
#include "base/task.h"
#include "domain/ports/member_reader.h"

namespace muster {

// The GrpcHandler of grpc_api.h. One verb a method; a verb that returns an error has not answered, all others have or
// will. Reads are in grpc_member_reads.cc, writes in grpc_member_writes.cc.
class GrpcApi final : public GrpcHandler {
 public:
  GrpcApi(EventLoop& loop, std::unique_ptr<MemberReader> reader, const ApiDependencies& dependencies);

  GrpcMethodKind KindOf(std::string_view path) const override;
  Result<Waiter> WhoWaits(const GrpcRequest& known) override;
  void Handle(const GrpcRequest& request, GrpcExchange exchange) override;
  std::unique_ptr<GrpcSource> Open(const GrpcRequest& request, GrpcStream& stream) override;
  void Reject(const Error& error, const GrpcRequest& known, GrpcExchange exchange) override;
  void Tick() override;

 private:
  using Batch = MemberBatches<GrpcCall>::Batch;
  using Searches = MemberSearches<GrpcCall>;
  using Write = std::move_only_function<Task<Result<Member>>(WriteContext)>;

  Result<void> Dispatch(GrpcCall& call, const GrpcRequest& request);

  Result<void> Get(GrpcCall& call, const GrpcRequest& request);
  Result<void> Resolve(GrpcCall& call, const GrpcRequest& request);
  Result<void> BatchGet(GrpcCall& call, const GrpcRequest& request);
  Result<void> BatchResolve(GrpcCall& call, const GrpcRequest& request);
  Result<void> ListHistory(GrpcCall& call, const GrpcRequest& request);
  Result<void> GetServer(GrpcCall& call, const GrpcRequest& request);
  Result<void> CheckHealth(GrpcCall& call, const GrpcRequest& request);
  void AnswerRead(GrpcCall& call, Result<MemberAnswer> answer, Reason missing);
  void AnswerBatch(Batch& batch);
  Result<void> Search(GrpcCall& call, const GrpcRequest& request);
  void AnswerSearch(GrpcCall& call, const Result<Searches::Answer>& found);

  Result<void> Register(GrpcCall& call, const GrpcRequest& request);
  Result<void> Update(GrpcCall& call, const GrpcRequest& request);
  Result<void> Bind(GrpcCall& call, const GrpcRequest& request);
  Result<void> Unbind(GrpcCall& call, const GrpcRequest& request);
  Result<void> Merge(GrpcCall& call, const GrpcRequest& request);  // and unmerge
  Result<void> Close(GrpcCall& call, const GrpcRequest& request);
  // What every write begins with: scope, room for it. What it asks for goes to EnterIdempotency before it is run.
  Result<void> AdmitWrite(GrpcCall& call, const GrpcRequest& request);
  Result<void> EnterIdempotency(GrpcCall& call, const GrpcRequest& request, std::optional<Version> expected,
                                const WriteContent& content);
  // Runs `write`, which asks `asked` and for `content`.
  Result<void> WriteIf(GrpcCall& call, const GrpcRequest& request, const WriteRequest& asked,
                       const WriteContent& content, Write write);
  void RunWrite(GrpcCall& call, std::optional<Version> expected, Write write);
  void AnswerWrite(GrpcCall& call, const Result<Member>& member);

  MemberWriter& writer_;
  MemberMerger& merger_;
  MemberArchive& archive_;
  const Clock& clock_;
  std::function<ServerInfo()> server_;
  KeyedHash token_hash_;
  MemberProto proto_;
  std::string idempotency_key_;  // that had escapes
  GrpcCalls calls_;
  GrpcHealth health_;
  std::optional<ChangeStreams> changes_;  // none: changes are not streamed
  MemberBatches<GrpcCall> batches_;
  Searches searches_;
  std::unique_ptr<MemberReader> reader_;  // goes first: replies that it still holds refer to the rest
};

}  // namespace muster
