// Prints what OpenAPI is told by the code itself: the closed table of errors, and which rpcs the server knows. JSON on
// standard output, for tools/openapi/generate.py.
#include <cstdio>
#include <string>

#include "api/rpc.h"
#include "base/error.h"
#include "domain/json_writer.h"

int main() {
  std::string text;
  muster::JsonWriter json(text);
  json.BeginObject();
  json.Key("errors").BeginArray();
  for (const muster::ReasonDescription& row : muster::AllReasons()) {
    json.BeginObject();
    json.Key("code").String(row.code);
    json.Key("status").Number(row.http_status);
    json.Key("retryable").Bool(row.retryable);
    json.Key("title").String(row.title);
    json.EndObject();
  }
  json.EndArray();
  json.Key("rpcs").BeginArray();
  for (std::size_t i = 1; i < muster::kRpcCount; ++i) json.String(muster::RpcName(static_cast<muster::Rpc>(i)));
  json.EndArray();
  json.EndObject();
  return std::fputs(text.c_str(), stdout) < 0 ? 1 : 0;
}
