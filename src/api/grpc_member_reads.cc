#include <algorithm>
#include <utility>

#include "api/grpc_handler.h"
#include "api/grpc_status.h"
#include "api/member_handler.h"
#include "api/page_token.h"
#include "domain/change.h"
#include "domain/member_protobuf.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

bool SeesPersonal(const GrpcCall& call) { return call.caller->Has(Scope::kPersonalRead); }

// A muster.v1.Change.
void WriteChange(ProtoWriter& proto, const Change& change) {
  proto.Number(1, change.version.value());
  proto.Number(2, static_cast<std::int64_t>(change.type));
  proto.Time(3, change.time);
  proto.Text(4, change.caller);
  proto.Text(5, change.request_id);
  for (const std::string& field : change.fields) proto.Bytes(6, field);
  for (const Change::IdentityRef& identity : change.identities) {
    const std::size_t one = proto.Begin(7);
    proto.Text(1, identity.kind);
    proto.Text(2, identity.platform);
    proto.End(one);
  }
  proto.Number(8, change.other_member_id.value());
}

// A muster.v1.ItemError.
void WriteItemError(ProtoWriter& proto, const Error& error) {
  const ReasonDescription& reason = DescribeReason(error.reason);
  proto.Text(1, reason.code);
  proto.Text(2, error.message);
  proto.Bool(3, reason.retryable);
  for (const FieldViolation& violation : error.violations) {
    const std::size_t one = proto.Begin(4);
    proto.Text(1, ProtoFieldPath(violation.field));
    proto.Text(2, violation.description);
    proto.End(one);
  }
}

GrpcOrigin OriginOf(const MemberAnswer& answer) {
  return {.source = SourceName(answer.source), .age_ms = answer.age.count() / 1000};
}

}  // namespace

Result<void> GrpcApi::Get(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersRead));
  MUSTER_ASSIGN(const GetRequest asked, proto_.ReadGet(request.message));
  call.member = asked.id;
  // Two words: small enough to be kept in the callback itself.
  reader_->Get(
      asked.id, {.min_version = asked.min_version, .no_cache = asked.no_cache, .deadline = call.deadline},
      [this, &call](Result<MemberAnswer> answer) { AnswerRead(call, std::move(answer), Reason::kMemberNotFound); });
  return {};
}

Result<void> GrpcApi::Resolve(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersRead));
  MUSTER_ASSIGN(const ResolveRequest asked, proto_.ReadResolve(request.message));
  reader_->Resolve(
      asked.key, {.min_version = asked.min_version, .no_cache = asked.no_cache, .deadline = call.deadline},
      [this, &call](Result<MemberAnswer> answer) { AnswerRead(call, std::move(answer), Reason::kIdentityNotFound); });
  return {};
}

void GrpcApi::AnswerRead(GrpcCall& call, Result<MemberAnswer> answer, Reason missing) {
  if (!answer) return calls_.Fail(call, answer.error());
  if (!answer->member) return calls_.Fail(call, MissingError(missing), OriginOf(*answer));
  call.member = answer->member->id();
  std::string& message = calls_.StartMessage();
  AppendMemberProtobuf(message, *answer->member, !SeesPersonal(call));
  calls_.Answer(call, message, OriginOf(*answer));
}

Result<void> GrpcApi::BatchGet(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersRead));
  MUSTER_ASSIGN(const BatchGetRequest asked, proto_.ReadBatchGet(request.message));
  const ReadOptions options{.no_cache = asked.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(Batch* const started, batches_.Start(call, Reason::kMemberNotFound, asked.ids.size()));
  Batch& batch = *started;
  for (std::size_t i = 0; i < asked.ids.size(); ++i) reader_->Get(asked.ids[i], options, batch.ReplyAt(i));
  batches_.FinishOne(batch);
  return {};
}

Result<void> GrpcApi::BatchResolve(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersRead));
  MUSTER_ASSIGN(BatchResolveRequest asked, proto_.ReadBatchResolve(request.message));
  const ReadOptions options{.no_cache = asked.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(Batch* const started, batches_.Start(call, Reason::kIdentityNotFound, asked.keys.size()));
  Batch& batch = *started;
  for (std::size_t i = 0; i < asked.keys.size(); ++i) {
    if (asked.keys[i]) {
      reader_->Resolve(*asked.keys[i], options, batch.ReplyAt(i));
    } else {
      batch.ReplyAt(i)(std::unexpected(std::move(asked.keys[i]).error()));
    }
  }
  batches_.FinishOne(batch);
  return {};
}

