#include <algorithm>
#include <array>
#include <utility>

#include "api/member_fields.h"
#include "api/member_handler.h"
#include "domain/member_document.h"

namespace muster {

namespace {

constexpr std::array<std::string_view, 1> kUpdateParameters = {"updateMask"};
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kMergePatch = "application/merge-patch+json";

Error VersionMismatch() {
  return Error{.reason = Reason::kVersionMismatch,
               .message = "the member has another version than If-Match demands; read it again and decide anew"};
}

}  // namespace

Result<void> MemberHandler::AdmitWrite(Call& call, const Input& input, std::span<const std::string_view> known,
                                       std::initializer_list<std::string_view> content_types) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersWrite));
  MUSTER_TRY(query_.Parse(input.request.query, known));
  // To ignore a condition would be to write although it is false (RFC 9110 section 13.2.1).
  if (input.request.Header("If-None-Match").data() != nullptr) {
    return FailField("If-None-Match", "is for reads; the condition of a write is If-Match");
  }
  if (!input.request.body.empty()) MUSTER_TRY(CheckContentType(input.headers.content_type, content_types));
  return calls_.Hold(call, input.request.body.size() + kWriteOverheadBytes);
}

Result<void> MemberHandler::EnterIdempotency(Call& call, const Input& input, const VersionCondition& condition,
                                             const WriteContent& content) {
  if (call.is_dry_run) return {};
  MUSTER_ASSIGN(const std::string_view key, ParseIdempotencyKey(input.request.headers, idempotency_key_));
  return calls_.ledger().EnterIdempotency(call, key, condition.versions, content);
}

Result<void> MemberHandler::Register(Call& call, const Input& input) {
  MUSTER_TRY(AdmitWrite(call, input, {}, {kJson}));
  if (input.request.Header("If-Match").data() != nullptr) {
    return FailField("If-Match", "is for members that exist; leave it out of a registration");
  }
  MUSTER_ASSIGN(MemberBody body, json_.ReadMember(input.request.body));
  MUSTER_TRY(CheckOwnPast(body, *call.caller));
  MUSTER_TRY(EnterIdempotency(call, input, {}, ContentOf(body)));
  CompleteTimes(body.member, clock_.Now());
  RunWrite(call, std::nullopt,
           [this, member = std::move(body.member), imported = body.has_past](WriteContext context) mutable {
             return writer_.Register(std::move(member), imported, std::move(context));
           });
  return {};
}

Result<void> MemberHandler::Update(Call& call, const Input& input) {
  MUSTER_TRY(AdmitWrite(call, input, kUpdateParameters, {kJson, kMergePatch}));
  MUSTER_ASSIGN(VersionCondition condition, ParseIfMatch(input.request.headers));
  const auto mask_text = query_.Find("updateMask");
  std::vector<std::string> mask;
  if (mask_text) {
    MUSTER_ASSIGN(mask, ParseUpdateMask(*mask_text));
  }
  const bool null_clears = IsMediaType(input.headers.content_type, kMergePatch);
  MUSTER_ASSIGN(MemberPatch patch, json_.ReadPatch(input.request.body, mask_text ? &mask : nullptr, null_clears));
  const WriteContent content = ContentOf(patch);
  return WriteIf(call, input, std::move(condition), content,
                 [this, id = call.member, patch = std::move(patch)](WriteContext context) mutable {
                   return writer_.Update(id, std::move(patch), std::move(context));
                 });
}

Result<void> MemberHandler::Bind(Call& call, const Input& input) {
  MUSTER_TRY(AdmitWrite(call, input, {}, {kJson}));
  MUSTER_ASSIGN(VersionCondition condition, ParseIfMatch(input.request.headers));
  MUSTER_ASSIGN(Identity identity, json_.ReadIdentity(input.request.body, true));
  const WriteContent content = ContentOf(identity);
  return WriteIf(call, input, std::move(condition), content,
                 [this, id = call.member, identity = std::move(identity)](WriteContext context) mutable {
                   return writer_.Bind(id, std::move(identity), std::move(context));
                 });
}

