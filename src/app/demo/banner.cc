#include "app/demo/banner.h"

#include "app/cli/progress.h"

namespace muster {

std::string RenderBanner(const Terminal& terminal, const BannerFacts& facts) {
  const std::string authorization = " -H \"Authorization: Bearer " + facts.key + "\"";
  const auto title = [&](const char* text) { return "  # " + std::string(text) + "\n"; };
  const auto curl = [&](const std::string& path, const std::string& body) {
    return std::string("  curl -s ") + (body.empty() ? "" : "-X POST ") + "\"" + facts.http_url + path + "\"" +
           authorization + (body.empty() ? "" : " -H \"Content-Type: application/json\" -d '" + body + "'") + "\n";
  };
  const auto grpcurl = [&](const char* method, const std::string& message) {
    return "  grpcurl -plaintext -H \"authorization: Bearer " + facts.key + "\" -d '" + message + "' " +
           facts.grpc_address + " muster.v1.MemberService/" + method + "\n";
  };
  const std::string member = "/v1/members/" + facts.member_id;
  std::string out = "\n" + Styled(terminal, Style::kBold, "muster demo") + ": " + WithThousands(facts.members) +
                    " synthetic members in a temporary directory, gone when this ends.\n" +
                    Styled(terminal, Style::kYellow, "Not for production.") + "\n\n";
  out += "  callers         " + facts.http_url + "\n";
  out += "  over gRPC       " + facts.grpc_address + "\n";
  out += "  administrators  " + facts.admin_url + "\n";
  out += "  metrics         " + facts.http_url + "/metrics\n";
  out += "  caller key      " + facts.key + "\n";
  out += "  admin key       " + facts.admin_key_file + "\n\n";
  out += title("a member by number, and by phone");
  out += curl(member, "");
  out += curl("/v1/members:resolve?kind=phone&value=" + facts.phone, "");
  out += title("a new member, and another account for the first one");
  out +=
      curl("/v1/members",
           R"({"displayName":"Li Lei","city":"Suzhou","identities":[{"kind":"email","value":"li.lei@demo.example"}]})");
  out += curl(member + ":bind", R"({"identity":{"kind":"account","platform":"shop","value":"lilei-2024"}})");
  out += title("the same over gRPC");
  out += grpcurl("GetMember", R"({"id":")" + facts.member_id + R"("})");
  out += grpcurl("ResolveMember", R"({"kind":"phone","value":")" + facts.phone + R"("})");
  out += title("what happened to it, and how reads find their way");
  out += curl(member + "/history", "");
  out += "  " + facts.program + " routes --server " + facts.http_url + " --key-file " + facts.admin_key_file + "\n\n";
  return out;
}

}  // namespace muster
