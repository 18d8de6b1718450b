#include "api/admin_handler.h"
#include "api/admin_json.h"

namespace muster {

Result<void> AdminHandler::CreateCaller(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const NewCaller caller, ReadNewCaller(json_.reader(), input.request.body));
  MUSTER_ASSIGN(const NewKey key, callers_.Create(caller));
  AnswerKey(call, key, 201);
  return {};
}

Result<void> AdminHandler::ListCallers(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const std::vector<CallerRecord> callers, callers_.List());
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteCallers(json, callers);
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

Result<void> AdminHandler::UpdateCaller(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const CallerChange change, ReadCallerChange(json_.reader(), input.request.body));
  MUSTER_ASSIGN(const CallerRecord caller, callers_.Change(input.caller, change));
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteCaller(json, caller);
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", body);
  return {};
}

Result<void> AdminHandler::RotateCaller(Call& call, const Input& input) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_ASSIGN(const RotationBody body, ReadRotationBody(json_.reader(), input.request.body));
  MUSTER_ASSIGN(const NewKey key, callers_.Rotate(input.caller, body.overlap, body.key_lifetime));
  AnswerKey(call, key, 200);
  return {};
}

Result<void> AdminHandler::SetDisabled(Call& call, const Input& input, bool disabled) {
  MUSTER_TRY(Admit(call, input, Scope::kAdmin));
  MUSTER_TRY(json_.ReadEmpty(input.request.body));
  MUSTER_TRY(callers_.Change(input.caller, {.disabled = disabled}));
  calls_.StartHead(call);
  calls_.Answer(call, 200, "application/json", "{}");
  return {};
}

void AdminHandler::AnswerKey(Call& call, const NewKey& key, int status) {
  std::string& body = calls_.StartBody();
  JsonWriter json(body);
  WriteNewKey(json, key);
  calls_.StartHead(call).append("Cache-Control: no-store\r\n");
  calls_.Answer(call, status, "application/json", body);
}

}  // namespace muster