Result<void> MemberHandler::Unbind(Call& call, const Input& input) {
  MUSTER_TRY(AdmitWrite(call, input, {}, {kJson}));
  MUSTER_ASSIGN(VersionCondition condition, ParseIfMatch(input.request.headers));
  MUSTER_ASSIGN(const Identity identity, json_.ReadIdentity(input.request.body, false));
  return WriteIf(call, input, std::move(condition), ContentOf(identity.key),
                 [this, id = call.member, key = identity.key](WriteContext context) {
                   return writer_.Unbind(id, key, std::move(context));
                 });
}

Result<void> MemberHandler::Merge(Call& call, const Input& input) {
  MUSTER_TRY(AdmitWrite(call, input, {}, {kJson}));
  MUSTER_ASSIGN(VersionCondition condition, ParseIfMatch(input.request.headers));
  MUSTER_ASSIGN(const MergeBody body, json_.ReadMerge(input.request.body));
  call.is_dry_run = body.dry_run;
  const bool is_merge = call.rpc == Rpc::kMergeMembers;
  return WriteIf(call, input, std::move(condition), ContentOf(body),
                 [this, id = call.member, body, is_merge](WriteContext context) {
                   return is_merge ? merger_.Merge(id, body.source, body.dry_run, std::move(context))
                                   : merger_.Unmerge(id, body.source, body.dry_run, std::move(context));
                 });
}

Result<void> MemberHandler::Close(Call& call, const Input& input) {
  MUSTER_TRY(AdmitWrite(call, input, {}, {kJson}));
  MUSTER_ASSIGN(VersionCondition condition, ParseIfMatch(input.request.headers));
  MUSTER_TRY(json_.ReadEmpty(input.request.body));
  return WriteIf(call, input, std::move(condition), WriteContent(),
                 [this, id = call.member](WriteContext context) { return writer_.Close(id, std::move(context)); });
}

Result<void> MemberHandler::WriteIf(Call& call, const Input& input, VersionCondition condition,
                                    const WriteContent& content, Write write) {
  MUSTER_TRY(EnterIdempotency(call, input, condition, content));
  if (condition.any) {
    RunWrite(call, std::nullopt, std::move(write));
    return {};
  }
  if (condition.versions.empty()) return Fail(VersionMismatch());
  if (condition.versions.size() == 1) {
    RunWrite(call, condition.versions.front(), std::move(write));
    return {};
  }
  // The writer takes one version: find out which of the list the member has now. If it changes in between, the writer
  // refuses.
  const ReadOptions options{.no_cache = true, .deadline = call.deadline};
  reader_->Get(call.member, options,
               [this, &call, versions = std::move(condition.versions),
                write = std::move(write)](Result<MemberAnswer> answer) mutable {
                 if (!answer) return calls_.Fail(call, answer.error());
                 if (!answer->member) {
                   return calls_.Fail(call, {.reason = Reason::kMemberNotFound, .message = "no member has this id"});
                 }
                 const Version current = answer->member->version();
                 const bool matches = std::ranges::find(versions, current) != versions.end();
                 // Of one that may have been answered before the writer knows.
                 if (!matches && !call.idempotency) return calls_.Fail(call, VersionMismatch());
                 RunWrite(call, matches ? current : versions.front(), std::move(write));
               });
  return {};
}

void MemberHandler::RunWrite(Call& call, std::optional<Version> expected, Write write) {
  WriteContext context{.caller = call.caller->name,
                       .request_id = call.request_id,
                       .deadline = call.deadline,
                       .expected_version = expected,
                       .idempotency = call.idempotency};
  const int status = call.rpc == Rpc::kRegisterMember ? 201 : 200;
  calls_.Run(call, write(std::move(context)),
             [this, status](Call& done, Result<Member> member) { AnswerWrite(done, member, status); });
}

void MemberHandler::AnswerWrite(Call& call, const Result<Member>& member, int status) {
  if (!member) return calls_.Fail(call, member.error());
  call.member = member->id;
  const std::string id = std::to_string(member->id.value());
  std::string& head = calls_.StartHead(call);
  head.append("ETag: \"").append(std::to_string(member->version.value())).append("\"\r\n");
  if (call.replayed) head.append("Idempotent-Replayed: true\r\n");
  if (status == 201) head.append("Location: /v1/members/").append(id).append("\r\n");
  std::string& body = calls_.StartBody();
  AppendMember(body, call, *MakeMemberDocument(*member));
  calls_.Answer(call, status, "application/json", body);
}

}  // namespace muster
