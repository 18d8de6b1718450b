#include "cache/redis/scripts.h"

#include <openssl/evp.h>

#include <cstdint>

#include "base/check.h"
#include "base/encoding.h"

namespace muster::redis {
namespace {

// Begins an epoch on one part. What was there of an older one can't be reached any more, and its floors go.
// Begun again it changes nothing: floors may have risen since. One that is not newer than what is there is refused, as
// is the same epoch on other processes.
//   KEYS marker floor0 floor1   ARGV marker
constexpr std::string_view kBegin = R"(#!lua
local known = redis.call('GET', KEYS[1])
if known == ARGV[1] then return 2 end
if known and string.sub(known, 1, 19) >= string.sub(ARGV[1], 1, 19) then return 0 end
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('SET', KEYS[1], ARGV[1])
return 1
)";

// A value that was not found: what it must not be below, and for one of those who ask, the lease to fill it.
// With maxmemory reached it works all the same: without the floor nobody could ask a replica.
//   KEYS marker floor0 floor1 value lease   ARGV marker field token lease_ms
//   answers {0}, {1, value} or {2, floor, 1 with the lease}
constexpr std::string_view kMiss = R"(#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
local value = redis.call('GET', KEYS[4])
if value then return {1, value} end
local floor = '0000000000000000000'
for i = 2, 3 do
  local known = redis.call('HGET', KEYS[i], ARGV[2])
  if known and known > floor then floor = known end
end
local leased = redis.call('SET', KEYS[5], ARGV[3], 'NX', 'PX', ARGV[4])
return {2, floor, leased and 1 or 0}
)";

// Whoever has the lease fills, unless that would put back what is older than a floor or than what is there. Redis
// refuses it when maxmemory is reached and nothing can be evicted; then it is not made.
//   KEYS marker floor0 floor1 value lease   ARGV marker field token version payload ttl_ms
constexpr std::string_view kFill = R"(#!lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('GET', KEYS[5]) ~= ARGV[3] then return 1 end
redis.call('DEL', KEYS[5])
for i = 2, 3 do
  local floor = redis.call('HGET', KEYS[i], ARGV[2])
  if floor and ARGV[4] < floor then return 2 end
end
local known = redis.call('GETRANGE', KEYS[4], 0, 18)
if known ~= '' and ARGV[4] < known then return 3 end
redis.call('SET', KEYS[4], ARGV[4] .. ARGV[5], 'PX', ARGV[6])
return 4
)";

// After a commit and before it is acknowledged: raises floors, drops what is lower (of an identity whatever is there)
// and voids leases. Floors have to be kept even if maxmemory is reached. A period only goes on, also when the clock
// goes back: what is noted lives for one period at least.
//   KEYS marker floor0 floor1, then value and lease of each   ARGV marker period_s, then field and version of each
constexpr std::string_view kInvalidate = R"(#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local period = math.floor(redis.call('TIME')[1] / ARGV[2])
for i = 2, 3 do
  period = math.max(period, tonumber(redis.call('HGET', KEYS[i], 'p') or 0))
end
local other = KEYS[3 - period % 2]
local floors = KEYS[2 + period % 2]
if tonumber(redis.call('HGET', floors, 'p') or -1) ~= period then
  redis.call('UNLINK', floors)
  redis.call('HSET', floors, 'p', period)
  if tonumber(redis.call('HGET', other, 'p') or -1) < period - 1 then redis.call('UNLINK', other) end
end
for i = 3, #ARGV, 2 do
  local field, version = ARGV[i], ARGV[i + 1]
  local value, lease = KEYS[i + 1], KEYS[i + 2]
  local floor = redis.call('HGET', floors, field)
  if not floor or floor < version then redis.call('HSET', floors, field, version) end
  local known = redis.call('GETRANGE', value, 0, 18)
  if known ~= '' and (known < version or string.sub(field, 1, 1) == 'i') then redis.call('UNLINK', value) end
  redis.call('DEL', lease)
end
return 1
)";

constexpr std::array<std::string_view, kScriptCount> kTexts = {kBegin, kMiss, kFill, kInvalidate};

std::string Sha1Of(std::string_view text) {
  std::array<std::uint8_t, 20> digest{};
  unsigned size = 0;
  MUSTER_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) == 1);
  MUSTER_CHECK(size == digest.size());
  return ToHex(digest);
}

}  // namespace

const std::array<Script, kScriptCount>& AllScripts() {
  static const std::array<Script, kScriptCount> scripts = [] {
    std::array<Script, kScriptCount> all;
    for (std::size_t i = 0; i < kScriptCount; ++i) all[i] = {.text = kTexts[i], .hash = Sha1Of(kTexts[i])};
    return all;
  }();
  return scripts;
}

std::span<const std::string_view> ScriptTexts() { return kTexts; }

}  // namespace muster::redis
