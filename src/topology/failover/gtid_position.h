#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster::failover {

// How far a log of replication reaches: of each domain the server that wrote its last transaction, and that one's
// number. As text what MariaDB writes: "0-1-17", several with commas, empty for nothing. Numbers of a domain rise by
// one with each transaction and go on when another server becomes the primary, so that of two logs that have not
// diverged the one with the higher number holds the other one.
class GtidPosition {
 public:
  struct Last {
    std::uint32_t server = 0;
    std::uint64_t number = 0;
    friend bool operator==(const Last&, const Last&) = default;
  };

  GtidPosition() = default;
  static GtidPosition Of(std::uint32_t domain, std::uint32_t server, std::uint64_t number);
  static Result<GtidPosition> Parse(std::string_view text);
  std::string Text() const;

  // Whether a log that reaches this far holds all that one has that reaches as far as `other`, if they have not
  // diverged.
  bool Covers(const GtidPosition& other) const;
  // Which of two logs holds more; by all numbers together, which decides between logs of one history.
  std::uint64_t Total() const;
  // Whether the two cannot be of one history: the same number from two servers.
  bool Contradicts(const GtidPosition& other) const;
  // Whether `other`, of one domain, ends with a transaction of the same server as this one does in that domain.
  bool HasSameServer(const GtidPosition& other) const;
  bool empty() const { return domains_.empty(); }
  // The later of the two in each domain.
  void Raise(const GtidPosition& other);

  friend bool operator==(const GtidPosition&, const GtidPosition&) = default;

 private:
  static constexpr std::size_t kDomainsMax = 32;

  std::map<std::uint32_t, Last> domains_;
};

}  // namespace muster::failover
