#include "cache/redis/center_writer.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/redis/padded.h"
#include "cache/redis/script_calls.h"

namespace muster::redis {
namespace {

// The answers of many parts as one.
struct GatheredInvalidation {
  std::size_t missing = 0;
  InvalidationKind worst = InvalidationKind::kDone;
  std::move_only_function<void(Invalidation)> reply;

  void Add(InvalidationKind kind) {
    if (kind != InvalidationKind::kDone && worst != InvalidationKind::kLost) worst = kind;
  }
};

struct GatheredBegin {
  std::size_t missing = 0;
  bool is_new = false, is_refused = false, is_failed = false;
  std::move_only_function<void(Result<bool>)> reply;

  void Add(std::optional<BeginAnswer> answer) {
    if (answer == BeginAnswer::kBegun) is_new = true;
    if (answer == BeginAnswer::kRefused) is_refused = true;
    if (!answer) is_failed = true;
  }
  Result<bool> Sum() const {
    if (is_refused) {
      return Fail(Reason::kStateConflict,
                  "the cache has a newer epoch, or this one began on other processes: raise the epoch of the center's "
                  "cache, then try again");
    }
    if (is_failed) return Fail(Reason::kOverloaded, "a server of the cache did not begin the epoch: try again");
    return is_new;
  }
};

Error NotAllInReach(Fault fault) {
  return {.reason = Reason::kOverloaded,
          .message = fault == Fault::kLost
                         ? "two servers of the cache say that they are the primary: demote the old one, then try again"
                         : "not all servers of the cache are in reach: start them, then try again"};
}

}  // namespace

void CenterWriter::Invalidate(const CacheState& state, const TouchedEntries& touched, Deadline deadline,
                              std::move_only_function<void(Invalidation)> reply) {
  if (state.mode == CacheMode::kBypass) return reply({InvalidationKind::kBypassed, state.epoch});
  markers_.Find(state.epoch, [this, touched, deadline, epoch = state.epoch,
                              reply = std::move(reply)](const MarkerKeeper::Found& found) mutable {
    if (found) return Send(touched, *found, deadline, std::move(reply));
    ++counts_.failed;
    reply({found.error() == Fault::kLost ? InvalidationKind::kLost : InvalidationKind::kUnreachable, epoch});
  });
}

void CenterWriter::Send(const TouchedEntries& touched, const MarkerRef& marker, Deadline deadline,
                        std::move_only_function<void(Invalidation)> reply) {
  // An identity has no version of its own: see scripts.h.
  constexpr Version kChanged{1};
  std::map<ShardId, std::vector<std::pair<Subject, Version>>> parts;
  for (const auto& [id, version] : touched.members) parts[ShardOf(id)].emplace_back(Subject::Of(id), version);
  for (const IdentityKey& key : touched.keys) parts[ShardOf(key)].emplace_back(Subject::Of(key), kChanged);
  if (parts.empty()) return reply({InvalidationKind::kDone, marker->epoch()});

  const auto gathered = std::make_shared<GatheredInvalidation>();
  gathered->missing = parts.size();
  gathered->reply = std::move(reply);
  for (const auto& [shard, entries] : parts) {
    std::vector<Subject> subjects;
    for (const auto& [subject, version] : entries) subjects.push_back(subject);
    std::string command;
    CommandWriter writer =
        BeginScript(command, keys_, ScriptName::kInvalidate, shard, marker->epoch(), subjects, 2 + 2 * entries.size());
    writer.Add(marker->text()).Add(floor_life_s_);
    for (const auto& [subject, version] : entries) writer.Add(Keys::Field(subject)).Add(Padded(version.value()));
    nodes_.Send({.slot = SlotOf(shard),
                 .command = std::move(command),
                 .marker = marker,
                 .deadline = deadline,
                 .done = [this, gathered, marker](const Outcome& outcome) {
                   gathered->Add(Judge(outcome, marker));
                   if (--gathered->missing != 0) return;
                   ++(gathered->worst == InvalidationKind::kDone ? counts_.done : counts_.failed);
                   gathered->reply({gathered->worst, marker->epoch()});
                 }});
  }
}

InvalidationKind CenterWriter::Judge(const Outcome& outcome, const MarkerRef& marker) {
  const auto answer = AnswerOf(outcome, InvalidateAnswer::kDone);
  if (answer == InvalidateAnswer::kDone) return InvalidationKind::kDone;
  if (answer != InvalidateAnswer::kLost && (outcome || outcome.error().fault != Fault::kLost)) {
    return InvalidationKind::kUnreachable;
  }
  markers_.Drop(marker);
  return InvalidationKind::kLost;
}

void CenterWriter::BeginEpoch(Epoch epoch, Deadline deadline, std::move_only_function<void(Result<bool>)> reply) {
  const auto identities = nodes_.Identities();
  if (!identities) return reply(std::unexpected(NotAllInReach(identities.error())));
  const auto marker = std::make_shared<const Marker>(epoch, *identities);
  const auto gathered = std::make_shared<GatheredBegin>();
  gathered->missing = kShardCount;
  gathered->reply = std::move(reply);
  for (std::uint16_t number = 0; number < kShardCount; ++number) {
    const ShardId shard(number);
    std::string command;
    BeginScript(command, keys_, ScriptName::kBegin, shard, epoch, {}, 1).Add(marker->text());
    nodes_.Send({.slot = SlotOf(shard),
                 .command = std::move(command),
                 .marker = marker,
                 .deadline = deadline,
                 .done = [gathered](const Outcome& outcome) {
                   gathered->Add(AnswerOf(outcome, BeginAnswer::kWasBegun));
                   if (--gathered->missing == 0) gathered->reply(gathered->Sum());
                 }});
  }
}

}  // namespace muster::redis
