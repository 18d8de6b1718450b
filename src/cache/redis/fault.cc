#include "cache/redis/fault.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "base/check.h"

namespace muster::redis {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::unexpected<Error> NotAnEndpoint(std::string_view text) {
  return Fail(
      Reason::kInvalidArgument,
      "\"" + std::string(text) +
          "\" is no address of a Redis: write 127.0.0.1:6379, [::1]:6379 or unix:/path (names are not looked up)");
}

bool IsAddress(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes;
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// "3999 127.0.0.1:6381"; an IPv6 address comes without brackets.
bool ParseRedirection(std::string_view text, Failure& failure) {
  const std::size_t space = text.find(' ');
  const std::size_t colon = text.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space) return false;
  const auto slot = ParseNumber<std::uint16_t>(text.substr(0, space));
  const auto port = ParseNumber<std::uint16_t>(text.substr(colon + 1));
  if (!slot || !port) return false;
  failure.slot = *slot;
  failure.endpoint = {.host = std::string(text.substr(space + 1, colon - space - 1)), .port = *port};
  return IsAddress(failure.endpoint.host);
}

struct ErrorWord {
  std::string_view word;
  Fault fault;
};
constexpr std::array<ErrorWord, 14> kErrorWords = {{{"MOVED", Fault::kMoved},
                                                    {"ASK", Fault::kAsk},
                                                    {"TRYAGAIN", Fault::kTryAgain},
                                                    {"NOSCRIPT", Fault::kNoScript},
                                                    {"READONLY", Fault::kReadOnly},
                                                    {"OOM", Fault::kOutOfMemory},
                                                    {"LOADING", Fault::kBusy},
                                                    {"BUSY", Fault::kBusy},
                                                    {"MASTERDOWN", Fault::kBusy},
                                                    {"CLUSTERDOWN", Fault::kBusy},
                                                    {"MISCONF", Fault::kBusy},
                                                    {"NOAUTH", Fault::kAuthentication},
                                                    {"WRONGPASS", Fault::kAuthentication},
                                                    {"NOPERM", Fault::kAuthentication}}};

}  // namespace

std::string Endpoint::Name() const {
  if (host.starts_with('/')) return std::string(kUnixPrefix) + host;
  return (host.contains(':') ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> ParseEndpoint(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) {
    Endpoint endpoint{.host = std::string(text.substr(kUnixPrefix.size())), .port = 0};
    if (!endpoint.host.starts_with('/') || endpoint.host.size() > 107) return NotAnEndpoint(text);
    return endpoint;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return NotAnEndpoint(text);
  const auto port = ParseNumber<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Endpoint endpoint{.host = std::string(host), .port = port.value_or(0)};
  if (endpoint.port == 0 || !IsAddress(endpoint.host)) return NotAnEndpoint(text);
  return endpoint;
}

Failure FailureOf(std::string_view error) {
  const std::size_t space = error.find(' ');
  const std::string_view word = error.substr(0, space);
  for (const ErrorWord& known : kErrorWords) {
    if (known.word != word) continue;
    Failure failure{.fault = known.fault};
    const bool redirects = known.fault == Fault::kMoved || known.fault == Fault::kAsk;
    if (redirects && (space == std::string_view::npos || !ParseRedirection(error.substr(space + 1), failure))) {
      return {.fault = Fault::kMalformed};
    }
    return failure;
  }
  return {.fault = Fault::kRefused};
}

std::string_view FaultName(Fault fault) {
  switch (fault) {
    case Fault::kUnreachable:
      return "unreachable";
    case Fault::kTimedOut:
      return "timed_out";
    case Fault::kTooMany:
      return "too_many";
    case Fault::kLost:
      return "lost";
    case Fault::kNoScript:
      return "no_script";
    case Fault::kMoved:
      return "moved";
    case Fault::kAsk:
      return "ask";
    case Fault::kTryAgain:
      return "try_again";
    case Fault::kReadOnly:
      return "read_only";
    case Fault::kOutOfMemory:
      return "out_of_memory";
    case Fault::kBusy:
      return "busy";
    case Fault::kAuthentication:
      return "authentication";
    case Fault::kUnsafePolicy:
      return "unsafe_policy";
    case Fault::kMalformed:
      return "malformed";
    case Fault::kRefused:
      return "refused";
  }
  MUSTER_UNREACHABLE("a Fault without a name");
}

std::string_view FaultAdvice(Fault fault) {
  switch (fault) {
    case Fault::kAuthentication:
      return "check the user and the password file, and that the account may run what docs/decisions/0022 lists";
    case Fault::kUnsafePolicy:
      return "set maxmemory-policy to noeviction or to a volatile- policy: others evict floors";
    case Fault::kReadOnly:
      return "give the address of the primary; a replica cannot be the cache of a center";
    case Fault::kLost:
      return "begin a new epoch of this center's cache: the server may lack what was invalidated";
    case Fault::kOutOfMemory:
      return "raise maxmemory: nothing can be filled";
    case Fault::kMalformed:
    case Fault::kRefused:
    case Fault::kNoScript:
      return "check that the address is that of a Redis 7";
    case Fault::kUnreachable:
    case Fault::kTimedOut:
    case Fault::kTooMany:
    case Fault::kMoved:
    case Fault::kAsk:
    case Fault::kTryAgain:
    case Fault::kBusy:
      return "check that the server runs and is in reach; it is asked again by itself";
  }
  MUSTER_UNREACHABLE("a Fault without advice");
}

}  // namespace muster::redis
