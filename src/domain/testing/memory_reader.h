#pragma once

#include <map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "domain/commit_floor.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/member_reader.h"

namespace muster::testing {

// Members in a map, with a writer that does around a commit what writers do. Of one thread.
class MemoryMembers {
 public:
  // `cache` may be null.
  MemoryMembers(CommitFloor& floor, MemberCache* cache) : floor_(floor), cache_(cache) {}

  void Put(const Member& member) {
    const std::vector<MemberId> ids = {member.id};
    std::vector<IdentityKey> keys;
    for (const Identity& identity : member.identities) keys.push_back(identity.key);
    for (const auto& [key, holder] : holders_) {
      if (holder == member.id) keys.push_back(key);
    }
    floor_.Begin(ids, keys);
    if (cache_ != nullptr) cache_->Erase(ids, keys);
    std::erase_if(holders_, [&](const auto& entry) { return entry.second == member.id; });
    for (const Identity& identity : member.identities) holders_[identity.key] = member.id;
    documents_[member.id] = MakeMemberDocument(member);
    floor_.End(ids, keys);
  }
  MemberDocumentRef Find(MemberId id) const {
    const auto found = documents_.find(id);
    return found == documents_.end() ? MemberDocumentRef() : found->second;
  }
  MemberDocumentRef FindHolder(const IdentityKey& key) const {
    const auto found = holders_.find(key);
    return found == holders_.end() ? MemberDocumentRef() : Find(found->second);
  }
  CommitSequence Now() const { return floor_.Now(); }

 private:
  CommitFloor& floor_;
  MemberCache* const cache_;
  std::map<MemberId, MemberDocumentRef> documents_;
  std::map<IdentityKey, MemberId> holders_;
};

// The memory twin of a source: answers during the call.
class MemoryReader final : public MemberReader {
 public:
  MemoryReader(const MemoryMembers& members, const Clock& clock) : members_(members), clock_(clock) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    Answer(members_.Find(id), options, std::move(reply));
  }
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    Answer(members_.FindHolder(key), options, std::move(reply));
  }
  RouteDescription Describe() const override {
    return {.name = "store(memory)", .policy = "reads a map", .counters = {}, .children = {}};
  }

 private:
  void Answer(MemberDocumentRef document, const ReadOptions& options, MemberReply reply) const {
    if (options.deadline.Passed(clock_)) return reply(Fail(Reason::kDeadlineExceeded, "the deadline passed"));
    if (document && document->version() < options.min_version) {
      return reply(Fail(Reason::kStale, "no source has this version yet"));
    }
    reply(MemberAnswer{
        .member = std::move(document), .source = Source::kPrimary, .age = Duration(0), .as_of = members_.Now()});
  }

  const MemoryMembers& members_;
  const Clock& clock_;
};

}  // namespace muster::testing
