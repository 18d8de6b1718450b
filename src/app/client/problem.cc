#include "app/client/problem.h"

#include <simdjson.h>

#include <algorithm>

#include "base/error.h"

namespace muster {
namespace {

std::string TextMember(const simdjson::dom::element& object, const char* key) {
  std::string_view text;
  return object[key].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

ExitCode ExitCodeOfProblem(const std::string& code, int status) {
  for (const ReasonDescription& row : AllReasons()) {
    if (row.code == code) return ExitCodeOf(row.reason);
  }
  if (status == 404) return ExitCode::kNotFound;
  return status >= 500 || status == 429 ? ExitCode::kUnavailable : ExitCode::kRefused;
}

}  // namespace

std::string ProblemCode(const HttpReply& reply) {
  simdjson::dom::parser parser;
  simdjson::dom::element problem;
  if (parser.parse(simdjson::padded_string(reply.body)).get(problem) != simdjson::SUCCESS) return "";
  return TextMember(problem, "code");
}

bool ProblemBlames(const HttpReply& reply, std::string_view field) {
  simdjson::dom::parser parser;
  simdjson::dom::element problem;
  simdjson::dom::array violations;
  if (parser.parse(simdjson::padded_string(reply.body)).get(problem) != simdjson::SUCCESS ||
      problem["errors"].get(violations) != simdjson::SUCCESS) {
    return false;
  }
  return std::ranges::any_of(violations,
                             [&](const auto& violation) { return TextMember(violation, "field") == field; });
}

Failure DescribeRefusal(const HttpReply& reply) {
  simdjson::dom::parser parser;
  simdjson::dom::element problem;
  const bool is_problem =
      parser.parse(simdjson::padded_string(reply.body)).get(problem) == simdjson::SUCCESS && problem.is_object();
  const std::string code = is_problem ? TextMember(problem, "code") : "";
  Failure failure{.code = ExitCodeOfProblem(code, reply.status), .message = ""};
  if (code.empty()) {
    failure.message =
        "the server answered HTTP " + std::to_string(reply.status) + " without saying why; is it a muster server?";
    return failure;
  }
  const std::string detail = TextMember(problem, "detail");
  failure.message = code + ": " + (detail.empty() ? TextMember(problem, "title") : detail);
  simdjson::dom::array violations;
  if (problem["errors"].get(violations) == simdjson::SUCCESS && violations.size() > 1) {
    for (const simdjson::dom::element violation : violations) {
      const std::string field = TextMember(violation, "field");
      failure.message += "\n  " + (field.empty() ? "" : field + ": ") + TextMember(violation, "description");
    }
  }
  if (const std::string id = TextMember(problem, "requestId"); !id.empty()) failure.message += " (request " + id + ")";
  return failure;
}

}  // namespace muster
