#include <utility>

#include "api/member_handler.h"
#include "api/page_token.h"
#include "domain/json_writer.h"

namespace muster {

namespace {

// What a search under way takes beside its members, about: its filter and its hits.
constexpr std::size_t kSearchOverheadBytes = std::size_t{32} << 10;

}  // namespace

Result<void> MemberHandler::Search(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  if (search_ == nullptr) {
    return Fail(Reason::kNotImplemented, "this server does not search members: its search.enabled is false");
  }
  MUSTER_ASSIGN(const SearchBody body, ReadSearchBody(json_.reader(), input.request.body));
  MemberSearch::Query query{.limit = static_cast<std::size_t>(body.page_size), .deadline = call.deadline};
  MUSTER_ASSIGN(query.filter, ParseFilter(body.filter));
  MUSTER_ASSIGN(query.order, ParseSearchOrder(body.order_by));
  SearchPage page{.filter = query.filter,
                  .fields = FieldsOf(query.filter),
                  .text = {PrintFilter(query.filter), PrintSearchOrder(query.order)}};
  if (!body.page_token.empty()) {
    MUSTER_ASSIGN(query.after,
                  ReadSearchToken(token_hash_, call.caller->name, page.text, body.page_token, clock_.Now()));
  }
  MUSTER_TRY(calls_.Hold(call, kSearchOverheadBytes));
  calls_.Leave();
  search_->Search(std::move(query), [this, &call, page = std::move(page)](Result<MemberSearch::Page> found) mutable {
    calls_.loop().Post([this, &call, page = std::move(page), found = std::move(found)]() mutable {
      if (auto shown = ShowFound(call, std::move(page), found); !shown) calls_.Fail(call, shown.error());
    });
    calls_.Return();
  });
  return {};
}

Result<void> MemberHandler::ShowFound(Call& call, SearchPage page, const Result<MemberSearch::Page>& found) {
  if (!found) return Fail(found.error());
  if (found->next) {
    page.next_token = MakeSearchToken(token_hash_, call.caller->name, page.text, *found->next, clock_.Now());
  }
  MUSTER_ASSIGN(SearchBatch* const started, search_batches_.Start(call, Reason::kMemberNotFound, found->hits.size()));
  SearchBatch& batch = *started;
  batch.extra = std::move(page);
  const ReadOptions options{.deadline = call.deadline};
  for (std::size_t i = 0; i < found->hits.size(); ++i) reader_->Get(found->hits[i].id, options, batch.ReplyAt(i));
  search_batches_.FinishOne(batch);
  return {};
}

// Each member as it is now: who went, or does not match any more, is left out. What the index found may be some
// milliseconds old, and nobody is to be shown under a filter that says something else.
void MemberHandler::AnswerSearch(SearchBatch& batch) {
  Call& call = *batch.call;
  if (batch.refusal) return calls_.Fail(call, *batch.refusal);
  const SearchPage& page = batch.extra;
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("members").BeginArray();
  for (const Result<MemberAnswer>& answer : batch.answers) {
    if (!answer) return calls_.Fail(call, answer.error());
    if (!answer->member) continue;
    if (page.fields != 0) {
      const auto document = ReadSearchDocument(json_.reader(), answer->member->json(), page.fields);
      if (!document) return calls_.Fail(call, document.error());
      if (!Matches(page.filter, *document)) continue;
    }
    json.Raw({});
    AppendMember(body, call, *answer->member);
  }
  json.EndArray();
  json.Key("nextPageToken").String(page.next_token);
  json.EndObject();
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
}

}  // namespace muster
