#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "domain/member.h"
#include "domain/ports/center_cache.h"

namespace muster::mariadb {

// What one transaction makes the caches of all centers hear of, if it commits: what it wrote, what it gives the answer
// of, and what it saw that others may have committed and died before anybody heard of it. (decision 0024)
class TouchedRows {
 public:
  // A change that is so old has been heard of: by its writer, or by whoever follows the stream of changes
  // (store/change_repeater.h).
  static constexpr Duration kHeardOfAfter = std::chrono::seconds(30);

  void AddMember(MemberId id, Version version) { touched_.members.emplace_back(id, version); }
  void AddKey(const IdentityKey& key) { touched_.keys.push_back(key); }
  // With all that it lists. Of one that is about to give, what it is then: it may have given, for all that its own row
  // says.
  void AddSeen(const Member& member);
  void AddIfRecent(const Member& member, Timestamp now);

  // Each once, with its highest version.
  TouchedEntries Take() const;

  // What is kept behind the record of an answered member, where older versions of muster read over it; and back.
  static void AppendTo(std::string& record, const TouchedEntries& touched);
  Result<void> AddFrom(std::string_view record);

 private:
  TouchedEntries touched_;
};

}  // namespace muster::mariadb
