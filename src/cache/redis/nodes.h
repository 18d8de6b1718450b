#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/socket_loop.h"
#include "cache/redis/connection.h"
#include "cache/redis/loop_timer.h"
#include "cache/redis/slots.h"
#include "domain/ids.h"

namespace muster::redis {

// What says that servers have all that was written since an epoch began: the processes, by their identities, on which
// it did. Text of the key P:marker{S}: 19 digits of the epoch, then a space and an identity for each.
class Marker {
 public:
  Marker(Epoch epoch, const std::vector<std::string>& identities);
  // Empty: not such a text.
  static std::optional<Marker> Parse(std::string_view text);

  Epoch epoch() const { return epoch_; }
  const std::string& text() const { return text_; }
  bool Names(std::string_view identity) const;

 private:
  Marker(Epoch epoch, std::string text) : epoch_(epoch), text_(std::move(text)) {}
  Epoch epoch_;
  std::string text_;
};
using MarkerRef = std::shared_ptr<const Marker>;

struct NodesSettings {
  // One server; or a primary and its replicas, whichever of them is the primary; or, with `is_cluster`, some nodes of a
  // Cluster, which tell of the rest.
  std::vector<Endpoint> seeds;
  bool is_cluster = false;
  ConnectionSettings connection = {};
};

// The servers that are the cache of a center, as one: finds the one that serves a slot, follows MOVED and ASK, loads
// scripts that were forgotten. Asks no server that the marker does not name. All on the loop's thread.
class Nodes {
 public:
  static constexpr std::size_t kNodesMax = 64;
  static constexpr int kHopsMax = 4;

  struct Request {
    std::uint16_t slot = 0;
    std::string command;
    MarkerRef marker;  // null: any server will do
    Deadline deadline;
    OutcomeReply done;
  };
  // Told of each server that comes and goes.
  using StateListener = std::function<void(const Endpoint&, std::optional<Fault>)>;

  Nodes(NodesSettings settings, SocketLoop& loop, LoopTimer& timer, Random& random, StateListener listener);
  // What is outstanding is answered kUnreachable. Not within a reply.
  ~Nodes();
  Nodes(const Nodes&) = delete;

  // Answered once, during the call only with a failure.
  void Send(Request request);

  // The identities of all servers that serve a slot now. kUnreachable: not all of them are up; kLost: two say that they
  // are the primary.
  std::expected<std::vector<std::string>, Fault> Identities() const;
  // Whether whoever serves the slot is up.
  bool IsUp(std::uint16_t slot) const { return NodeOf(slot, nullptr) != nullptr; }
  std::uint64_t redirections() const { return redirections_; }
  std::size_t outstanding() const;
  std::uint64_t writes() const;

 private:
  struct Node {
    std::unique_ptr<Connection> connection;
    MarkerRef vetted;  // names the identity that it has now
  };
  struct Sent;
  static constexpr std::uint8_t kNone = 0xFF;
  static_assert(kNodesMax < kNone);
  static constexpr Duration kMapPause = std::chrono::milliseconds(50);

  Node* NodeOf(std::uint16_t slot, const MarkerRef& marker) const;
  static bool IsFit(Node& node, const MarkerRef& marker);
  std::uint8_t FindOrMake(const Endpoint& endpoint);
  void OnUp(Node& node);
  void OnDown(Node& node, Fault fault);
  void SendTo(Node& node, std::shared_ptr<Sent> sent, bool is_asking);
  void OnAnswer(Node& node, std::shared_ptr<Sent> sent, Outcome outcome);
  void Follow(std::shared_ptr<Sent> sent, const Failure& redirection);
  void LoadScripts(Node& node);
  void ReadMap();
  bool TakeMap(const Endpoint& from, ReplyView slots);

  const NodesSettings settings_;
  SocketLoop& loop_;
  LoopTimer& timer_;
  Random& random_;
  const StateListener listener_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::array<std::uint8_t, kSlotCount> serving_;  // the index of a node
  bool map_is_asked_for_ = false;
  LoopTimer::Alarm map_pause_;
  std::size_t map_asked_ = 0;
  std::uint64_t redirections_ = 0;
  bool closing_ = false;
};

}  // namespace muster::redis
