#include "cache/redis/tracked_near_cache.h"

#include <array>
#include <chrono>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "cache/redis/command.h"
#include "cache/redis/connection.h"
#include "cache/redis/keys.h"
#include "cache/redis/loop_timer.h"

namespace muster {
namespace redis {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";
// Members that share one only cost each other a refused fill.
constexpr std::size_t kChangeSlots = 4096;
// What an entry takes beside its document.
constexpr std::size_t kEntryBytes = 128;

class Tracked final : public TrackedNearCache {
 public:
  Tracked(const RedisOptions& options, const RedisDependencies& dependencies, Credentials credentials,
          const std::vector<Endpoint>& endpoints, std::unique_ptr<LoopTimer> timer, std::size_t bytes_max)
      : state_(dependencies.state),
        logger_(*dependencies.logger),
        center_(dependencies.center),
        keys_(options.prefix),
        bytes_max_(bytes_max),
        timer_(std::move(timer)) {
    settings_.credentials = std::move(credentials);
    settings_.probe_interval = Duration(0);
    if (options.is_cluster) return;
    for (const Endpoint& endpoint : endpoints) {
      Link& link = *links_.emplace_back(std::make_unique<Link>(*timer_));
      Connection::Listener listener{.up = [this, &link] { Subscribe(link); },
                                    .down = [this, &link](Fault) { TurnOff(link); },
                                    .pushed = [this](ReplyView message) { OnMessage(message); }};
      link.connection = std::make_unique<Connection>(endpoint, settings_, *dependencies.loop, *timer_,
                                                     *dependencies.random, std::move(listener));
      link.connection->Open();
    }
  }

  ~Tracked() override {
    for (const auto& link : links_) link->ping.Cancel();
    links_.clear();
  }

  std::optional<Found> Find(MemberId id) override {
    const auto entry = IsOn() ? entries_.find(id) : entries_.end();
    if (entry == entries_.end()) return CountMiss();
    const Duration age = timer_->Now() - entry->second.begun;
    if (age > kAgeMax || entry->second.epoch != state_().epoch) return CountMiss();
    ++hits_;
    return Found{.member = entry->second.document, .age = age};
  }

  Ticket Begin(MemberId id) override {
    if (!IsOn()) return {};
    return {.link = generation_, .change = changes_[SlotOf(id)], .epoch = state_().epoch, .begun = timer_->Now()};
  }

  void Fill(MemberId id, const MemberDocumentRef& document, const Ticket& ticket) override {
    const bool has_changed = ticket.link != generation_ || ticket.change != changes_[SlotOf(id)];
    if (ticket.link == 0 || has_changed || !IsOn() || ticket.epoch != state_().epoch) {
      ++fills_refused_;
      return;
    }
    Erase(id);
    Entry entry{.document = document, .begun = ticket.begun, .epoch = ticket.epoch, .number = ++next_number_};
    bytes_ += BytesOf(entry);
    order_.emplace_back(id, entry.number);
    entries_.emplace(id, std::move(entry));
    Trim();
  }

  bool IsOn() const override {
    if (on_ == nullptr || timer_->Now() - confirmed_ > kUnsureAfter) return false;
    const CacheState state = state_();
    return state.mode == CacheMode::kOn && timer_->Now() < state.valid_until;
  }

  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override {
    return {{"hits", hits_},  {"misses", misses_},   {"fills_refused", fills_refused_},
            {"told", told_},  {"emptied", emptied_}, {"entries", entries_.size()},
            {"bytes", bytes_}};
  }

 private:
  struct Link {
    explicit Link(LoopTimer& timer) : ping(timer) {}
    LoopTimer::Alarm ping;
    std::unique_ptr<Connection> connection;  // ends first: what is outstanding turns the link off
  };
  struct Entry {
    MemberDocumentRef document;
    Instant begun;
    Epoch epoch;
    std::uint64_t number = 0;  // which of the fills of a member it is
  };

  static std::size_t SlotOf(MemberId id) { return Mix64(static_cast<std::uint64_t>(id.value())) % kChangeSlots; }
  static std::size_t BytesOf(const Entry& entry) {
    return kEntryBytes + (entry.document ? entry.document->AllocatedBytes() : 0);
  }
  std::optional<Found> CountMiss() {
    ++misses_;
    return std::nullopt;
  }

