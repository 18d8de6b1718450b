#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace muster::redis {

// What one atomic step of the fill protocol does (models/cache_fill.pml). Lua, run by Redis; Redis's own clock times
// all.
//
// Keys of a part, which Cluster keeps together by the hash tag {S} of their logical shard; P is the prefix of the
// installation, E the epoch:
//
//   P:marker{S}      "E identities": the epoch whose keys Redis has, and on which processes it began. No time to live.
//   P:floor0{S}      floors of one period of `floor_life`, and those of the one before or after: a hash, whose field
//   P:floor1{S}      "p" is the period and all others are a member or an identity. No time to live, so never evicted;
//                    the hash of a period that is over goes when the one after the next begins.
//   P:m{S}:E:ID      a member: 19 digits of its version, then the sealed document; nothing: it does not exist
//   P:i{S}:E:KEY     an identity: 19 digits of 0 or 1, then its holder's id; nothing: nobody holds it
//   P:l{S}:E:…       the lease to fill one of these
//
// Versions are 19 digits, so that the order of texts is that of numbers: a number of Lua has 53 bits. An identity has
// no version of its own, as members take turns in holding it. Its floor is 1 and means "changed lately"; what a replica
// says of it counts as 0, and what the primary says, or that somebody holds it, as 1.
struct Script {
  std::string_view text;
  std::string hash;  // SHA-1 in hexadecimal: what EVALSHA wants
};

enum class ScriptName : std::size_t { kBegin, kMiss, kFill, kInvalidate };
inline constexpr std::size_t kScriptCount = 4;

// All of them, in the order of ScriptName.
const std::array<Script, kScriptCount>& AllScripts();
std::span<const std::string_view> ScriptTexts();
inline const Script& ScriptOf(ScriptName name) { return AllScripts()[static_cast<std::size_t>(name)]; }

// Answers of the scripts.
enum class BeginAnswer : int { kRefused = 0, kBegun = 1, kWasBegun = 2 };
enum class MissAnswer : int { kLost = 0, kFound = 1, kMissing = 2 };
enum class FillAnswer : int { kLost = 0, kNoLease = 1, kBelowFloor = 2, kKnowsHigher = 3, kFilled = 4 };
enum class InvalidateAnswer : int { kLost = 0, kDone = 1 };

}  // namespace muster::redis
