#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "api/member_handler.h"
#include "api/page_token.h"
#include "domain/change.h"
#include "domain/json_writer.h"

namespace muster {

namespace {

constexpr std::array<std::string_view, 1> kGetParameters = {"minVersion"};
constexpr std::array<std::string_view, 4> kResolveParameters = {"kind", "value", "platform", "minVersion"};
constexpr std::array<std::string_view, 2> kHistoryParameters = {"pageSize", "pageToken"};

void AppendNumber(std::string& out, std::int64_t number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void WriteChange(JsonWriter& json, const Change& change) {
  json.BeginObject();
  json.Key("version").Number64(change.version.value());
  json.Key("type").String(ChangeTypeName(change.type));
  json.Key("changeTime").Time(change.time);
  json.Key("caller").String(change.caller);
  json.Key("requestId").String(change.request_id);
  if (!change.fields.empty()) {
    json.Key("fields").BeginArray();
    for (const std::string& field : change.fields) json.String(field);
    json.EndArray();
  }
  if (!change.identities.empty()) {
    json.Key("identities").BeginArray();
    for (const Change::IdentityRef& identity : change.identities) {
      json.BeginObject();
      json.Key("kind").String(identity.kind);
      if (!identity.platform.empty()) json.Key("platform").String(identity.platform);
      json.EndObject();
    }
    json.EndArray();
  }
  if (change.other_member_id != MemberId{}) json.Key("otherMemberId").Number64(change.other_member_id.value());
  json.EndObject();
}

}  // namespace

void MemberHandler::AppendOrigin(std::string& head, const MemberAnswer& answer) {
  head.append("X-Muster-Source: ").append(SourceName(answer.source)).append("\r\nX-Muster-Age-Ms: ");
  AppendNumber(head, answer.age.count() / 1000);
  head.append("\r\n");
}

// The parameters are parsed before.
Result<ReadOptions> MemberHandler::OptionsOf(const Call& call, const Input& input) {
  ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(const std::int64_t min_version, query_.Integer("minVersion", 0, 0, INT64_MAX));
  options.min_version = Version(min_version);
  return options;
}

Result<void> MemberHandler::Get(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, kGetParameters));
  MUSTER_ASSIGN(const ReadOptions options, OptionsOf(call, input));
  MUSTER_TRY(calls_.KeepCondition(call, input.headers.if_none_match));
  // Two words: small enough to be kept in the callback itself.
  reader_->Get(call.member, options, [this, &call](Result<MemberAnswer> answer) {
    AnswerRead(call, std::move(answer), Reason::kMemberNotFound);
  });
  return {};
}

Result<void> MemberHandler::Resolve(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, kResolveParameters));
  MUSTER_ASSIGN(const ReadOptions options, OptionsOf(call, input));
  const auto kind = query_.Find("kind");
  const auto value = query_.Find("value");
  if (!kind) return FailField("kind", "is required: ?kind=phone&value=+8613800000000");
  if (!value) return FailField("value", "is required: ?kind=phone&value=+8613800000000");
  MUSTER_ASSIGN(const IdentityKey key, json_.KeyOf(*kind, query_.Find("platform").value_or(""), *value));
  // If-None-Match is not for this: the tag is a version, and another member may have come to hold the identity with it.
  reader_->Resolve(key, options, [this, &call](Result<MemberAnswer> answer) {
    AnswerRead(call, std::move(answer), Reason::kIdentityNotFound);
  });
  return {};
}

void MemberHandler::AnswerRead(Call& call, Result<MemberAnswer> answer, Reason missing) {
  if (!answer) return calls_.Fail(call, answer.error());
  std::string& head = calls_.StartHead(call);
  AppendOrigin(head, *answer);
  if (!answer->member) return calls_.FailWithHead(call, MissingError(missing));
  const MemberDocument& document = *answer->member;
  call.member = document.id();
  head.append("ETag: \"");
  AppendNumber(head, document.version().value());
  // What is shown depends on the caller's scopes.
  head.append("\"\r\nVary: Authorization\r\n");
  if (NamesVersion(call.if_none_match, document.version())) return calls_.Answer(call, 304, {}, {});
  if (call.caller->Has(Scope::kPersonalRead)) return calls_.Answer(call, 200, "application/json", document.json());
  std::string& body = calls_.StartBody();
  document.AppendMasked(body);
  calls_.Answer(call, 200, "application/json", body);
}

Result<void> MemberHandler::ListHistory(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, kHistoryParameters));
  MUSTER_ASSIGN(std::int64_t page_size, query_.Integer("pageSize", 0, 0, INT32_MAX));
  page_size = page_size == 0 ? kHistoryPageDefault : std::min(page_size, kHistoryPageMax);
  const std::string_view token = query_.Find("pageToken").value_or("");
  Version before(INT64_MAX);
  if (!token.empty()) {
    MUSTER_ASSIGN(before, ReadPageToken(token_hash_, call.caller->name, call.member, token, clock_.Now()));
  }
  // One more than the page shows whether there is a next one.
  MUSTER_ASSIGN(auto changes, archive_.ListHistory(call.member, before, static_cast<std::size_t>(page_size) + 1));
  // A member has at least the change that made it.
  if (changes.empty() && token.empty()) return Fail(Reason::kMemberNotFound, "no member has this id");
  std::string next_token;
  if (changes.size() > static_cast<std::size_t>(page_size)) {
    changes.resize(static_cast<std::size_t>(page_size));
    next_token = MakePageToken(token_hash_, call.caller->name, call.member, changes.back().version, clock_.Now());
  }
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("changes").BeginArray();
  for (const Change& change : changes) WriteChange(json, change);
  json.EndArray();
  json.Key("nextPageToken").String(next_token);
  json.EndObject();
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

Result<void> MemberHandler::GetServer(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  const ServerInfo info = server_();
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("version").String(info.version);
  if (!info.center.empty()) json.Key("center").String(info.center);
  json.Key("epoch").Number64(info.epoch);
  if (!info.admin_address.empty()) json.Key("adminAddress").String(info.admin_address);
  if (!info.grpc_address.empty()) json.Key("grpcAddress").String(info.grpc_address);
  if (!info.installation.empty()) json.Key("installation").String(info.installation);
  json.EndObject();
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

}  // namespace muster