  // Each step after the answer to the one before; what fails is tried again when the connection is lost and back.
  void Subscribe(Link& link) {
    Ask(link, MakeCommand("CLIENT", "ID"), [this, &link](ReplyView id) {
      const std::string own = std::to_string(id.integer().value_or(0));
      Ask(link, MakeCommand("CLIENT", "TRACKING", "ON", "REDIRECT", own, "BCAST", "PREFIX", keys_.MemberPrefix()),
          [this, &link](ReplyView) {
            Ask(link, MakeCommand("SUBSCRIBE", kChannel), [this, &link](ReplyView) { Ping(link); });
          });
    });
  }

  void Ask(Link& link, const std::string& command, std::function<void(ReplyView)> then) {
    link.connection->Send(command, Deadline(), [this, &link, then = std::move(then)](const Outcome& outcome) {
      if (outcome) return then(outcome->view());
      TurnOff(link);
      if (outcome.error().fault == Fault::kUnreachable) return;
      logger_.Warning("the near cache hears of no changes",
                      {{"center", center_}, {"why", FaultName(outcome.error().fault)}});
    });
  }

  void Ping(Link& link) {
    Ask(link, MakeCommand("PING"), [this, &link, sent = timer_->Now()](ReplyView) {
      if (on_ != nullptr && on_ != &link) return;  // two primaries: the first stays until it is lost
      if (on_ == nullptr) Empty();
      on_ = &link;
      confirmed_ = sent;
      link.ping.Set(kPingInterval, [this, &link] { Ping(link); });
    });
  }

  void TurnOff(Link& link) {
    link.ping.Cancel();
    if (on_ != &link) return;
    on_ = nullptr;
    Empty();
  }

  // ["message", channel, keys]; no keys: all have changed.
  void OnMessage(ReplyView message) {
    ++told_;
    const ReplyView keys = message.at(2);
    if (keys.size() == 0) return Empty();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto key = keys.at(i).text();
      const MemberId id = key ? Keys::MemberOf(*key) : MemberId(0);
      if (id == MemberId(0)) return Empty();
      ++changes_[SlotOf(id)];
      Erase(id);
    }
  }

  void Empty() {
    ++generation_;
    ++emptied_;
    entries_.clear();
    order_.clear();
    bytes_ = 0;
  }

  void Erase(MemberId id) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return;
    bytes_ -= BytesOf(entry->second);
    entries_.erase(entry);
  }

  // What is too old goes, and the oldest of what is too much. An order entry of one that is gone goes in its turn, so
  // there are no more of them than fills in `kAgeMax`.
  void Trim() {
    const Instant now = timer_->Now();
    while (!order_.empty()) {
      const auto [id, number] = order_.front();
      const auto entry = entries_.find(id);
      const bool is_gone = entry == entries_.end() || entry->second.number != number;
      if (!is_gone && bytes_ <= bytes_max_ && now - entry->second.begun <= kAgeMax) return;
      if (!is_gone) Erase(id);
      order_.pop_front();
    }
  }

  const CacheStateSource state_;
  Logger& logger_;
  const std::string center_;
  const Keys keys_;
  const std::size_t bytes_max_;
  ConnectionSettings settings_;
  const std::unique_ptr<LoopTimer> timer_;
  std::vector<std::unique_ptr<Link>> links_;  // one a seed: whichever is the primary
  const Link* on_ = nullptr;
  Instant confirmed_ = Instant::min();
  std::uint64_t generation_ = 1;
  std::array<std::uint64_t, kChangeSlots> changes_{};
  std::unordered_map<MemberId, Entry> entries_;
  std::deque<std::pair<MemberId, std::uint64_t>> order_;
  std::uint64_t next_number_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t hits_ = 0, misses_ = 0, fills_refused_ = 0, told_ = 0, emptied_ = 0;
};

}  // namespace
}  // namespace redis

Result<std::unique_ptr<TrackedNearCache>> MakeTrackedNearCache(const RedisOptions& options,
                                                               const RedisDependencies& dependencies,
                                                               std::size_t bytes_max) {
  MUSTER_TRY(CheckRedisOptions(options));
  std::vector<redis::Endpoint> endpoints;
  for (const std::string& text : options.endpoints) {
    MUSTER_ASSIGN(redis::Endpoint endpoint, redis::ParseEndpoint(text));
    endpoints.push_back(std::move(endpoint));
  }
  MUSTER_ASSIGN(redis::Credentials credentials, redis::LoadCredentials(options.user, options.password_file));
  MUSTER_ASSIGN(auto timer, redis::LoopTimer::Make(*dependencies.loop, *dependencies.clock));
  return std::make_unique<redis::Tracked>(options, dependencies, std::move(credentials), endpoints, std::move(timer),
                                          bytes_max);
}

}  // namespace muster
