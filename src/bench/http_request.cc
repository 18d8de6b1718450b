#include "bench/http_request.h"

#include <array>
#include <charconv>

#include "domain/json_writer.h"

namespace muster {
namespace {

void AppendNumber(std::string& out, std::int64_t number) {
  std::array<char, 24> digits{};
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

std::string UpdateBody(const LoadCall& call) {
  std::string body = R"({"city":")";
  AppendJsonEscaped(body, call.city);
  return body + "\"}";
}

std::string RegisterBody(const LoadCall& call) {
  std::string body = R"({"displayName":"Benchmark","city":")";
  AppendJsonEscaped(body, call.city);
  body += R"(","identities":[{"kind":"account","platform":"bench","value":")";
  AppendJsonEscaped(body, call.account);
  return body + "\"}]}";
}

std::string BatchBody(const LoadCall& call) {
  std::string body = R"({"ids":[)";
  for (const MemberId id : call.ids) {
    body += body.back() == '[' ? "\"" : ",\"";
    AppendNumber(body, id.value());
    body += '"';
  }
  return body + "]}";
}

void AppendIdentity(std::string& body, std::string_view kind, std::string_view platform, std::string_view value) {
  body += R"({"kind":")";
  AppendJsonEscaped(body, kind);
  if (!platform.empty()) {
    body += R"(","platform":")";
    AppendJsonEscaped(body, platform);
  }
  body += R"(","value":")";
  AppendJsonEscaped(body, value);
  body += "\"}";
}

std::string BatchResolveBody(const LoadCall& call) {
  std::string body = R"({"identities":[)";
  for (const IdentityView& one : call.identities) {
    if (body.back() != '[') body += ',';
    AppendIdentity(body, one.kind, one.platform, one.value.Reveal());
  }
  return body + "]}";
}

std::string SearchBody(const LoadCall& call) {
  std::string body = R"({"filter":)";
  body += R"("city = \")";
  AppendJsonEscaped(body, call.city);
  return body + R"(\"","pageSize":50})";
}

std::string AccountBody(const LoadCall& call) {
  std::string body = R"({"identity":)";
  AppendIdentity(body, "account", "bench", call.account);
  return body + "}";
}

std::string PairBody(const LoadCall& call) {
  std::string body = R"({"sourceId":")";
  AppendNumber(body, call.ids[1].value());
  return body + "\"}";
}

}  // namespace

void AppendEscaped(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                          c == '.' || c == '_' || c == '~';
    if (is_plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

HttpRequestWriter::HttpRequestWriter(std::string_view host, std::string_view key) {
  tail_.append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
  if (!key.empty()) tail_.append("Authorization: Bearer ").append(key).append("\r\n");
  body_tail_ = tail_ + "Content-Type: application/json\r\nContent-Length: ";
  tail_ += "\r\n";
}

void HttpRequestWriter::AppendWithBody(std::string& out, std::string_view body) const {
  out += body_tail_;
  AppendNumber(out, static_cast<std::int64_t>(body.size()));
  out.append("\r\n\r\n").append(body);
}

void HttpRequestWriter::AppendMemberVerb(std::string& out, const LoadCall& call, std::string_view body) const {
  out += "POST /v1/members/";
  AppendNumber(out, call.ids[0].value());
  out.append(":").append(VerbName(call.verb));
  AppendWithBody(out, body);
}

void HttpRequestWriter::Append(std::string& out, const LoadCall& call) const {
  switch (call.verb) {
    case LoadVerb::kGet:
      out += "GET /v1/members/";
      AppendNumber(out, call.ids[0].value());
      out += tail_;
      break;
    case LoadVerb::kResolve:
      out.append("GET /v1/members:resolve?kind=").append(call.identity.kind);
      if (!call.identity.platform.empty()) out.append("&platform=").append(call.identity.platform);
      out += "&value=";
      AppendEscaped(out, call.identity.value.Reveal());
      out += tail_;
      break;
    case LoadVerb::kUpdate:
      out += "PATCH /v1/members/";
      AppendNumber(out, call.ids[0].value());
      out += "?updateMask=city";
      AppendWithBody(out, UpdateBody(call));
      break;
    case LoadVerb::kBatchGet:
      out += "POST /v1/members:batchGet";
      AppendWithBody(out, BatchBody(call));
      break;
    case LoadVerb::kRegister:
      out += "POST /v1/members";
      AppendWithBody(out, RegisterBody(call));
      break;
    case LoadVerb::kBatchResolve:
      out += "POST /v1/members:batchResolve";
      AppendWithBody(out, BatchResolveBody(call));
      break;
    case LoadVerb::kSearch:
      out += "POST /v1/members:search";
      AppendWithBody(out, SearchBody(call));
      break;
    case LoadVerb::kBind:
    case LoadVerb::kUnbind:
      AppendMemberVerb(out, call, AccountBody(call));
      break;
    case LoadVerb::kMerge:
    case LoadVerb::kUnmerge:
      AppendMemberVerb(out, call, PairBody(call));
      break;
  }
}

}  // namespace muster
