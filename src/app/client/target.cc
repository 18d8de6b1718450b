#include "app/client/target.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <simdjson.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>

#include "app/client/problem.h"
#include "app/files.h"

namespace muster {
namespace {

constexpr std::size_t kSmallFileBytesMax = 64 << 10;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing in the process sets the environment
  return value == nullptr ? "" : value;
}

// The address of a `port` ("http", "grpc") in what a server writes when it is ready.
Outcome<std::string> ServerOfEndpoints(const std::string& path, std::string_view port) {
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
      root[port].get(address) != simdjson::SUCCESS) {
    return Fails(ExitCode::kFailure, path + " is not what a server writes; name the server with --server");
  }
  return std::string(address);
}

// The address that a flag or a variable gives.
Outcome<std::string> ServerOfUser(const std::string& text, const std::string& origin) {
  std::string url = NormaliseServerUrl(text);
  if (IsHttpUrl(url)) return url;
  return Fails(ExitCode::kUsage,
               origin + " is no address of a server; give one as in 127.0.0.1:7400 or http://HOST:PORT");
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

// An address in text as the system compares it; empty when it is a name.
std::string Canonical(const std::string& host) {
  const bool has_brackets = host.starts_with('[') && host.ends_with(']');
  const std::string text = has_brackets ? host.substr(1, host.size() - 2) : host;
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1)
    return {reinterpret_cast<const char*>(bytes.data()), sizeof(in_addr)};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1)
    return {reinterpret_cast<const char*>(bytes.data()), sizeof(in6_addr)};
  return "";
}

bool IsLoopback(const std::string& url) {
  const std::string host = HostOfUrl(url);
  const std::string address = Canonical(host);
  return host == "localhost" || (address.size() == sizeof(in_addr) && address.front() == 127) ||
         (!address.empty() && address == Canonical("::1"));
}

// True when an interface of this machine has the address now.
bool IsOfThisMachine(const std::string& url) {
  if (IsLoopback(url)) return true;
  const std::string wanted = Canonical(HostOfUrl(url));
  ifaddrs* first = nullptr;
  if (wanted.empty() || getifaddrs(&first) != 0) return false;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> all(first, &freeifaddrs);
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    std::array<char, NI_MAXHOST> text{};
    const int family = one->ifa_addr->sa_family;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if ((family == AF_INET || family == AF_INET6) &&
        getnameinfo(one->ifa_addr, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0 &&
        Canonical(text.data()) == wanted) {
      return true;
    }
  }
  return false;
}

// Where a server that listens on `url` is reached from a machine that reaches it at `host`: all its addresses are no
// address to go to.
std::string Reachable(const std::string& url, const std::string& host) {
  const std::string listens = HostOfUrl(url);
  if (listens != "0.0.0.0" && listens != "[::]") return url;
  std::string reachable = url;
  return reachable.replace(reachable.find(listens), listens.size(), host);
}

// The same from the server's own machine.
std::string ReachableHere(const std::string& url) {
  return Reachable(url, HostOfUrl(url) == "[::]" ? "[::1]" : "127.0.0.1");
}

// An address of itself that a server tells; empty when it tells none.
Outcome<std::string> AskAddress(const HttpClientOptions& server, std::string_view field) {
  HttpClient client(server);
  MUSTER_ASSIGN(const HttpReply reply, client.Send({.path = "/v1/server"}));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view address;
  if (parser.parse(simdjson::padded_string(reply.body)).get(root) != simdjson::SUCCESS ||
      root[field].get(address) != simdjson::SUCCESS) {
    return "";
  }
  return std::string(address);
}

// Another address of `server`, as a URL from where that is reached.
std::string ReachableLike(const HttpClientOptions& server, const std::string& address) {
  const std::string url = NormaliseServerUrl(address);
  return IsOfThisMachine(server.base_url) ? ReachableHere(url) : Reachable(url, HostOfUrl(server.base_url));
}

bool IsOutOfReach(const HttpClientOptions& server, const std::string& url) {
  return IsLoopback(url) && !IsOfThisMachine(server.base_url);
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
  if (!choice.server.empty()) {
    MUSTER_ASSIGN(target.base_url, ServerOfUser(choice.server, "--server"));
  } else if (!environment.server.empty()) {
    MUSTER_ASSIGN(target.base_url, ServerOfUser(environment.server, "MUSTER_SERVER"));
  } else {
    MUSTER_ASSIGN(const std::string server, ServerOfEndpoints(data_directory + "/endpoints.json", "http"));
    target.base_url = ReachableHere(NormaliseServerUrl(server));
  }

  if (!choice.key_file.empty()) {
    MUSTER_ASSIGN(target.key, ReadKey(choice.key_file, "--key-file"));
  } else if (!environment.key_file.empty()) {
    MUSTER_ASSIGN(target.key, ReadKey(environment.key_file, "MUSTER_KEY_FILE"));
  } else if (!IsOfThisMachine(target.base_url)) {
    return Fails(ExitCode::kUsage,
                 "which key should " + target.base_url + " get? Name its file with --key-file or MUSTER_KEY_FILE");
  } else {
    MUSTER_ASSIGN(target.key,
                  ReadKey(data_directory + "/admin.key", "name another with --key-file or MUSTER_KEY_FILE"));
  }
  return target;
}

Outcome<HttpClientOptions> ResolveAdminTarget(const HttpClientOptions& server) {
  MUSTER_ASSIGN(const std::string address, AskAddress(server, "adminAddress"));
  if (address.empty()) {
    return Fails(ExitCode::kUnavailable,
                 server.base_url + " does not say where its admin port is; is it a muster server?");
  }
  HttpClientOptions admin = server;
  admin.base_url = ReachableLike(server, address);
  if (IsOutOfReach(server, admin.base_url)) {
    return Fails(ExitCode::kUnavailable, "the admin port of " + server.base_url + " is open on its own machine only (" +
                                             address + "); run this command there");
  }
  return admin;
}

Outcome<std::string> ResolveGrpcUrl(const std::string& given, const HttpClientOptions& server) {
  if (!given.empty()) return NormaliseServerUrl(given);
  MUSTER_ASSIGN(const std::string address, AskAddress(server, "grpcAddress"));
  if (address.empty()) {
    return Fails(ExitCode::kUnavailable,
                 server.base_url + " does not say where it answers gRPC; name the place with --grpc HOST:PORT");
  }
  std::string url = ReachableLike(server, address);
  if (IsOutOfReach(server, url)) {
    return Fails(ExitCode::kUnavailable, server.base_url + " answers gRPC on its own machine only (" + address +
                                             "); run this command there, start the server with --grpc 0.0.0.0:PORT, "
                                             "or name a proxy with --grpc HOST:PORT");
  }
  return url;
}

}  // namespace muster
