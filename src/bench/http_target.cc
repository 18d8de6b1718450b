#include "bench/http_target.h"

#include <netdb.h>

#include <cstring>
#include <memory>

namespace muster {

Result<HttpTarget> ResolveHttpTarget(std::string_view url) {
  static constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) {
    return Fail(Reason::kInvalidArgument, std::string(url) +
                                              " is not http://HOST:PORT, and nothing else is measured: "
                                              "behind a TLS proxy, name the server itself");
  }
  std::string_view authority = url.substr(kScheme.size());
  if (authority.ends_with('/')) authority.remove_suffix(1);
  const bool is_bracketed = authority.starts_with('[');
  const std::size_t host_end = is_bracketed ? authority.find(']') : authority.find(':');
  std::string host(authority.substr(is_bracketed ? 1 : 0, host_end - (is_bracketed ? 1 : 0)));
  const std::size_t colon = authority.find(':', is_bracketed ? std::min(host_end, authority.size()) : 0);
  const std::string port(colon == std::string_view::npos ? "80" : authority.substr(colon + 1));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (is_bracketed && host_end == std::string_view::npos) host.clear();
  const int failure = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (host.empty() || failure != 0) {
    return Fail(Reason::kInvalidArgument,
                "the address " + std::string(url) + " is not known" +
                    (failure == 0 ? std::string() : std::string(": ") + gai_strerror(failure)) + "; check --server");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, &freeaddrinfo);
  HttpTarget target{.address = {}, .address_size = found->ai_addrlen, .host = std::string(authority)};
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  return target;
}

}  // namespace muster
