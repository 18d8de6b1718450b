#include "store/doctor_moves.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "domain/merge_rules.h"
#include "store/record_table.h"

namespace muster {
namespace {

constexpr std::size_t kIndexBatch = 1'000;

}  // namespace

Result<Member> MoveExamination::Examine(Member member) {
  if (!member.move) return member;
  marked_.insert(member.id);
  const std::string subject = DoctorReport::Subject(member.id);
  const Result<std::optional<Member>> other = rows_.ReadRow(member.move->other);
  const bool is_broken = !other || !*other || GivenBySize(member) != member.move->keys.size();
  if (is_broken) {
    report_.Add("MOVE_BROKEN", subject,
                "its merge or unmerge with " + DoctorReport::Subject(member.move->other) +
                    " cannot be ended: that member is missing, or an identity that is to go there; restore all files "
                    "from one backup");
    return member;
  }
  report_.Add("MOVE_UNFINISHED", subject,
              "a merge or unmerge with " + DoctorReport::Subject(member.move->other) +
                  " is under way; the sweeper or the next write to it brings it to its end");
  MUSTER_ASSIGN(SettledMember settled, ReadSettled(member.id, rows_));
  return settled.member ? *std::move(settled.member) : std::move(member);
}

std::size_t MoveExamination::GivenBySize(const Member& member) {
  return member.move->role == MoveMark::Role::kGives ? GivenBy(member).size() : 0;
}

bool MoveExamination::IsPassingOn(const Member& owner, const Member& member, const IdentityKey& key) {
  return owner.move && member.move && owner.move->role == MoveMark::Role::kGives &&
         member.move->role == MoveMark::Role::kTakes && owner.move->operation_id == member.move->operation_id &&
         std::ranges::find(owner.move->keys, key) != owner.move->keys.end();
}

Result<void> MoveExamination::CheckIndex(Database& database) {
  std::set<MemberId> missing = std::exchange(marked_, {});
  MUSTER_ASSIGN(Statement scan, database.Prepare(RecordTable::kScanMarked));
  MemberId after{0};
  std::vector<MemberId> ids;
  do {
    scan.Reset();
    MUSTER_ASSIGN(ids, RecordTable::ScanMarked(scan, after, kIndexBatch));
    for (const MemberId id : ids) {
      if (missing.erase(id) == 0) {
        report_.Add("MOVE_INDEX_DIFFERS", DoctorReport::Subject(id),
                    "the sweeper is to end a merge or unmerge of it, and none is under way; this hurts nobody");
      }
    }
    if (!ids.empty()) after = ids.back();
  } while (ids.size() == kIndexBatch);
  for (const MemberId id : missing) {
    report_.Add("MOVE_INDEX_DIFFERS", DoctorReport::Subject(id),
                "a merge or unmerge of it is under way that the sweeper does not find; the next write to it ends it");
  }
  return {};
}

}  // namespace muster
