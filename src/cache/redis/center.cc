#include "cache/redis/center.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "cache/redis/center_writer.h"
#include "cache/redis/command.h"
#include "cache/redis/keys.h"
#include "cache/redis/loop_timer.h"
#include "cache/redis/marker_keeper.h"
#include "cache/redis/nodes.h"
#include "cache/redis/padded.h"
#include "cache/redis/script_calls.h"
#include "domain/document_sealer.h"

namespace muster {
namespace redis {
namespace {

// Keys of one MGET.
constexpr std::size_t kKeysPerCommandMax = 256;
// Readers that wait for another's fill; those beyond read through.
constexpr std::size_t kFillWaitersMax = 4096;
// Versions of an identity: see scripts.h.
constexpr Version kNeverChanged{0};
constexpr Version kExact{1};

struct Lookup {
  Subject subject;
  Deadline deadline;
  std::move_only_function<void(MemberLookup)> member_reply = nullptr;
  std::move_only_function<void(HolderLookup)> holder_reply = nullptr;  // of an identity
  bool has_waited = false;
  bool only_peeks = false;
};

struct CenterCounts {
  std::uint64_t hits = 0, misses = 0, leases = 0, waited = 0, unusable = 0, damaged = 0, fills = 0, fills_refused = 0,
                lost = 0, timed_out = 0, commands = 0;
};

class Center final : public RedisCenterCache {
 public:
  Center(const RedisOptions& options, const RedisDependencies& dependencies, Credentials credentials,
         std::vector<Endpoint> endpoints, std::unique_ptr<LoopTimer> timer)
      : options_(options),
        loop_(*dependencies.loop),
        logger_(*dependencies.logger),
        state_(dependencies.state),
        center_(dependencies.center),
        request_timeout_(std::chrono::milliseconds(options.request_timeout_ms)),
        fill_wait_(std::chrono::milliseconds(options.fill_wait_ms)),
        keys_(options.prefix),
        sealer_(*dependencies.keyring, *dependencies.random),
        next_token_(dependencies.random->Next()),
        timer_(std::move(timer)),
        fill_alarm_(*timer_) {
    NodesSettings settings{.seeds = std::move(endpoints), .is_cluster = options.is_cluster};
    settings.connection.credentials = std::move(credentials);
    settings.connection.scripts = ScriptTexts();
    nodes_ = std::make_unique<Nodes>(
        std::move(settings), loop_, *timer_, *dependencies.random,
        [this](const Endpoint& endpoint, std::optional<Fault> fault) { LogServer(endpoint, fault); });
    markers_.emplace(*nodes_, keys_, *timer_, request_timeout_);
    writer_.emplace(*nodes_, keys_, *markers_, options.floor_life_s);
  }

  ~Center() override {
    *alive_ = false;
    nodes_.reset();  // answers what is outstanding, for which all else has to be there
    fill_alarm_.Cancel();
    for (auto* lookups : {&gathered_, &ready_}) {
      for (Lookup& lookup : *lookups) Unusable(lookup);
    }
    for (auto& [until, lookup] : fill_waiters_) Unusable(lookup);
  }

  void Get(MemberId id, Deadline deadline, std::move_only_function<void(MemberLookup)> reply) override {
    Gather({.subject = Subject::Of(id), .deadline = deadline, .member_reply = std::move(reply)});
  }
  void FindHolder(const IdentityKey& key, Deadline deadline,
                  std::move_only_function<void(HolderLookup)> reply) override {
    Gather({.subject = Subject::Of(key), .deadline = deadline, .holder_reply = std::move(reply)});
  }

  void Peek(MemberId id, Deadline deadline, std::move_only_function<void(MemberLookup)> reply) override {
    Gather({.subject = Subject::Of(id), .deadline = deadline, .member_reply = std::move(reply), .only_peeks = true});
  }

