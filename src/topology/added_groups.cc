#include "topology/added_groups.h"

#include <string>

#include "topology/shard_map.h"

namespace muster {
namespace {

Result<void> CheckAdded(const GroupRecord& group, const TopologyDocument& document) {
  const auto refuse = [&group](const std::string& why) {
    return Fail(Reason::kInvalidArgument, "group \"" + group.name + "\" " + why);
  };
  if (document.FindGroup(group.name) != nullptr) return refuse("is there already");
  if (const std::string& last = document.groups.back().name; group.name < last) {
    return refuse("needs a name that stands behind \"" + last + "\", for groups are numbered by their names");
  }
  if (group.shards.any()) return refuse("names shards: leave them out, and move them there once it is added");
  const DatabaseRecord* const primary = group.Find(group.primary);
  if (primary == nullptr || primary->center != document.writer) {
    return refuse("needs a primary in the center that writes, \"" + document.writer + "\"");
  }
  return {};
}

}  // namespace

Result<void> AddGroups(const std::vector<GroupRecord>& added, TopologyDocument& document) {
  if (document.groups.empty()) {
    return Fail(Reason::kStateConflict, "the topology names no groups yet: write the first one with `topology init`");
  }
  if (document.failover || document.writer.empty()) {
    return Fail(Reason::kStateConflict, "a failover is under way: add groups when it has ended");
  }
  NameShards(document);
  for (const GroupRecord& group : added) {
    MUSTER_TRY(CheckAdded(group, document));
    document.groups.push_back(group);
  }
  return {};
}

}  // namespace muster
