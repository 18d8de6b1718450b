#include "api/member_handler.h"
#include "domain/json_writer.h"

namespace muster {

Result<void> MemberHandler::Search(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  MUSTER_TRY(query_.Parse(input.request.query, {}));
  MUSTER_TRY(CheckContentType(input.headers.content_type, {"application/json"}));
  MUSTER_ASSIGN(const SearchBody body, ReadSearchBody(json_.reader(), input.request.body));
  return searches_.Start(call, body);
}

void MemberHandler::AnswerSearch(Call& call, const Result<Searches::Answer>& found) {
  if (!found) return calls_.Fail(call, found.error());
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  json.BeginObject();
  json.Key("members").BeginArray();
  for (const MemberDocumentRef& member : found->members) {
    json.Raw({});
    AppendMember(body, call, *member);
  }
  json.EndArray();
  json.Key("nextPageToken").String(found->next_token);
  json.EndObject();
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
}

}  // namespace muster
