#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::redis {

// Where a server listens: an IPv4 or IPv6 address and a port, or the path of a Unix socket. Names are resolved by
// whoever makes the options: a loop must not wait for that.
struct Endpoint {
  std::string host;  // an address, or an absolute path
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;

  std::string Name() const;
};

// "127.0.0.1:6379", "[::1]:6379" or "unix:/run/redis.sock"; INVALID_ARGUMENT says what is wrong.
Result<Endpoint> ParseEndpoint(std::string_view text);

// What a failure means for whoever met it; all there is to know of one, since a server's own texts may quote values.
enum class Fault : std::uint8_t {
  kUnreachable,     // no connection, or it was lost: what was sent may have been done
  kTimedOut,        // no answer in time: the same
  kTooMany,         // as much as may be outstanding is; nothing was sent
  kLost,            // the server is not one of those that the epoch began on: it may lack what was written
  kNoScript,        // the script is to be loaded
  kMoved,           // the slot is another node's, for good
  kAsk,             // the key is another node's, this time
  kTryAgain,        // the slot is being moved
  kReadOnly,        // a replica
  kOutOfMemory,     // maxmemory is reached
  kBusy,            // loading its data, or in a script that does not end
  kAuthentication,  // wrong credentials, or the account may not do this
  kUnsafePolicy,    // it may evict what must stay
  kMalformed,       // not what the protocol says
  kRefused,         // anything else
};

struct Failure {
  Fault fault = Fault::kRefused;
  std::uint16_t slot = 0;  // of kMoved and kAsk
  Endpoint endpoint = {};  // of kMoved and kAsk
};

// Of the text of an error reply ("MOVED 3999 127.0.0.1:6381").
Failure FailureOf(std::string_view error);

// What it is in a word ("unreachable"), for logs and metrics.
std::string_view FaultName(Fault fault);

// What to do about it; holds no text of the server.
std::string_view FaultAdvice(Fault fault);

}  // namespace muster::redis
