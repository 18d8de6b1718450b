#include "api/openapi.h"

namespace muster {

void AnswerOpenApi(Calls& calls, Call& call, const RequestHeaders& headers, const OpenApiDocument& document) {
  calls.StartHead(call).append("ETag: ").append(document.etag).append("\r\nCache-Control: no-cache\r\n");
  const std::string_view tag = document.etag.substr(1, document.etag.size() - 2);
  if (NamesTag(headers.if_none_match, tag)) return calls.Answer(call, 304, {}, {});
  calls.Answer(call, 200, "application/json", document.json);
}

}  // namespace muster
