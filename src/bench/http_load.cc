// A closed-loop HTTP/1.1 load generator: C connections on one thread, each keeping D requests under way, counting
// answers for some seconds. It does as little as it can between two system calls, so that one core of it saturates one
// core of a server. One JSON object on stdout: {"requests":…,"seconds":…,"per_second":…,"bytes":…,"errors":…}.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "bench/figure_members.h"

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kInputBytes = 256 << 10;
constexpr int kBatchKeys = 100;
constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "http_load: %s\n", what.c_str());
  std::_Exit(1);
}

struct Settings {
  std::uint16_t port = 0;
  int connections = 64;
  int pipeline = 1;
  double seconds = 3;
  // get: GET /v1/members/{1..members}; register: POST /v1/members, a fresh phone each. Of the members of
  // tests/figures/members.py: resolve, by a random phone; batch-resolve, kBatchKeys of them at once; search: POST
  // /v1/members:search, 50 by city and tier from a random place on
  std::string mode = "get";
  std::uint64_t members = 1;
  std::uint64_t first_phone = 0;  // of register; the n-th has first_phone + n
  std::string key;
};

// Appends the next request of the run.
class RequestMaker {
 public:
  explicit RequestMaker(const Settings& settings) : settings_(settings), next_phone_(settings.first_phone) {
    tail_ = " HTTP/1.1\r\nHost: bench\r\n";
    if (!settings.key.empty()) tail_ += "Authorization: Bearer " + settings.key + "\r\n";
    random_ = static_cast<std::uint64_t>(SteadyClock::now().time_since_epoch().count());
  }

  void Append(std::string& out) {
    if (settings_.mode == "get") {
      char digits[24];
      const auto end = std::to_chars(digits, digits + sizeof digits, 1 + NextRandom() % settings_.members).ptr;
      out += "GET /v1/members/";
      out.append(digits, end);
      out += tail_;
      out += "\r\n";
    } else if (settings_.mode == "resolve") {
      out += "GET /v1/members:resolve?kind=phone&value=";
      AppendPhone(out);
      out += tail_;
      out += "\r\n";
    } else if (settings_.mode == "batch-resolve") {
      AppendBatchResolve(out);
    } else if (settings_.mode == "search") {
      AppendSearch(out);
    } else {
      AppendRegister(out);
    }
  }

 private:
  std::uint64_t NextRandom() {
    random_ += kGoldenRatio;
    std::uint64_t x = random_;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }

  void AppendPhone(std::string& out) {
    char phone[24];
    const int size =
        std::snprintf(phone, sizeof phone, "+8613%09" PRIu64, std::uint64_t{1} + NextRandom() % settings_.members);
    out.append(phone, static_cast<std::size_t>(size));
  }

  void AppendBatchResolve(std::string& out) {
    std::string body = R"({"identities":[)";
    for (int key = 0; key < kBatchKeys; ++key) {
      body += key == 0 ? R"({"kind":"phone","value":")" : R"(,{"kind":"phone","value":")";
      AppendPhone(body);
      body += "\"}";
    }
    AppendPost(out, "POST /v1/members:batchResolve", body + "]}");
  }

  void AppendRegister(std::string& out) {
    char body[256];
    const int size = std::snprintf(
        body, sizeof body,
        R"({"displayName":"Load","city":"Suzhou","tier":"gold","identities":[{"kind":"phone","value":"+86139%08llu"}]})",
        static_cast<unsigned long long>(next_phone_++ % 100'000'000));
    AppendPost(out, "POST /v1/members", {body, static_cast<std::size_t>(size)});
  }

  void AppendSearch(std::string& out) {
    const std::uint64_t city = NextRandom() % bench::kCities.size();
    char body[256];
    const int size =
        std::snprintf(body, sizeof body, R"({"filter":"city = \"%s\" AND tier = \"%s\" AND id > %llu","pageSize":50})",
                      bench::kCities[city], bench::kTiers[city % bench::kTiers.size()],
                      static_cast<unsigned long long>(NextRandom() % settings_.members));
    AppendPost(out, "POST /v1/members:search", {body, static_cast<std::size_t>(size)});
  }

  void AppendPost(std::string& out, std::string_view line, std::string_view body) {
    out += line;
    out += tail_;
    out += "Content-Type: application/json\r\nContent-Length: ";
    out += std::to_string(body.size());
    out += "\r\n\r\n";
    out += body;
  }

  const Settings& settings_;
  std::string tail_;
  std::uint64_t random_ = 0;
  std::uint64_t next_phone_;
};

struct Connection {
  int socket = -1;
  std::string output;     // unsent
  std::string remainder;  // the beginning of an answer whose end has not arrived
  int under_way = 0;
};

