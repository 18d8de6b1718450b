#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "call.h"
#include "move_watch.h"
#include "planted.h"

namespace muster::sim {

// How long the simulated sweeper keeps answers: short, so that who sleeps or rests finds them forgotten.
inline constexpr Duration kAnswerRetention = std::chrono::minutes(1);
// The longest deadline of a call with a key. A call that was sent before another one with its key was answered must
// have ended when that answer is forgotten, or it would be done once more: so it is well below kAnswerRetention.
inline constexpr Duration kKeyedDeadlineMax = std::chrono::seconds(5);

// Calls with an Idempotency-Key for the checker. The *first answer* of a call is what it came to when it was done:
// the member that it wrote, or that it found with nothing to change. It binds all that come with the same key and
// content, and those with other content for a member of the same database, until kAnswerRetention after it.
class KeyWatch {
 public:
  // The first thing that went wrong, if anything did.
  using Fault = std::optional<std::string>;

  void Began(const Call& call);
  // A transaction was committed in `database` at `now`, as commit number `moment` if it has `writes` (MoveWatch::Told).
  void Committed(std::uint32_t database, const std::vector<MemberWrite>& writes, const KeptAnswers& kept, Moment moment,
                 Duration now, Fault& fault);
  void Succeeded(const Call& call, const Member& answer, Duration now, Fault& fault);
  // After these words the same request is done again, or another one goes through: not when it has been answered.
  // Answers the moment before which the refusal must have been right, when a first answer came during the call.
  std::optional<Moment> Refused(const Call& call, const Error& error, Duration now, Fault& fault) const;

  // Calls that were answered with what an earlier one had been.
  std::uint64_t replays() const { return replays_; }

 private:
  struct First {
    RequestHash fingerprint;
    std::uint32_t database;
    Member member;
    Moment moment;
    Duration at;
  };

  void CheckEffect(const Call& call, std::uint32_t database, Duration now, Fault& fault) const;
  void Note(const RequestHash& key, First first);
  const First* Earlier(const Call& call, Duration now) const;

  std::map<std::string, Call> calls_;  // by request
  std::map<RequestHash, std::vector<First>> firsts_;
  std::uint64_t replays_ = 0;
};

}  // namespace muster::sim
