#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/ids.h"
#include "domain/member_document.h"

namespace muster {

// Which tier answered; X-Muster-Source.
enum class Source : std::uint8_t { kNear, kRedis, kReplica, kPrimary };
std::string_view SourceName(Source source);

struct ReadOptions {
  Version min_version{0};  // an answer below it is refused and the next source is asked
  bool no_cache = false;   // the store's primary, whatever the caches hold; when it is out of reach nobody answers
  // By routes alone. The primary, but when it is out of reach a copy answers, whatever it lacks.
  bool prefer_primary = false;
  // By routes alone: an answer of a copy that is below it is refused as if it were min_version; what the primary says
  // is what is true.
  Version floor{0};
  Deadline deadline = {};
};

struct MemberAnswer {
  MemberDocumentRef member;  // null: no such member, or nobody holds the identity
  Source source = Source::kPrimary;
  Duration age{0};          // the answer was true at least this recently; 0 from an exact source
  CommitSequence as_of{0};  // every commit up to this one was visible to the source; what a cache fill is judged by
  // False: it may tell of what was acknowledged to nobody and is taken back: no cache may keep it.
  bool may_be_kept = true;
};

using MemberReply = std::move_only_function<void(Result<MemberAnswer>)>;

// One node of the printed route tree.
struct RouteDescription {
  std::string name;    // "cache(near)"
  std::string policy;  // in a sentence: what it does with a read
  std::vector<std::pair<std::string, std::uint64_t>> counters;
  std::vector<RouteDescription> children;
};

// Answers who somebody is. Every source and every policy of the route tree has this interface, so that policies wrap
// sources and each other.
//
// A reader belongs to one event loop and is called on its thread. `reply` is called exactly once, on the same thread,
// possibly during the call; the reader must outlive its outstanding replies.
//
// Errors: STALE when no source below has min_version, now or soon; DEADLINE_EXCEEDED; OVERLOADED; INTERNAL. A missing
// member is an answer, not an error.
class MemberReader {
 public:
  virtual ~MemberReader() = default;

  virtual void Get(MemberId id, const ReadOptions& options, MemberReply reply) = 0;

  // Answers a member only if it holds `key` at a moment between the call and the reply.
  virtual void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) = 0;

  // Thread-safe: counters are read while the loop runs.
  virtual RouteDescription Describe() const = 0;
};

}  // namespace muster
