#include <utility>

#include "api/member_handler.h"
#include "api/problem.h"
#include "domain/json_writer.h"

namespace muster {

Result<void> MemberHandler::BatchGet(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(const std::vector<MemberId> ids, json_.ReadIds(input.request.body));
  const ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(Batch* const started, batches_.Start(call, Reason::kMemberNotFound, ids.size()));
  Batch& batch = *started;
  for (std::size_t i = 0; i < ids.size(); ++i) reader_->Get(ids[i], options, batch.ReplyAt(i));
  batches_.FinishOne(batch);
  return {};
}

Result<void> MemberHandler::BatchResolve(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(std::vector<Result<IdentityKey>> keys, json_.ReadIdentityKeys(input.request.body));
  const ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(Batch* const started, batches_.Start(call, Reason::kIdentityNotFound, keys.size()));
  Batch& batch = *started;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i]) {
      reader_->Resolve(*keys[i], options, batch.ReplyAt(i));
    } else {
      batch.ReplyAt(i)(std::unexpected(std::move(keys[i]).error()));
    }
  }
  batches_.FinishOne(batch);
  return {};
}

void MemberHandler::AnswerBatch(Batch& batch) {
  Call& call = *batch.call;
  if (batch.refusal) return calls_.Fail(call, *batch.refusal);
  const Error missing = MissingError(batch.missing);
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("results").BeginArray();
  for (const Result<MemberAnswer>& answer : batch.answers) {
    json.BeginObject();
    if (answer && answer->member) {
      json.Key("member").Raw({});
      AppendMember(body, call, *answer->member);
    } else {
      json.Key("error").BeginObject();
      WriteErrorMembers(json, answer ? missing : answer.error());
      json.EndObject();
    }
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  std::string& head = calls_.StartHead(call);
  if (const MemberAnswer* const oldest = batch.Oldest(); oldest != nullptr) AppendOrigin(head, *oldest);
  calls_.Answer(call, 200, "application/json", body);
}

}  // namespace muster
