#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "lab/descriptor.h"
#include "lab/flow.h"
#include "lab/links.h"

namespace muster::lab {

// What moves bytes: the links as they are, and how much each may still send.
struct Transit {
  Instant now{};
  Links::All links{};
  std::array<std::array<TokenBucket, kCenters.size()>, kCenters.size()> buckets{};
};

// A connection through the proxy. It belongs to the proxy's thread.
//
//   waiting ──(a round trip; not while either direction is cut)──► connecting ──► open ──► over
//
// The client believes itself connected from the start, since the kernel accepts for us; it is not read before `open`.
class ProxiedConnection {
 public:
  enum class Side : std::uint8_t { kClient, kServer };

  // `from` none: no link lies between.
  ProxiedConnection(Descriptor client, std::optional<Center> from, Center to, std::uint16_t target_port,
                    Instant accepted)
      : client_{.socket = std::move(client)}, from_(from), to_(to), target_port_(target_port), accepted_(accepted) {}

  // Of an edge-triggered watch. Then Move.
  void OnEvents(Side side, std::uint32_t events);
  // Moves what can be moved now; false: the connection is over.
  bool Move(Transit& transit);
  // When time alone lets more be moved.
  std::optional<Instant> due() const { return due_; }
  // To be watched once, when there is one.
  int TakeNewServerSocket() { return std::exchange(new_server_socket_, -1); }
  int client_socket() const { return client_.socket.number(); }

 private:
  struct End {
    Descriptor socket = {};
    bool readable = false;
    bool writable = false;
    bool hung_up = false;  // it sends nothing more, or is gone
    bool broken = false;
  };
  enum class State : std::uint8_t { kWaiting, kConnecting, kOpen };

  LinkCondition Forward(const Transit& transit) const;
  LinkCondition Back(const Transit& transit) const;
  bool Begin(const Transit& transit);
  bool Connect();
  bool FinishConnecting();
  bool Transfer(End& source, End& sink, Flow& flow, const LinkCondition& link, TokenBucket* bucket, Instant now);
  bool Read(End& source, Flow& flow, Instant due);
  bool Write(End& sink, Flow& flow, const LinkCondition& link, TokenBucket* bucket, Instant now);
  TokenBucket* BucketOf(Transit& transit, Center from, Center to) const;
  void DueBy(std::optional<Instant> when);
  static void Reset(End& end);

  End client_;
  End server_;
  const std::optional<Center> from_;
  const Center to_;
  const std::uint16_t target_port_;
  const Instant accepted_;
  State state_ = State::kWaiting;
  Flow up_;    // to the server
  Flow down_;  // to the client
  std::optional<Instant> due_;
  int new_server_socket_ = -1;
};

}  // namespace muster::lab
