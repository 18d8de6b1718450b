#include <utility>

#include "api/grpc_handler.h"
#include "domain/member_document.h"
#include "domain/member_protobuf.h"

namespace muster {

Result<void> GrpcApi::AdmitWrite(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersWrite));
  return calls_.ledger().Hold(call, request.message.size() + kWriteOverheadBytes);
}

Result<void> GrpcApi::EnterIdempotency(GrpcCall& call, const GrpcRequest& request, std::optional<Version> expected,
                                       const WriteContent& content) {
  if (call.is_dry_run) return {};
  const GrpcMetadata& metadata = request.metadata;
  MUSTER_ASSIGN(const std::string_view key,
                ParseIdempotencyKey(metadata.idempotency_keys, metadata.idempotency_key, idempotency_key_));
  const std::vector<Version> condition = expected ? std::vector{*expected} : std::vector<Version>();
  return calls_.ledger().EnterIdempotency(call, key, condition, content);
}

Result<void> GrpcApi::WriteIf(GrpcCall& call, const GrpcRequest& request, const WriteRequest& asked,
                              const WriteContent& content, Write write) {
  call.member = asked.id;
  MUSTER_TRY(EnterIdempotency(call, request, asked.expected_version, content));
  RunWrite(call, asked.expected_version, std::move(write));
  return {};
}

Result<void> GrpcApi::Register(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(AdmitWrite(call, request));
  MUSTER_ASSIGN(MemberBody body, proto_.ReadRegister(request.message));
  MUSTER_TRY(CheckOwnPast(body, *call.caller));
  MUSTER_TRY(EnterIdempotency(call, request, std::nullopt, ContentOf(body)));
  CompleteTimes(body.member, clock_.Now());
  RunWrite(call, std::nullopt,
           [this, member = std::move(body.member), imported = body.has_past](WriteContext context) mutable {
             return writer_.Register(std::move(member), imported, std::move(context));
           });
  return {};
}

Result<void> GrpcApi::Update(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(AdmitWrite(call, request));
  MUSTER_ASSIGN(WriteRequest asked, proto_.ReadUpdate(request.message));
  const WriteContent content = ContentOf(asked.patch);
  MemberPatch patch = std::move(asked.patch);
  return WriteIf(call, request, asked, content,
                 [this, id = asked.id, patch = std::move(patch)](WriteContext context) mutable {
                   return writer_.Update(id, std::move(patch), std::move(context));
                 });
}

Result<void> GrpcApi::Bind(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(AdmitWrite(call, request));
  MUSTER_ASSIGN(const WriteRequest asked, proto_.ReadBind(request.message));
  return WriteIf(call, request, asked, ContentOf(asked.identity),
                 [this, id = asked.id, identity = asked.identity](WriteContext context) mutable {
                   return writer_.Bind(id, std::move(identity), std::move(context));
                 });
}

Result<void> GrpcApi::Unbind(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(AdmitWrite(call, request));
  MUSTER_ASSIGN(const WriteRequest asked, proto_.ReadUnbind(request.message));
  return WriteIf(call, request, asked, ContentOf(asked.identity.key),
                 [this, id = asked.id, key = asked.identity.key](WriteContext context) {
                   return writer_.Unbind(id, key, std::move(context));
                 });
}

Result<void> GrpcApi::Merge(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(AdmitWrite(call, request));
  MUSTER_ASSIGN(const WriteRequest asked, proto_.ReadMerge(request.message));
  call.is_dry_run = asked.merge.dry_run;
  const bool is_merge = call.rpc == Rpc::kMergeMembers;
  return WriteIf(call, request, asked, ContentOf(asked.merge),
                 [this, id = asked.id, body = asked.merge, is_merge](WriteContext context) {
                   return is_merge ? merger_.Merge(id, body.source, body.dry_run, std::move(context))
                                   : merger_.Unmerge(id, body.source, body.dry_run, std::move(context));
                 });
}

Result<void> GrpcApi::Close(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(AdmitWrite(call, request));
  MUSTER_ASSIGN(const WriteRequest asked, proto_.ReadClose(request.message));
  return WriteIf(call, request, asked, WriteContent(),
                 [this, id = asked.id](WriteContext context) { return writer_.Close(id, std::move(context)); });
}

void GrpcApi::RunWrite(GrpcCall& call, std::optional<Version> expected, Write write) {
  WriteContext context{.caller = call.caller->name,
                       .request_id = call.request_id,
                       .deadline = call.deadline,
                       .expected_version = expected,
                       .idempotency = call.idempotency};
  calls_.ledger().Run(call, write(std::move(context)),
                      [this](GrpcCall& done, const Result<Member>& member) { AnswerWrite(done, member); });
}

void GrpcApi::AnswerWrite(GrpcCall& call, const Result<Member>& member) {
  if (!member) return calls_.Fail(call, member.error());
  call.member = member->id;
  std::string& message = calls_.StartMessage();
  AppendMemberProtobuf(message, *MakeMemberDocument(*member), !call.caller->Has(Scope::kPersonalRead));
  calls_.Answer(call, message);
}

}  // namespace muster
