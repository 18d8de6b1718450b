#include "app/transfer/import_service.h"

#include <simdjson.h>

#include "app/client/problem.h"

namespace muster {
namespace {

class HttpImportService final : public ImportService {
 public:
  HttpImportService(const HttpClientOptions& server, const HttpClientOptions& admin) : server_(server), admin_(admin) {}

  Outcome<std::string> Installation() override {
    MUSTER_ASSIGN(const HttpReply reply, server_.Send({.path = "/v1/server"}));
    if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    std::string_view installation;
    if (parser.parse(simdjson::padded_string(reply.body)).get(root) != simdjson::SUCCESS ||
        root["installation"].get(installation) != simdjson::SUCCESS) {
      return Fails(ExitCode::kUnavailable,
                   server_.base_url() + " does not say which installation it is; is it a muster server?");
    }
    return std::string(installation);
  }

  Outcome<HttpReply> Reserve(std::uint64_t lines) override {
    return admin_.Send(
        {.method = "POST", .path = "/admin/v1/imports:reserve", .body = R"({"lines":)" + std::to_string(lines) + "}"});
  }

  Outcome<HttpReply> Send(std::int64_t range_start, std::uint64_t first_line, std::string_view text) override {
    return admin_.Send({.method = "POST",
                        .path = "/admin/v1/members:import?rangeStart=" + std::to_string(range_start) +
                                "&firstLine=" + std::to_string(first_line),
                        .body = text,
                        .content_type = "application/x-ndjson",
                        .expect_continue = true});
  }

 private:
  HttpClient server_;
  HttpClient admin_;
};

}  // namespace

ImportServiceFactory HttpImportServices(HttpClientOptions server, HttpClientOptions admin) {
  return [server = std::move(server), admin = std::move(admin)] {
    return std::make_unique<HttpImportService>(server, admin);
  };
}

}  // namespace muster
