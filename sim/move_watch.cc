#include "move_watch.h"

#include "domain/merge_rules.h"

namespace muster::sim {
namespace {

std::string MemberLabel(MemberId id) { return "member " + std::to_string(id.value()); }

}  // namespace

void MoveWatch::Marked(const std::vector<Member>& marks) {
  for (const Member& member : marks) {
    if (member.move && member.move->role == MoveMark::Role::kGives) givers_[member.move->operation_id] = member;
  }
}

std::vector<MemberWrite> MoveWatch::Told(const std::vector<MemberWrite>& writes, Fault& fault) {
  std::vector<MemberWrite> told;
  for (const MemberWrite& write : writes) {
    MemberWrite plain = write;
    plain.member.move.reset();
    const auto expected = expected_.find(write.member.id);
    if (expected != expected_.end()) {
      if (!(expected->second == plain.member))
        fault = MemberLabel(write.member.id) + " gave otherwise than it was marked";
      expected_.erase(expected);
      continue;
    }
    told.push_back(plain);
    const std::optional<MoveMark>& mark = write.member.move;
    if (!mark || mark->role != MoveMark::Role::kTakes || !taken_.insert(mark->operation_id).second) continue;
    const auto giver = givers_.find(mark->operation_id);
    if (giver == givers_.end()) {
      fault = MemberLabel(write.member.id) + " took from " + MemberLabel(mark->other) + ", which is not marked to give";
      continue;
    }
    const Member after = AfterGiving(giver->second);
    expected_[after.id] = after;
    Change change = write.change;
    change.member_id = after.id;
    change.version = after.version;
    told.push_back({after, change});
  }
  return told;
}

void MoveWatch::Moved(const Member& before, const MemberWrite& taker, Fault& fault) {
  if (taker.change.type == ChangeType::kMerged) {
    Brought& brought = brought_[{taker.member.id, before.id}];
    brought.clear();
    for (const Identity& identity : before.identities) brought.emplace(identity.key, births_[identity.key]);
    return;
  }
  std::set<IdentityKey> expected;
  for (const auto& [key, birth] : brought_[{before.id, taker.member.id}]) {
    if (FindIdentity(before, key) != nullptr && births_[key] == birth) expected.insert(key);
  }
  std::set<IdentityKey> given;
  for (const Identity& identity : taker.member.identities) given.insert(identity.key);
  if (given != expected) {
    fault = MemberLabel(taker.member.id) + " got back " + std::to_string(given.size()) + " identities from " +
            MemberLabel(before.id) + ", and other ones than the " + std::to_string(expected.size()) +
            " that it brought there";
  }
}

}  // namespace muster::sim
