#include "app/transfer/exporter.h"

#include <simdjson.h>

#include <algorithm>
#include <string>

#include "app/client/problem.h"

namespace muster {
namespace {

constexpr int kMembersAPage = 1000;

// The id of the last line.
Outcome<std::string> LastId(std::string_view page) {
  if (page.ends_with('\n')) page.remove_suffix(1);
  const std::size_t feed = page.rfind('\n');
  const std::string_view line = feed == std::string_view::npos ? page : page.substr(feed + 1);
  simdjson::dom::parser parser;
  simdjson::dom::element member;
  std::string_view id;
  if (parser.parse(simdjson::padded_string(line)).get(member) != simdjson::SUCCESS ||
      member["id"].get(id) != simdjson::SUCCESS) {
    return Fails(ExitCode::kFailure,
                 "the server's export is not what was expected; is it a muster server of this version?");
  }
  return std::string(id);
}

}  // namespace

Outcome<std::uint64_t> RunExport(HttpClient& admin, const std::function<Outcome<void>(std::string_view)>& write,
                                 const std::function<void(std::uint64_t)>& progressed) {
  std::uint64_t members = 0;
  std::string after = "0";
  while (true) {
    MUSTER_ASSIGN(const HttpReply reply, admin.Send({.path = "/admin/v1/members:export?after=" + after +
                                                             "&limit=" + std::to_string(kMembersAPage)}));
    if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
    if (reply.body.empty()) return members;
    MUSTER_TRY(write(reply.body));
    members += static_cast<std::uint64_t>(std::ranges::count(reply.body, '\n'));
    progressed(members);
    MUSTER_ASSIGN(after, LastId(reply.body));
  }
}

}  // namespace muster
