#include <utility>

#include "api/member_handler.h"
#include "api/problem.h"
#include "domain/json_writer.h"

namespace muster {

namespace {

// What one key of a batch under way takes, about: its answer, and the reader's part.
constexpr std::size_t kBatchKeyBytes = 256;

}  // namespace

Result<void> MemberHandler::BatchGet(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(const std::vector<MemberId> ids, json_.ReadIds(input.request.body));
  MUSTER_TRY(calls_.Hold(call, ids.size() * kBatchKeyBytes));
  const ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  Batch& batch = StartBatch(call, Reason::kMemberNotFound, ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) reader_->Get(ids[i], options, batch.ReplyAt(i));
  FinishOne(batch);
  return {};
}

Result<void> MemberHandler::BatchResolve(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(std::vector<Result<IdentityKey>> keys, json_.ReadIdentityKeys(input.request.body));
  MUSTER_TRY(calls_.Hold(call, keys.size() * kBatchKeyBytes));
  const ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  Batch& batch = StartBatch(call, Reason::kIdentityNotFound, keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i]) {
      reader_->Resolve(*keys[i], options, batch.ReplyAt(i));
    } else {
      batch.ReplyAt(i)(std::unexpected(std::move(keys[i]).error()));
    }
  }
  FinishOne(batch);
  return {};
}

// Counts one outstanding more than there are keys, so that replies which come during the calls do not finish it too
// early; the starter's own FinishOne takes that one away.
MemberHandler::Batch& MemberHandler::StartBatch(Call& call, Reason missing, std::size_t size) {
  if (idle_batches_.empty()) {
    batches_.push_back(std::make_unique<Batch>());
    idle_batches_.push_back(batches_.back().get());
  }
  Batch& batch = *idle_batches_.back();
  idle_batches_.pop_back();
  batch.handler = this;
  batch.call = &call;
  batch.missing = missing;
  batch.answers.resize(size);
  batch.outstanding = size + 1;
  return batch;
}

void MemberHandler::FinishOne(Batch& batch) {
  if (--batch.outstanding > 0) return;
  AnswerBatch(batch);
  batch.answers.clear();
  idle_batches_.push_back(&batch);
}

void MemberHandler::AnswerBatch(Batch& batch) {
  Call& call = *batch.call;
  const Error missing{
      .reason = batch.missing,
      .message = batch.missing == Reason::kMemberNotFound ? "no member has this id" : "no member holds this identity"};
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("results").BeginArray();
  for (const Result<MemberAnswer>& answer : batch.answers) {
    if (body.size() > kBatchAnswerBytesMax) {
      return calls_.Fail(call, Error{.reason = Reason::kInvalidArgument,
                                     .message = "the answer would be larger than 16 MiB; ask for fewer members"});
    }
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
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
}

}  // namespace muster
