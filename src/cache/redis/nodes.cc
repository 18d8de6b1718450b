#include "cache/redis/nodes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "cache/redis/command.h"
#include "cache/redis/padded.h"

namespace muster::redis {
namespace {

constexpr Duration kMapTimeout = std::chrono::milliseconds(500);

std::array<std::uint16_t, kShardCount> MakeShardSlots() {
  std::array<std::uint16_t, kShardCount> slots;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) slots[shard] = SlotOf(std::to_string(shard));
  return slots;
}

std::unexpected<Failure> Failed(Fault fault) { return std::unexpected(Failure{.fault = fault}); }

}  // namespace

std::uint16_t SlotOf(ShardId shard) {
  static const std::array<std::uint16_t, kShardCount> slots = MakeShardSlots();
  return slots[shard.value()];
}

Marker::Marker(Epoch epoch, const std::vector<std::string>& identities) : epoch_(epoch), text_(Padded(epoch.value())) {
  for (const std::string& identity : identities) text_.append(" ").append(identity);
}

std::optional<Marker> Marker::Parse(std::string_view text) {
  const std::optional<std::int64_t> epoch = ParsePadded(text.substr(0, kPaddedDigits));
  if (!epoch || text.size() < kPaddedDigits + 1 + kIdentityBytes) return std::nullopt;
  if ((text.size() - kPaddedDigits) % (kIdentityBytes + 1) != 0) return std::nullopt;
  return Marker(Epoch(*epoch), std::string(text));
}

bool Marker::Names(std::string_view identity) const {
  for (std::size_t at = kPaddedDigits + 1; at + kIdentityBytes <= text_.size(); at += kIdentityBytes + 1) {
    if (std::string_view(text_).substr(at, kIdentityBytes) == identity) return true;
  }
  return false;
}

// A request on its way. Its command is kept, as it may have to go to another server.
struct Nodes::Sent {
  Request request;
  int hops = 0;
  bool has_loaded_scripts = false;
};

Nodes::Nodes(NodesSettings settings, SocketLoop& loop, LoopTimer& timer, Random& random, StateListener listener)
    : settings_(std::move(settings)),
      loop_(loop),
      timer_(timer),
      random_(random),
      listener_(std::move(listener)),
      map_pause_(timer) {
  serving_.fill(kNone);
  for (const Endpoint& seed : settings_.seeds) FindOrMake(seed);
}

Nodes::~Nodes() {
  closing_ = true;
  nodes_.clear();
}

std::uint8_t Nodes::FindOrMake(const Endpoint& endpoint) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->connection->endpoint() == endpoint) return static_cast<std::uint8_t>(i);
  }
  if (nodes_.size() == kNodesMax) return kNone;
  auto& node = *nodes_.emplace_back(std::make_unique<Node>());
  Connection::Listener listener{.up = [this, &node] { OnUp(node); },
                                .down = [this, &node](Fault fault) { OnDown(node, fault); },
                                .pushed = nullptr};
  node.connection =
      std::make_unique<Connection>(endpoint, settings_.connection, loop_, timer_, random_, std::move(listener));
  node.connection->Open();
  return static_cast<std::uint8_t>(nodes_.size() - 1);
}

void Nodes::OnUp(Node& node) {
  node.vetted = nullptr;
  if (settings_.is_cluster) ReadMap();
  if (listener_) listener_(node.connection->endpoint(), std::nullopt);
}

void Nodes::OnDown(Node& node, Fault fault) {
  if (closing_) return;
  node.vetted = nullptr;
  if (settings_.is_cluster) ReadMap();
  if (listener_) listener_(node.connection->endpoint(), fault);
}

bool Nodes::IsFit(Node& node, const MarkerRef& marker) {
  if (!node.connection->is_up()) return false;
  if (marker == nullptr || node.vetted == marker) return true;
  if (!marker->Names(node.connection->facts().identity)) return false;
  node.vetted = marker;
  return true;
}

Nodes::Node* Nodes::NodeOf(std::uint16_t slot, const MarkerRef& marker) const {
  if (settings_.is_cluster) {
    const std::uint8_t index = serving_[slot];
    return index != kNone && IsFit(*nodes_[index], marker) ? nodes_[index].get() : nullptr;
  }
  for (const auto& node : nodes_) {
    if (IsFit(*node, marker)) return node.get();
  }
  return nullptr;
}

std::expected<std::vector<std::string>, Fault> Nodes::Identities() const {
  std::vector<std::string> identities;
  if (settings_.is_cluster) {
    std::array<bool, kNodesMax> serves{};
    for (const std::uint8_t index : serving_) {
      if (index == kNone || !nodes_[index]->connection->is_up()) return std::unexpected(Fault::kUnreachable);
      serves[index] = true;
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (serves[i]) identities.push_back(nodes_[i]->connection->facts().identity);
    }
  } else {
    for (const auto& node : nodes_) {
      if (node->connection->is_up()) identities.push_back(node->connection->facts().identity);
    }
    if (identities.empty()) return std::unexpected(Fault::kUnreachable);
    if (identities.size() > 1) return std::unexpected(Fault::kLost);
  }
  std::ranges::sort(identities);
  return identities;
}