// Takes whole answers off the front of `input`; answers the bytes used. Every answer has Content-Length: both nginx and
// muster send it.
std::size_t CountAnswers(std::string_view input, std::uint64_t& answers, std::uint64_t& errors) {
  std::size_t used = 0;
  for (;;) {
    const std::string_view rest = input.substr(used);
    const std::size_t head_end = rest.find("\r\n\r\n");
    if (head_end == std::string_view::npos) return used;
    const std::string_view head = rest.substr(0, head_end);
    std::size_t at = head.find("\r\nContent-Length: ");
    if (at == std::string_view::npos) Die("an answer without Content-Length");
    at += 18;
    std::size_t length = 0;
    std::from_chars(head.data() + at, head.data() + head.size(), length);
    if (rest.size() < head_end + 4 + length) return used;
    used += head_end + 4 + length;
    ++answers;
    if (head.size() < 12 || head[9] != '2') ++errors;
  }
}

class Load {
 public:
  explicit Load(const Settings& settings) : settings_(settings), maker_(settings), input_(kInputBytes, '\0') {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(static_cast<std::size_t>(settings.connections));
    for (std::size_t i = 0; i < connections_.size(); ++i) Connect(i);
  }

  void Run() {
    const auto started = SteadyClock::now();
    const auto end = started + std::chrono::duration<double>(settings_.seconds);
    for (Connection& connection : connections_) Refill(connection);
    std::vector<epoll_event> events(connections_.size());
    while (SteadyClock::now() < end) {
      const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < ready; ++i) OnReady(connections_[events[static_cast<std::size_t>(i)].data.u64]);
    }
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - started).count();
    std::printf("{\"requests\":%llu,\"seconds\":%.3f,\"per_second\":%.0f,\"bytes\":%llu,\"errors\":%llu}\n",
                static_cast<unsigned long long>(answers_), seconds, static_cast<double>(answers_) / seconds,
                static_cast<unsigned long long>(bytes_), static_cast<unsigned long long>(errors_));
  }

 private:
  void Connect(std::size_t index) {
    Connection& connection = connections_[index];
    connection.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(settings_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      Die("cannot connect to 127.0.0.1:" + std::to_string(settings_.port) + ": " +
          std::generic_category().message(errno));
    }
    const int on = 1;
    setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
  }

  void Refill(Connection& connection) {
    while (connection.under_way < settings_.pipeline) {
      maker_.Append(connection.output);
      ++connection.under_way;
    }
    // Small enough for a socket's buffer; blocks at worst for as long as the server does not read.
    while (!connection.output.empty()) {
      const ssize_t sent = send(connection.socket, connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
      if (sent <= 0) Die(std::string("send: ") + std::generic_category().message(errno));
      connection.output.erase(0, static_cast<std::size_t>(sent));
    }
  }

  void OnReady(Connection& connection) {
    const ssize_t received = recv(connection.socket, input_.data(), input_.size(), MSG_DONTWAIT);
    if (received < 0 && errno == EAGAIN) return;
    if (received <= 0) Die("the server closed a connection");
    bytes_ += static_cast<std::uint64_t>(received);
    std::string_view input(input_.data(), static_cast<std::size_t>(received));
    if (!connection.remainder.empty()) {
      connection.remainder += input;
      input = connection.remainder;
    }
    const std::uint64_t before = answers_;
    const std::size_t used = CountAnswers(input, answers_, errors_);
    std::string rest(input.substr(used));
    connection.remainder = std::move(rest);
    connection.under_way -= static_cast<int>(answers_ - before);
    // A pipeline is refilled when half of it is answered: fewer, larger sends on both sides.
    if (connection.under_way <= settings_.pipeline / 2) Refill(connection);
  }

  const Settings& settings_;
  RequestMaker maker_;
  std::string input_;
  std::vector<Connection> connections_;
  int epoll_ = -1;
  std::uint64_t answers_ = 0, errors_ = 0, bytes_ = 0;
};

Settings Parse(int argc, char** argv) {
  Settings settings;
  const std::map<std::string, std::function<void(const std::string&)>> flags = {
      {"--port", [&](const std::string& v) { settings.port = static_cast<std::uint16_t>(std::stoi(v)); }},
      {"--connections", [&](const std::string& v) { settings.connections = std::stoi(v); }},
      {"--pipeline", [&](const std::string& v) { settings.pipeline = std::stoi(v); }},
      {"--seconds", [&](const std::string& v) { settings.seconds = std::stod(v); }},
      {"--mode", [&](const std::string& v) { settings.mode = v; }},
      {"--members", [&](const std::string& v) { settings.members = std::stoull(v); }},
      {"--first-phone", [&](const std::string& v) { settings.first_phone = std::stoull(v); }},
      {"--key-file",
       [&](const std::string& v) {
         std::ifstream file(v);
         std::getline(file, settings.key);
       }},
  };
  for (int i = 1; i < argc; i += 2) {
    const auto flag = flags.find(argv[i]);
    if (flag == flags.end() || i + 1 == argc) Die(std::string("unknown or incomplete argument ") + argv[i]);
    flag->second(argv[i + 1]);
  }
  if (settings.port == 0) Die("--port is needed");
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = Parse(argc, argv);
  Load(settings).Run();
}