  void Fill(MemberId id, const MemberDocumentRef& document, FillToken token) override {
    payload_.clear();
    if (document) sealer_.Seal(*document, payload_);
    SendFill(Subject::Of(id), document ? document->version() : Version(0), payload_, token);
  }
  void FillHolder(const IdentityKey& key, std::optional<MemberId> holder, bool is_exact, FillToken token) override {
    const bool always_counts = is_exact || holder.has_value();
    SendFill(Subject::Of(key), always_counts ? kExact : kNeverChanged,
             holder ? std::to_string(holder->value()) : std::string(), token);
  }

  void Invalidate(const TouchedEntries& touched, Deadline deadline,
                  std::move_only_function<void(Invalidation)> reply) override {
    writer_->Invalidate(state_(), touched, deadline, std::move(reply));
  }
  void BeginEpoch(Epoch epoch, Deadline deadline, std::move_only_function<void(Result<bool>)> reply) override {
    writer_->BeginEpoch(epoch, deadline, std::move(reply));
  }
  bool IsReachable() const override { return nodes_->Identities().has_value(); }

  std::vector<std::pair<std::string, std::uint64_t>> Counters() const override {
    return {{"hits", counts_.hits},
            {"misses", counts_.misses},
            {"leases", counts_.leases},
            {"waited", counts_.waited},
            {"unusable", counts_.unusable},
            {"damaged", counts_.damaged},
            {"fills", counts_.fills},
            {"fills_refused", counts_.fills_refused},
            {"invalidations", writer_->counts().done},
            {"invalidations_failed", writer_->counts().failed},
            {"lost", counts_.lost},
            {"timed_out", counts_.timed_out},
            {"commands", counts_.commands},
            {"redirections", nodes_->redirections()},
            {"writes", nodes_->writes()}};
  }

 private:
  // The epoch to read under; zero: the cache is not to be read.
  Epoch ReadableEpoch() const {
    const CacheState state = state_();
    return state.mode == CacheMode::kOn && timer_->Now() < state.valid_until ? state.epoch : Epoch(0);
  }

  void Gather(Lookup lookup);
  void SendGathered();
  void SendGets(std::span<Lookup> lookups, Epoch epoch, const MarkerRef& marker);
  void OnValues(std::vector<Lookup>& lookups, Epoch epoch, const MarkerRef& marker, const Outcome& outcome);
  void Miss(Lookup lookup, Epoch epoch, const MarkerRef& marker);
  void OnMiss(Lookup& lookup, FillToken token, const MarkerRef& marker, const Outcome& outcome);
  void WaitForFill(Lookup lookup);
  void EndWaits();
  void Hit(Lookup& lookup, std::string_view value);
  void Missing(Lookup& lookup, Version floor, FillToken token);
  void Unusable(Lookup& lookup);
  void SendFill(const Subject& subject, Version version, std::string_view payload, FillToken token);
  void Lost(const MarkerRef& marker);
  void NoteFailure(const Failure& failure) {
    if (failure.fault == Fault::kTimedOut) ++counts_.timed_out;
  }
  void LogServer(const Endpoint& endpoint, std::optional<Fault> fault);

