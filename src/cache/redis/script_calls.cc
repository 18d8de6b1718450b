#include "cache/redis/script_calls.h"

namespace muster::redis {

CommandWriter BeginScript(std::string& command, const Keys& keys, ScriptName script, ShardId shard, Epoch epoch,
                          std::span<const Subject> subjects, std::size_t arguments) {
  const std::size_t count = 3 + 2 * subjects.size();
  CommandWriter writer(command, 3 + count + arguments);
  writer.Add("EVALSHA").Add(ScriptOf(script).hash).Add(count);
  writer.Add(keys.Marker(shard)).Add(keys.Floor(shard, 0)).Add(keys.Floor(shard, 1));
  for (const Subject& subject : subjects) writer.Add(keys.Value(epoch, subject)).Add(keys.Lease(epoch, subject));
  return writer;
}

}  // namespace muster::redis
