#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cache/redis/command.h"
#include "cache/redis/keys.h"
#include "cache/redis/reply.h"
#include "cache/redis/scripts.h"

namespace muster::redis {

// Begins EVALSHA of a script on a part: the marker and the floors of the shard, of each subject its value and its
// lease. `arguments` more words follow.
CommandWriter BeginScript(std::string& command, const Keys& keys, ScriptName script, ShardId shard, Epoch epoch,
                          std::span<const Subject> subjects, std::size_t arguments);

// What a script that answers a number has answered; empty: none up to `last`.
template <typename Answer>
std::optional<Answer> AnswerOf(ReplyView reply, Answer last) {
  const std::optional<std::int64_t> number = reply.integer();
  if (!number || *number < 0 || *number > static_cast<std::int64_t>(last)) return std::nullopt;
  return static_cast<Answer>(*number);
}
template <typename Answer>
std::optional<Answer> AnswerOf(const Outcome& outcome, Answer last) {
  return outcome ? AnswerOf(outcome->view(), last) : std::nullopt;
}

}  // namespace muster::redis