  const RedisOptions options_;
  SocketLoop& loop_;
  Logger& logger_;
  const CacheStateSource state_;
  const std::string center_;
  const Duration request_timeout_, fill_wait_;
  const Keys keys_;
  DocumentSealer sealer_;
  std::uint64_t next_token_;
  const std::unique_ptr<LoopTimer> timer_;
  std::unique_ptr<Nodes> nodes_;
  std::optional<MarkerKeeper> markers_;
  std::optional<CenterWriter> writer_;
  std::vector<Lookup> gathered_, ready_;  // two to swap, so that they keep their memory
  bool send_is_scheduled_ = false;
  std::deque<std::pair<Instant, Lookup>> fill_waiters_;
  LoopTimer::Alarm fill_alarm_;
  std::string payload_;
  CenterCounts counts_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

void Center::LogServer(const Endpoint& endpoint, std::optional<Fault> fault) {
  if (fault) {
    logger_.Warning("cache server is not in use", {{"center", center_},
                                                   {"server", endpoint.Name()},
                                                   {"why", FaultName(*fault)},
                                                   {"advice", FaultAdvice(*fault)}});
  } else {
    logger_.Info("cache server is in reach", {{"center", center_}, {"server", endpoint.Name()}});
  }
}

void Center::Lost(const MarkerRef& marker) {
  ++counts_.lost;
  markers_->Drop(marker);
}

void Center::Gather(Lookup lookup) {
  gathered_.push_back(std::move(lookup));
  if (std::exchange(send_is_scheduled_, true)) return;
  loop_.Defer([this, alive = alive_] {
    if (*alive) SendGathered();
  });
}

void Center::SendGathered() {
  send_is_scheduled_ = false;
  const Epoch epoch = ReadableEpoch();
  const MarkerRef marker = epoch == Epoch(0) ? nullptr : markers_->Peek(epoch);
  ready_.swap(gathered_);
  if (marker == nullptr) {
    for (Lookup& lookup : ready_) Unusable(lookup);
    ready_.clear();
    return;
  }
  std::span<Lookup> rest = ready_;
  if (options_.is_cluster) std::ranges::sort(rest, {}, [](const Lookup& lookup) { return lookup.subject.shard(); });
  while (!rest.empty()) {
    std::size_t count = std::min(rest.size(), kKeysPerCommandMax);
    if (options_.is_cluster) {
      // Keys of one command have to be in one slot.
      const ShardId shard = rest.front().subject.shard();
      const auto other = std::ranges::find_if(rest, [&](const Lookup& one) { return one.subject.shard() != shard; });
      count = std::min(count, static_cast<std::size_t>(other - rest.begin()));
    }
    SendGets(rest.first(count), epoch, marker);
    rest = rest.subspan(count);
  }
  ready_.clear();
}

void Center::SendGets(std::span<Lookup> lookups, Epoch epoch, const MarkerRef& marker) {
  std::string command;
  CommandWriter writer(command, lookups.size() + 1);
  writer.Add("MGET");
  for (const Lookup& lookup : lookups) writer.Add(keys_.Value(epoch, lookup.subject));
  ++counts_.commands;
  const std::uint16_t slot = SlotOf(lookups.front().subject.shard());
  std::vector<Lookup> sent(std::make_move_iterator(lookups.begin()), std::make_move_iterator(lookups.end()));
  nodes_->Send({.slot = slot,
                .command = std::move(command),
                .marker = marker,
                .deadline = Deadline(timer_->Now() + request_timeout_),
                .done = [this, sent = std::move(sent), epoch, marker](const Outcome& outcome) mutable {
                  OnValues(sent, epoch, marker, outcome);
                }});
}

void Center::OnValues(std::vector<Lookup>& lookups, Epoch epoch, const MarkerRef& marker, const Outcome& outcome) {
  if (!outcome || outcome->view().size() != lookups.size()) {
    if (!outcome) NoteFailure(outcome.error());
    for (Lookup& lookup : lookups) Unusable(lookup);
    return;
  }
  for (std::size_t i = 0; i < lookups.size(); ++i) {
    const ReplyView value = outcome->view().at(i);
    if (const auto text = value.text()) {
      Hit(lookups[i], *text);
    } else if (lookups[i].only_peeks) {
      lookups[i].member_reply({.kind = LookupKind::kMiss});
    } else {
      Miss(std::move(lookups[i]), epoch, marker);
    }
  }
}

void Center::Miss(Lookup lookup, Epoch epoch, const MarkerRef& marker) {
  const FillToken token(++next_token_ == 0 ? ++next_token_ : next_token_);
  const Subject subject = lookup.subject;
  std::string command;
  BeginScript(command, keys_, ScriptName::kMiss, subject.shard(), epoch, {&subject, 1}, 4)
      .Add(marker->text())
      .Add(Keys::Field(subject))
      .Add(token.value())
      .Add(options_.lease_ms);
  ++counts_.commands;
  nodes_->Send({.slot = SlotOf(subject.shard()),
                .command = std::move(command),
                .marker = marker,
                .deadline = Deadline(timer_->Now() + request_timeout_),
                .done = [this, lookup = std::move(lookup), token, marker](const Outcome& outcome) mutable {
                  OnMiss(lookup, token, marker, outcome);
                }});
}

void Center::OnMiss(Lookup& lookup, FillToken token, const MarkerRef& marker, const Outcome& outcome) {
  if (!outcome) {
    NoteFailure(outcome.error());
    return Unusable(lookup);
  }
  const ReplyView reply = outcome->view();
  const auto answer = reply.size() == 0 ? std::nullopt : AnswerOf(reply.at(0), MissAnswer::kMissing);
  if (answer == MissAnswer::kLost) {
    Lost(marker);
  } else if (answer == MissAnswer::kFound && reply.size() == 2 && reply.at(1).text()) {
    return Hit(lookup, *reply.at(1).text());
  } else if (answer == MissAnswer::kMissing && reply.size() == 3) {
    const auto text = reply.at(1).text();
    const auto floor = text ? ParsePadded(*text) : std::nullopt;
    if (floor && reply.at(2).integer() == 1) return Missing(lookup, Version(*floor), token);
    if (floor && !lookup.has_waited && fill_waiters_.size() < kFillWaitersMax && fill_wait_ > Duration(0)) {
      return WaitForFill(std::move(lookup));
    }
    if (floor) return Missing(lookup, Version(*floor), FillToken(0));
  }
  Unusable(lookup);
}

void Center::WaitForFill(Lookup lookup) {
  ++counts_.waited;
  lookup.has_waited = true;
  fill_waiters_.emplace_back(timer_->Now() + fill_wait_, std::move(lookup));
  if (!fill_alarm_.is_set()) fill_alarm_.Set(fill_wait_, [this] { EndWaits(); });
}

void Center::EndWaits() {
  const Instant now = timer_->Now();
  while (!fill_waiters_.empty() && fill_waiters_.front().first <= now) {
    Lookup lookup = std::move(fill_waiters_.front().second);
    fill_waiters_.pop_front();
    Gather(std::move(lookup));
  }
  if (!fill_waiters_.empty()) fill_alarm_.Set(fill_waiters_.front().first - now, [this] { EndWaits(); });
}

void Center::Hit(Lookup& lookup, std::string_view value) {
  const auto version = ParsePadded(value.substr(0, std::min(value.size(), kPaddedDigits)));
  const std::string_view payload = value.substr(std::min(value.size(), kPaddedDigits));
  const bool is_empty = version && payload.empty();
  if (lookup.subject.is_identity) {
    const MemberId holder = Keys::MemberOf(std::string(":").append(payload));
    if (is_empty || (version && holder != MemberId(0))) {
      ++counts_.hits;
      return lookup.holder_reply({.kind = LookupKind::kHit, .holder = is_empty ? std::nullopt : std::optional(holder)});
    }
  } else if (is_empty) {
    ++counts_.hits;
    return lookup.member_reply({.kind = LookupKind::kHit});
  } else if (version) {
    if (auto document = sealer_.Open(lookup.subject.id, Version(*version), payload)) {
      ++counts_.hits;
      return lookup.member_reply({.kind = LookupKind::kHit, .member = *std::move(document)});
    }
  }
  ++counts_.damaged;
  Unusable(lookup);
}

void Center::Missing(Lookup& lookup, Version floor, FillToken token) {
  ++counts_.misses;
  if (token != FillToken(0)) ++counts_.leases;
  if (lookup.subject.is_identity) {
    lookup.holder_reply({.kind = LookupKind::kMiss, .has_changed_lately = floor > kNeverChanged, .token = token});
  } else {
    lookup.member_reply({.kind = LookupKind::kMiss, .floor = floor, .token = token});
  }
}

void Center::Unusable(Lookup& lookup) {
  ++counts_.unusable;
  if (lookup.subject.is_identity) {
    lookup.holder_reply({});
  } else {
    lookup.member_reply({});
  }
}

void Center::SendFill(const Subject& subject, Version version, std::string_view payload, FillToken token) {
  const Epoch epoch = ReadableEpoch();
  const MarkerRef marker = epoch == Epoch(0) ? nullptr : markers_->Peek(epoch);
  if (marker == nullptr || token == FillToken(0)) return;
  std::string command;
  BeginScript(command, keys_, ScriptName::kFill, subject.shard(), epoch, {&subject, 1}, 6)
      .Add(marker->text())
      .Add(Keys::Field(subject))
      .Add(token.value())
      .Add(Padded(version.value()))
      .Add(payload)
      .Add(options_.value_ttl_s * 1000);
  ++counts_.commands;
  nodes_->Send({.slot = SlotOf(subject.shard()),
                .command = std::move(command),
                .marker = marker,
                .deadline = Deadline(timer_->Now() + request_timeout_),
                .done = [this, marker](const Outcome& outcome) {
                  const auto answer = AnswerOf(outcome, FillAnswer::kFilled);
                  if (answer == FillAnswer::kLost) Lost(marker);
                  ++(answer == FillAnswer::kFilled ? counts_.fills : counts_.fills_refused);
                }});
}

}  // namespace
}  // namespace redis

Result<void> CheckRedisOptions(const RedisOptions& options) {
  if (options.endpoints.empty()) return FailField("endpoints", "name at least one server");
  for (std::size_t i = 0; i < options.endpoints.size(); ++i) {
    const auto endpoint = redis::ParseEndpoint(options.endpoints[i]);
    if (!endpoint) return FailField(Indexed("endpoints", i), endpoint.error().message);
  }
  if (options.prefix.empty() || options.prefix.find_first_of("{}: ") != std::string::npos) {
    return FailField("prefix", "write a word without {, }, : and spaces");
  }
  const auto is_between = [](std::int64_t value, std::int64_t min, std::int64_t max) {
    return min <= value && value <= max;
  };
  if (!is_between(options.request_timeout_ms, 1, 10'000)) return FailField("request_timeout_ms", "1 to 10000");
  if (!is_between(options.lease_ms, 10, 60'000)) return FailField("lease_ms", "10 to 60000");
  if (!is_between(options.fill_wait_ms, 0, 1'000)) return FailField("fill_wait_ms", "0 to 1000");
  if (!is_between(options.value_ttl_s, 1, 604'800)) return FailField("value_ttl_s", "1 to 604800");
  if (!is_between(options.floor_life_s, 1, 86'400)) return FailField("floor_life_s", "1 to 86400");
  const std::int64_t outlived_ms = options.lease_ms + 1000 * (options.replica_lag_max_s + options.source_time_max_s);
  if (options.floor_life_s * 1000 <= outlived_ms) {
    return FailField("floor_life_s",
                     "must be more than lease_ms, replica_lag_max_s and source_time_max_s together: "
                     "raise it, or a lagging replica can be cached");
  }
  return {};
}

Result<std::unique_ptr<RedisCenterCache>> MakeRedisCenter(const RedisOptions& options,
                                                          const RedisDependencies& dependencies) {
  MUSTER_TRY(CheckRedisOptions(options));
  std::vector<redis::Endpoint> endpoints;
  for (const std::string& text : options.endpoints) {
    MUSTER_ASSIGN(redis::Endpoint endpoint, redis::ParseEndpoint(text));
    endpoints.push_back(std::move(endpoint));
  }
  MUSTER_ASSIGN(redis::Credentials credentials, redis::LoadCredentials(options.user, options.password_file));
  MUSTER_ASSIGN(auto timer, redis::LoopTimer::Make(*dependencies.loop, *dependencies.clock));
  return std::make_unique<redis::Center>(options, dependencies, std::move(credentials), std::move(endpoints),
                                         std::move(timer));
}

}  // namespace muster