void GrpcApi::AnswerBatch(Batch& batch) {
  GrpcCall& call = *batch.call;
  if (batch.refusal) return calls_.Fail(call, *batch.refusal);
  const Error missing = MissingError(batch.missing);
  std::string& message = calls_.StartMessage();
  ProtoWriter proto(message);
  for (const Result<MemberAnswer>& answer : batch.answers) {
    const std::size_t result = proto.Begin(1);
    const bool is_found = answer && answer->member;
    const std::size_t outcome = proto.Begin(is_found ? 1 : 2);
    if (is_found) {
      AppendMemberProtobuf(message, *answer->member, !SeesPersonal(call));
    } else {
      WriteItemError(proto, answer ? missing : answer.error());
    }
    proto.End(outcome);
    proto.End(result);
  }
  const MemberAnswer* const oldest = batch.Oldest();
  calls_.Answer(call, message, oldest != nullptr ? OriginOf(*oldest) : GrpcOrigin());
}

Result<void> GrpcApi::Search(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersRead));
  MUSTER_ASSIGN(const SearchBody asked, MemberProto::ReadSearch(request.message));
  return searches_.Start(call, asked);
}

void GrpcApi::AnswerSearch(GrpcCall& call, const Result<Searches::Answer>& found) {
  if (!found) return calls_.Fail(call, found.error());
  std::string& message = calls_.StartMessage();
  ProtoWriter proto(message);
  for (const MemberDocumentRef& member : found->members) {
    const std::size_t one = proto.Begin(1);
    AppendMemberProtobuf(message, *member, !SeesPersonal(call));
    proto.End(one);
  }
  proto.Text(2, found->next_token);
  calls_.Answer(call, message);
}

Result<void> GrpcApi::ListHistory(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata, Scope::kMembersRead));
  MUSTER_ASSIGN(const HistoryRequest asked, proto_.ReadHistory(request.message));
  call.member = asked.id;
  const auto page_size =
      static_cast<std::size_t>(asked.page_size == 0 ? kHistoryPageDefault : std::min(asked.page_size, kHistoryPageMax));
  Version before(INT64_MAX);
  if (!asked.page_token.empty()) {
    MUSTER_ASSIGN(before, ReadPageToken(token_hash_, call.caller->name, call.member, asked.page_token, clock_.Now()));
  }
  // One more than the page shows whether there is a next one.
  MUSTER_ASSIGN(auto changes, archive_.ListHistory(call.member, before, page_size + 1));
  // A member has at least the change that made it.
  if (changes.empty() && asked.page_token.empty()) return Fail(Reason::kMemberNotFound, "no member has this id");
  std::string next_token;
  if (changes.size() > page_size) {
    changes.resize(page_size);
    next_token = MakePageToken(token_hash_, call.caller->name, call.member, changes.back().version, clock_.Now());
  }
  std::string& message = calls_.StartMessage();
  ProtoWriter proto(message);
  for (const Change& change : changes) {
    const std::size_t one = proto.Begin(1);
    WriteChange(proto, change);
    proto.End(one);
  }
  proto.Text(2, next_token);
  calls_.Answer(call, message);
  return {};
}

Result<void> GrpcApi::GetServer(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_TRY(calls_.Admit(call, request.metadata));
  MUSTER_TRY(MemberProto::ReadEmpty(request.message));
  const ServerInfo info = server_();
  std::string& message = calls_.StartMessage();
  ProtoWriter proto(message);
  proto.Text(1, info.version);
  proto.Text(2, info.center);
  proto.Number(3, info.epoch);
  proto.Text(4, info.admin_address);
  proto.Text(5, info.installation);
  proto.Text(6, info.grpc_address);
  calls_.Answer(call, message);
  return {};
}

Result<void> GrpcApi::CheckHealth(GrpcCall& call, const GrpcRequest& request) {
  MUSTER_ASSIGN(const HealthStatus status, health_.Check(request.message));
  std::string& message = calls_.StartMessage();
  ProtoWriter(message).Number(1, static_cast<std::int64_t>(status));
  calls_.Answer(call, message);
  return {};
}

}  // namespace muster
