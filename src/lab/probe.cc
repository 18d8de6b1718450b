#include "lab/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>

#include "base/check.h"
#include "lab/descriptor.h"
#include "store/mariadb/connection.h"

namespace muster::lab {
namespace {

constexpr std::chrono::milliseconds kProbePatience{600};
constexpr std::size_t kAnswerBytesMax = 64 << 10;

// Whether `descriptor` is ready for `events` before `until`.
bool AwaitReady(int descriptor, short events, std::chrono::steady_clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(left.count())) > 0;
}

std::string HttpRequest(std::string_view method, std::string_view path, std::string_view body) {
  std::string text(method);
  text.append(" ").append(path).append(" HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Length: ");
  return text.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
}

bool IsOk(std::string_view answer) { return answer.starts_with("HTTP/1.1 200"); }

// The value of a JSON string field of the gateway's answer; empty: there is none.
std::string_view TextField(std::string_view json, std::string_view name) {
  std::string key = "\"";
  key.append(name).append("\":\"");
  const std::size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = json.substr(at + key.size());
  return rest.substr(0, rest.find('"'));
}

Answer AskEtcd(const Component& voter) {
  const std::string answer =
      Exchange(voter.port, HttpRequest("POST", "/v3/maintenance/status", "{}"), "\r\n0\r\n", kProbePatience);
  if (!IsOk(answer)) return {};
  const std::string_view leader = TextField(answer, "leader");
  if (leader.empty()) return {.is_up = true, .role = "without-leader"};
  return {.is_up = true, .role = leader == TextField(answer, "member_id") ? "leader" : "follower"};
}

Answer AskDatabase(const Component& database, const std::string& control_password) {
  const mariadb::Endpoint endpoint{.host = "127.0.0.1", .port = database.port, .socket = {}};
  const mariadb::Timeouts timeouts{.connect = std::chrono::seconds(1), .statement = std::chrono::seconds(1)};
  const auto connection =
      mariadb::Connection::Open(endpoint, {.user = "muster_control", .password = Pii<std::string>(control_password)},
                                "", timeouts, mariadb::Use::kRead);
  if (!connection) return {};
  const Result<std::int64_t> is_read_only = (*connection)->ReadInteger("SELECT @@GLOBAL.read_only");
  if (!is_read_only) return {};
  if (*is_read_only == 0) return {.is_up = true, .role = "primary"};
  const auto follows = (*connection)->Query("SHOW SLAVE STATUS");
  if (!follows) return {};
  return {.is_up = true, .role = follows->empty() ? "read-only" : "replica"};
}

Answer AskRedis(const Component& redis) {
  const std::string answer = Exchange(redis.port, "ROLE\r\n", "\r\n:", kProbePatience);
  if (!answer.starts_with("*")) return {};
  return {.is_up = true, .role = answer.contains("master") ? "primary" : "replica"};
}

Answer AskMuster(const Component& server) {
  const auto answers = [&](std::string_view path) {
    return IsOk(Exchange(server.admin_port, HttpRequest("GET", path, ""), "\r\n", kProbePatience));
  };
  if (!answers("/livez")) return {};
  return {.is_up = true, .role = std::string(answers("/readyz") ? kReadyRole : "alive")};
}

}  // namespace

std::string Exchange(std::uint16_t port, const std::string& question, const std::string& until, Duration patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    return {};
  }
  if (!AwaitReady(socket.number(), POLLOUT, deadline)) return {};
  // A question fits into the socket's buffer.
  if (::send(socket.number(), question.data(), question.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(question.size()))
    return {};
  std::string answer;
  std::array<char, 4096> buffer{};
  while (answer.size() < kAnswerBytesMax && AwaitReady(socket.number(), POLLIN, deadline)) {
    const ssize_t size = ::recv(socket.number(), buffer.data(), buffer.size(), 0);
    if (size <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(size));
    if (answer.contains(until)) break;
  }
  return answer;
}

Answer Ask(const Component& component, const std::string& control_password) {
  switch (component.kind) {
    case Kind::kEtcd:
      return AskEtcd(component);
    case Kind::kMariadb:
      return AskDatabase(component, control_password);
    case Kind::kRedis:
      return AskRedis(component);
    case Kind::kMuster:
      return AskMuster(component);
  }
  MUSTER_UNREACHABLE("a kind of component that is not asked");
}

}  // namespace muster::lab
