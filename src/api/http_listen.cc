#include "api/http_listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

namespace muster {
namespace {

constexpr int kBacklog = 4096;  // the kernel caps it at net.core.somaxconn

struct HostPort {
  std::string host;
  std::string port;
};

std::optional<HostPort> Split(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return {};
  HostPort parts{.host = text.substr(0, colon), .port = text.substr(colon + 1)};
  std::uint16_t port = 0;
  const char* const end = parts.port.data() + parts.port.size();
  const auto [stop, error] = std::from_chars(parts.port.data(), end, port);
  if (error != std::errc() || stop != end) return {};
  if (parts.host.front() == '[' && parts.host.back() == ']') {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.host.contains(':')) {
    return {};
  }
  return parts;
}

using AddressInfo = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<AddressInfo> Resolve(const std::string& listen, std::string_view option) {
  const std::string where = std::string(option) + " " + listen;
  const std::optional<HostPort> parts = Split(listen);
  if (!parts) {
    return Fail(Reason::kInvalidArgument,
                where +
                    " is not host:port; write it as 127.0.0.1:7400, [::1]:7400 or localhost:0, with a port up to "
                    "65535 (0: any free one)");
  }
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &found); error != 0) {
    return Fail(Reason::kInvalidArgument,
                where + ": the host is not known (" + gai_strerror(error) + "); use an address of this machine");
  }
  return AddressInfo(found, &freeaddrinfo);
}

Error Explain(std::string_view option, const std::string& address, int error) {
  const std::string where = std::string(option) + " " + address;
  const std::string other = "; choose another one with " + std::string(option) + " (port 0 picks a free one)";
  switch (error) {
    case EADDRINUSE:
      return {.reason = Reason::kStateConflict,
              .message = where + " is in use by another process: stop that one (ss -ltnp shows it)" + other};
    case EADDRNOTAVAIL:
      return {.reason = Reason::kInvalidArgument,
              .message = where + " is not an address of this machine (ip address shows those)" + other};
    case EACCES:
    case EPERM:
      return {.reason = Reason::kPermissionDenied,
              .message = where + " is not permitted: ports below 1024 need CAP_NET_BIND_SERVICE" + other};
    default:
      return {.reason = Reason::kInvalidArgument,
              .message = where + " cannot be listened on: " + std::generic_category().message(error) + other};
  }
}

bool SetOption(int socket, int option, int level = SOL_SOCKET) {
  const int on = 1;
  return setsockopt(socket, level, option, &on, sizeof on) == 0;
}

// The first socket is bound without SO_REUSEPORT, so that it fails when anybody else has the port, and opens it for its
// siblings afterwards. (With SO_REUSEPORT from the start, a second server of the same user would share the port in
// silence.)
int Bind(const sockaddr* address, socklen_t size, bool is_first) {
  const int made = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  // Connections inherit TCP_NODELAY from the socket that they are accepted from.
  const bool bound = SetOption(made, SO_REUSEADDR) && SetOption(made, TCP_NODELAY, IPPROTO_TCP) &&
                     (is_first || SetOption(made, SO_REUSEPORT)) && bind(made, address, size) == 0 &&
                     SetOption(made, SO_REUSEPORT) && ::listen(made, kBacklog) == 0;
  if (bound) return made;
  const int error = errno;
  close(made);
  errno = error;
  return -1;
}

std::string Describe(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
}

}  // namespace

Result<void> CheckListenAddress(const std::string& listen, std::string_view option) {
  MUSTER_TRY(Resolve(listen, option));
  return {};
}

bool ListenAddressesCollide(const std::string& one, const std::string& other) {
  const Result<AddressInfo> first = Resolve(one, "");
  const Result<AddressInfo> second = Resolve(other, "");
  if (!first || !second) return false;
  const auto describe = [](const AddressInfo& info) {
    sockaddr_storage address{};
    std::memcpy(&address, info->ai_addr, info->ai_addrlen);
    return Describe(address);
  };
  const std::string a = describe(*first);
  const std::string b = describe(*second);
  const auto port = [](const std::string& address) { return address.substr(address.rfind(':')); };
  if (port(a) != port(b) || port(a) == ":0") return false;
  const auto is_all = [](const std::string& address) {
    return address.starts_with("0.0.0.0:") || address.starts_with("[::]:");
  };
  return a == b || is_all(a) || is_all(b);
}

Result<HttpListeners> ListenHttp(const std::string& listen, std::size_t count, std::string_view option) {
  MUSTER_ASSIGN(const AddressInfo found, Resolve(listen, option));
  HttpListeners listeners;
  sockaddr_storage address{};
  socklen_t size = found->ai_addrlen;
  std::memcpy(&address, found->ai_addr, size);
  for (std::size_t i = 0; i < count; ++i) {
    const int made = Bind(reinterpret_cast<const sockaddr*>(&address), size, i == 0);
    const bool known = made >= 0 && getsockname(made, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (made >= 0) listeners.sockets.push_back(made);
    if (!known) {
      const int error = errno;
      for (const int open : listeners.sockets) close(open);
      return Fail(Explain(option, listen, error));
    }
  }
  listeners.address = Describe(address);
  return listeners;
}

}  // namespace muster
