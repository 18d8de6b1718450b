#include "domain/merge_rules.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "domain/member_rules.h"

namespace muster {
namespace {

bool IsMergedInto(const Member& source, const Member& survivor) {
  return source.state == MemberState::kMerged && source.merged_into == survivor.id;
}

const MoveMark& MarkOf(const Member& giver) {
  MUSTER_CHECK(giver.move && giver.move->role == MoveMark::Role::kGives);
  return *giver.move;
}

}  // namespace

Result<bool> CheckMerge(const Member& source, const Member& survivor) {
  MUSTER_TRY(CheckWritable(survivor));
  if (IsMergedInto(source, survivor)) return false;
  MUSTER_TRY(CheckWritable(source, "the source"));
  return true;
}

Result<void> CheckUnmerge(const Member& source, const Member& survivor) {
  if (!IsMergedInto(source, survivor)) {
    return Fail(Reason::kStateConflict, source.state == MemberState::kMerged
                                            ? "the source is merged into member " +
                                                  std::to_string(source.merged_into.value()) +
                                                  ": unmerge it from that one"
                                            : "the source is " + std::string(StateName(source.state)) +
                                                  ", it is not merged into this member: there is nothing to take back");
  }
  if (survivor.state == MemberState::kMerged) {
    return Fail(Reason::kStateConflict, "the member is MERGED: unmerge it from member " +
                                            std::to_string(survivor.merged_into.value()) +
                                            " first, which holds what the source brought");
  }
  return CheckWritable(survivor);
}

MergeRecord RecordOf(const Member& source) {
  MergeRecord record;
  record.brought.reserve(source.identities.size());
  for (const Identity& identity : source.identities) record.brought.push_back({identity.key, OriginOf(identity)});
  return record;
}

std::vector<IdentityKey> StillHeld(const Member& survivor, const MergeRecord& record) {
  std::vector<IdentityKey> keys;
  for (const MergeRecord::Brought& brought : record.brought) {
    const Identity* held = FindIdentity(survivor, brought.key);
    if (held != nullptr && OriginOf(*held) == brought.origin) keys.push_back(brought.key);
  }
  return keys;
}

std::vector<Identity> GivenBy(const Member& giver) {
  std::vector<Identity> given;
  for (const IdentityKey& key : MarkOf(giver).keys) {
    if (const Identity* held = FindIdentity(giver, key)) given.push_back(*held);
  }
  return given;
}

Member AfterGiving(const Member& giver) {
  const MoveMark& mark = MarkOf(giver);
  Member next = giver;
  next.version = Version(giver.version.value() + 1);
  next.update_time = mark.time;
  std::erase_if(next.identities,
                [&](const Identity& each) { return std::ranges::find(mark.keys, each.key) != mark.keys.end(); });
  if (mark.kind == MoveMark::Kind::kMerge) {
    next.state = MemberState::kMerged;
    next.merged_into = mark.other;
  }
  next.move.reset();
  return next;
}

Result<Member> AfterTaking(const Member& taker, const Member& giver, const IdentityCatalog& catalog, Timestamp now) {
  const MoveMark& mark = MarkOf(giver);
  Member next = taker;
  next.version = Version(taker.version.value() + 1);
  next.update_time = now;
  std::vector<Identity> given = GivenBy(giver);
  for (Identity& identity : given) {
    identity.origin = OriginOf(identity);
    identity.bound_by = mark.operation_id;
    next.identities.push_back(identity);
  }
  if (mark.kind == MoveMark::Kind::kMerge) {
    MUSTER_TRY(CheckHoldings(next, given, catalog));
  } else {
    // It held as much before, and has been allowed nothing since: limits do not keep it from getting that back.
    next.state = MemberState::kActive;
    next.merged_into = {};
  }
  next.move.reset();
  return next;
}

}  // namespace muster
