#include <utility>

#include "api/member_handler.h"
#include "api/problem.h"
#include "domain/json_writer.h"

namespace muster {

namespace {

// What one key of a batch under way takes, about: its answer, and the reader's part.
constexpr std::size_t kBatchKeyBytes = 256;
// In such steps room is asked for the members of a batch.
constexpr std::size_t kBatchHoldBytes = std::size_t{64} << 10;

}  // namespace

Result<void> MemberHandler::BatchGet(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(const std::vector<MemberId> ids, json_.ReadIds(input.request.body));
  const ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(Batch* const started, StartBatch(call, Reason::kMemberNotFound, ids.size()));
  Batch& batch = *started;
  for (std::size_t i = 0; i < ids.size(); ++i) reader_->Get(ids[i], options, batch.ReplyAt(i));
  FinishOne(batch);
  return {};
}

Result<void> MemberHandler::BatchResolve(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(std::vector<Result<IdentityKey>> keys, json_.ReadIdentityKeys(input.request.body));
  const ReadOptions options{.no_cache = input.headers.no_cache, .deadline = call.deadline};
  MUSTER_ASSIGN(Batch* const started, StartBatch(call, Reason::kIdentityNotFound, keys.size()));
  Batch& batch = *started;
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
Result<MemberHandler::Batch*> MemberHandler::StartBatch(Call& call, Reason missing, std::size_t size) {
  MUSTER_TRY(calls_.Hold(call, size * kBatchKeyBytes));
  MUSTER_TRY(call.exchange->Hold(kBatchHoldBytes));
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
  batch.bytes = 0;
  batch.held_bytes = kBatchHoldBytes;
  batch.refusal.reset();
  batch.search.reset();
  return &batch;
}

void MemberHandler::TakeReply(Batch& batch, std::size_t index, Result<MemberAnswer> answer) {
  if (batch.refusal) return;
  if (answer && answer->member) {
    batch.bytes += answer->member->json().size();
    if (batch.bytes > kBatchAnswerBytesMax) {
      batch.refusal = Error{.reason = Reason::kInvalidArgument,
                            .message = "the answer would be larger than 16 MiB; ask for fewer members"};
    } else if (batch.bytes > batch.held_bytes) {
      batch.held_bytes = batch.bytes + kBatchHoldBytes;
      if (Result<void> held = batch.call->exchange->Hold(batch.held_bytes); !held) {
        batch.refusal = std::move(held).error();
      }
    }
    if (batch.refusal) return batch.answers.clear();
  }
  batch.answers[index] = std::move(answer);
}

void MemberHandler::FinishOne(Batch& batch) {
  if (--batch.outstanding > 0) return;
  AnswerBatch(batch);
  batch.answers.clear();
  idle_batches_.push_back(&batch);
}

void MemberHandler::AnswerBatch(Batch& batch) {
  Call& call = *batch.call;
  if (batch.refusal) return calls_.Fail(call, *batch.refusal);
  if (batch.search) return AnswerSearch(batch);
  const Error missing{
      .reason = batch.missing,
      .message = batch.missing == Reason::kMemberNotFound ? "no member has this id" : "no member holds this identity"};
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
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
}

}  // namespace muster