std::size_t Nodes::outstanding() const {
  std::size_t sum = 0;
  for (const auto& node : nodes_) sum += node->connection->outstanding();
  return sum;
}

std::uint64_t Nodes::writes() const {
  std::uint64_t sum = 0;
  for (const auto& node : nodes_) sum += node->connection->writes();
  return sum;
}

void Nodes::Send(Request request) {
  Node* const node = closing_ ? nullptr : NodeOf(request.slot, request.marker);
  if (node == nullptr) {
    const bool is_up = !closing_ && NodeOf(request.slot, nullptr) != nullptr;
    if (settings_.is_cluster && !closing_) ReadMap();
    return request.done(Failed(is_up ? Fault::kLost : Fault::kUnreachable));
  }
  SendTo(*node, std::make_shared<Sent>(Sent{.request = std::move(request)}), false);
}

void Nodes::SendTo(Node& node, std::shared_ptr<Sent> sent, bool is_asking) {
  if (is_asking) node.connection->Send(MakeCommand("ASKING"), sent->request.deadline, [](const Outcome&) {});
  const Deadline deadline = sent->request.deadline;
  const std::string_view command = sent->request.command;
  node.connection->Send(command, deadline, [this, &node, sent = std::move(sent)](Outcome outcome) mutable {
    OnAnswer(node, std::move(sent), std::move(outcome));
  });
}

void Nodes::OnAnswer(Node& node, std::shared_ptr<Sent> sent, Outcome outcome) {
  if (outcome || closing_) return sent->request.done(std::move(outcome));
  switch (outcome.error().fault) {
    case Fault::kMoved:
    case Fault::kAsk:
      if (!settings_.is_cluster) return sent->request.done(Failed(Fault::kRefused));
      return Follow(std::move(sent), outcome.error());
    case Fault::kNoScript:
      if (std::exchange(sent->has_loaded_scripts, true)) break;
      LoadScripts(node);
      return SendTo(node, std::move(sent), false);
    default:
      break;
  }
  sent->request.done(std::move(outcome));
}

void Nodes::LoadScripts(Node& node) {
  for (const std::string_view script : settings_.connection.scripts) {
    node.connection->Send(MakeCommand("SCRIPT", "LOAD", script), Deadline(), [](const Outcome&) {});
  }
}

void Nodes::Follow(std::shared_ptr<Sent> sent, const Failure& redirection) {
  ++redirections_;
  const bool has_moved = redirection.fault == Fault::kMoved;
  const std::uint8_t index = FindOrMake(redirection.endpoint);
  if (has_moved) {
    if (redirection.slot < kSlotCount && index != kNone) serving_[redirection.slot] = index;
    ReadMap();
  }
  if (++sent->hops > kHopsMax) return sent->request.done(Failed(Fault::kTryAgain));
  if (index == kNone || !nodes_[index]->connection->is_up()) return sent->request.done(Failed(Fault::kUnreachable));
  if (!IsFit(*nodes_[index], sent->request.marker)) return sent->request.done(Failed(Fault::kLost));
  SendTo(*nodes_[index], std::move(sent), !has_moved);
}

// Of any node that is up; not again for a while, as each of many requests may notice that the map is old.
void Nodes::ReadMap() {
  if (map_is_asked_for_ || map_pause_.is_set()) return;
  // Another one each time: one may be cut off from the others.
  Node* asked = nullptr;
  for (std::size_t i = 0; i < nodes_.size() && asked == nullptr; ++i) {
    Node& next = *nodes_[map_asked_++ % nodes_.size()];
    if (next.connection->is_up()) asked = &next;
  }
  if (asked == nullptr) return;
  Node& node = *asked;
  map_is_asked_for_ = true;
  node.connection->Send(MakeCommand("CLUSTER", "SLOTS"), Deadline(timer_.Now() + kMapTimeout),
                        [this, &node](const Outcome& outcome) {
                          map_is_asked_for_ = false;
                          if (closing_) return;
                          const bool is_whole = outcome && TakeMap(node.connection->endpoint(), outcome->view());
                          map_pause_.Set(kMapPause, [this, is_whole] {
                            if (!is_whole) ReadMap();
                          });
                        });
}

// False: not all slots are served.
bool Nodes::TakeMap(const Endpoint& from, ReplyView slots) {
  std::array<std::uint8_t, kSlotCount> serving;
  serving.fill(kNone);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const ReplyView range = slots.at(i);
    if (range.size() < 3 || range.at(2).size() < 2) return false;
    const auto first = range.at(0).integer(), last = range.at(1).integer(), port = range.at(2).at(1).integer();
    const auto host = range.at(2).at(0).text();
    if (!first || !last || !port || *first < 0 || *last >= static_cast<std::int64_t>(kSlotCount)) return false;
    const Endpoint endpoint{.host = host && !host->empty() ? std::string(*host) : from.host,
                            .port = static_cast<std::uint16_t>(*port)};
    const std::uint8_t index = FindOrMake(endpoint);
    for (std::int64_t slot = *first; slot <= *last; ++slot) serving[static_cast<std::size_t>(slot)] = index;
  }
  serving_ = serving;
  return std::ranges::find(serving_, kNone) == serving_.end();
}

}  // namespace muster::redis
