#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "domain/ports/member_cache.h"

namespace muster::testing {

// The memory twin of MemberCache: maps under one lock, never forgets on its own. For tests.
class PlainMemberCache final : public MemberCache {
 public:
  explicit PlainMemberCache(const CommitFloor& floor) : floor_(floor) {}

  std::optional<MemberDocumentRef> Find(MemberId id) override {
    std::lock_guard lock(mutex_);
    return Count(FindLocked(id));
  }

  std::optional<MemberDocumentRef> FindHolder(const IdentityKey& key) override {
    std::lock_guard lock(mutex_);
    const auto hint = holders_.find(key);
    if (hint == holders_.end()) return Count(std::nullopt);
    if (!hint->second) return Count(MemberDocumentRef());
    std::optional<MemberDocumentRef> member = FindLocked(*hint->second);
    const bool is_confirmed = member && *member && (*member)->Holds(key);
    return Count(is_confirmed ? member : std::nullopt);
  }

  void Fill(MemberId id, const MemberDocumentRef& document, CommitSequence as_of) override {
    std::lock_guard lock(mutex_);
    FillLocked(id, document, as_of);
  }

  void FillHolder(const IdentityKey& key, const MemberDocumentRef& document, CommitSequence as_of) override {
    std::lock_guard lock(mutex_);
    if (!floor_.Allows(key, as_of)) {
      ++stats_.fills_refused;
    } else if (!document) {
      holders_[key] = std::nullopt;
      ++stats_.fills;
    } else if (FillLocked(document->id(), document, as_of)) {
      holders_[key] = document->id();
    }
  }

  void Erase(std::span<const MemberId> members, std::span<const IdentityKey> keys) override {
    std::lock_guard lock(mutex_);
    for (const MemberId id : members) members_.erase(id);
    for (const IdentityKey& key : keys) holders_.erase(key);
  }

  Stats ReadStats() const override {
    std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.entries = members_.size() + holders_.size();
    for (const auto& [id, document] : members_) stats.bytes += document ? document->AllocatedBytes() : sizeof document;
    stats.bytes += holders_.size() * sizeof(IdentityKey);
    stats.bytes_max = UINT64_MAX;
    return stats;
  }

 private:
  std::optional<MemberDocumentRef> FindLocked(MemberId id) const {
    const auto found = members_.find(id);
    return found == members_.end() ? std::nullopt : std::optional(found->second);
  }

  bool FillLocked(MemberId id, const MemberDocumentRef& document, CommitSequence as_of) {
    const auto known = members_.find(id);
    const bool knows_higher =
        known != members_.end() && known->second && (!document || known->second->version() > document->version());
    if (knows_higher || !floor_.Allows(id, as_of)) {
      ++stats_.fills_refused;
      return false;
    }
    members_.insert_or_assign(id, document);
    ++stats_.fills;
    return true;
  }

  std::optional<MemberDocumentRef> Count(std::optional<MemberDocumentRef> answer) {
    ++(answer ? stats_.hits : stats_.misses);
    return answer;
  }

  const CommitFloor& floor_;
  mutable std::mutex mutex_;
  std::map<MemberId, MemberDocumentRef> members_;
  std::map<IdentityKey, std::optional<MemberId>> holders_;  // empty: nobody
  Stats stats_;
};

}  // namespace muster::testing
