#include "app/client/target.h"

#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "app/client/problem.h"
#include "app/files.h"

namespace muster {
namespace {

constexpr std::size_t kSmallFileBytesMax = 64 << 10;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing in the process sets the environment
  return value == nullptr ? "" : value;
}

Outcome<std::string> ServerOfEndpoints(const std::string& path) {
  const auto text = ReadSmallFile(path, kSmallFileBytesMax);
  if (!text) {
    return Fails(
        ExitCode::kUnavailable,
        "no server is running from ./" + std::string(kDefaultDataDirectory) +
            " (it has no endpoints.json); start one with `muster serve`, or name one with --server or MUSTER_SERVER");
  }
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view address;
  if (parser.parse(simdjson::padded_string(*text)).get(root) != simdjson::SUCCESS ||
      root["http"].get(address) != simdjson::SUCCESS) {
    return Fails(ExitCode::kFailure, path + " is not what a server writes; name the server with --server");
  }
  return std::string(address);
}

// A key is one word; anything else in the file would end up in a header.
Outcome<std::string> ReadKey(const std::string& path, const std::string& origin) {
  const auto text = ReadSmallFile(path, kSmallFileBytesMax);
  if (!text) return Fails(ExitCode::kFailure, text.error().message + " (" + origin + ")");
  std::string key = *text;
  while (!key.empty() && std::isspace(static_cast<unsigned char>(key.back())) != 0) key.pop_back();
  const bool is_word = key.starts_with("mk_") &&
                       std::ranges::all_of(key, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (!is_word) {
    return Fails(ExitCode::kFailure,
                 path + " holds no caller key: it should be one line that begins with mk_ (" + origin + ")");
  }
  return key;
}

bool IsLoopback(const std::string& url) {
  const std::string host = HostOfUrl(url);
  const bool is_ipv4 = host.find_first_not_of("0123456789.") == std::string::npos;
  return (is_ipv4 && host.starts_with("127.")) || host == "localhost" || host == "[::1]";
}

}  // namespace

Environment ReadEnvironment() { return {.server = Variable("MUSTER_SERVER"), .key_file = Variable("MUSTER_KEY_FILE")}; }

std::string NormaliseServerUrl(const std::string& text) {
  std::string url = text.find("://") == std::string::npos ? "http://" + text : text;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

Outcome<HttpClientOptions> ResolveTarget(const TargetChoice& choice, const Environment& environment,
                                         const std::string& data_directory) {
  HttpClientOptions target{.base_url = "", .key = "", .timeout = choice.timeout};
  std::string server = !choice.server.empty() ? choice.server : environment.server;
  if (server.empty()) {
    MUSTER_ASSIGN(server, ServerOfEndpoints(data_directory + "/endpoints.json"));
  }
  target.base_url = NormaliseServerUrl(server);

  if (!choice.key_file.empty()) {
    MUSTER_ASSIGN(target.key, ReadKey(choice.key_file, "--key-file"));
  } else if (!environment.key_file.empty()) {
    MUSTER_ASSIGN(target.key, ReadKey(environment.key_file, "MUSTER_KEY_FILE"));
  } else if (!IsLoopback(target.base_url)) {
    return Fails(ExitCode::kUsage,
                 "which key should " + target.base_url + " get? Name its file with --key-file or MUSTER_KEY_FILE");
  } else {
    MUSTER_ASSIGN(target.key,
                  ReadKey(data_directory + "/admin.key", "name another with --key-file or MUSTER_KEY_FILE"));
  }
  return target;
}

Outcome<HttpClientOptions> ResolveAdminTarget(const HttpClientOptions& server) {
  HttpClient client(server);
  MUSTER_ASSIGN(const HttpReply reply, client.Send({.path = "/v1/server"}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view address;
  if (parser.parse(simdjson::padded_string(reply.body)).get(root) != simdjson::SUCCESS ||
      root["adminAddress"].get(address) != simdjson::SUCCESS || address.empty()) {
    return Fails(ExitCode::kUnavailable,
                 server.base_url + " does not say where its admin port is; is it a muster server?");
  }
  HttpClientOptions admin = server;
  admin.base_url = NormaliseServerUrl(std::string(address));
  if (IsLoopback(admin.base_url) && !IsLoopback(server.base_url)) {
    return Fails(ExitCode::kUnavailable, "the admin port of " + server.base_url + " is open on its own machine only (" +
                                             std::string(address) + "); run this command there");
  }
  return admin;
}

}  // namespace muster
