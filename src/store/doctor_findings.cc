#include "store/doctor_findings.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::array kKinds = {
    FindingKind{"FILE_DAMAGED", true, "SQLite's own check complains, or a table cannot be read to its end"},
    FindingKind{"TABLE_MISSING", true, "a file lacks a table or a column of one; no rows were examined then"},
    FindingKind{"TOPOLOGY_UNREADABLE", true,
                "topology.json is missing beside members, is not one, or cannot be used as it is"},
    FindingKind{"KEYRING_DIFFERS", true, "the keyring is not the one, or not the newest, that the file was used with"},
    FindingKind{"RECORD_UNREADABLE", true, "a member's record is not one, or does not open under this keyring and id"},
    FindingKind{"MEMBER_MISPLACED", true, "a member lies in a file in which its shard does not live"},
    FindingKind{"MEMBER_CLOSED_HOLDS", true, "a closed member lists identities"},
    FindingKind{"IDENTITY_LISTED_TWICE", true, "one member lists an identity twice"},
    FindingKind{"IDENTITY_HELD_TWICE", true, "two members list an identity"},
    FindingKind{"IDENTITY_KEY_WRONG", true, "a listed key is not the key of its value"},
    FindingKind{"LOOKUP_MISSING", true, "a listed identity has no lookup row"},
    FindingKind{"LOOKUP_ELSEWHERE", true,
                "a listed identity's lookup row leads to a member that does not list the identity"},
    FindingKind{"LOOKUP_MISPLACED", true, "a lookup row lies in a file in which its shard does not live"},
    FindingKind{"LOOKUP_UNREADABLE", true, "a lookup row's key is not a key"},
    FindingKind{"HISTORY_MISSING", true, "a member has no history"},
    FindingKind{"HISTORY_ORPHAN", true, "a history has no member"},
    FindingKind{"HISTORY_VERSION_DIFFERS", true, "a member's version is not the last of its history"},
    FindingKind{"HISTORY_GAP", true, "a history lacks a version, or does not begin with how its member came to be"},
    FindingKind{"HISTORY_UNREADABLE", true, "a row of a history is not one"},
    FindingKind{"CHANGE_ORPHAN", true, "a change is not in the history"},
    FindingKind{"CHANGE_GAP", true,
                "positions of the change stream are missing behind what it has forgotten (of one file)"},
    FindingKind{"CHANGE_COUNT_DIFFERS", true, "there are not as many changes, kept and forgotten, as rows of history"},
    FindingKind{"NUMBER_WRONG", true,
                "a change says of the newest number what cannot be; numbers could be given twice"},
    FindingKind{"IMPORT_RANGE_WRONG", true, "a range of numbers of an import is none, or overlaps another"},
    FindingKind{"MOVE_BROKEN", true, "a merge or unmerge is under way that cannot be brought to its end"},
    FindingKind{"KEPT_ANSWER_UNREADABLE", true, "an answer that is kept for a repeated write cannot be read"},
    FindingKind{"MERGE_RECORD_UNREADABLE", true,
                "what a merge brought cannot be read, so that it cannot be taken back"},
    FindingKind{"RECORD_KIND_UNKNOWN", true, "a row of the table record is of no kind that is known"},
    FindingKind{"FEED_START_WRONG", true,
                "where the numbering of changes that all files share begins is not said, or lies behind the newest"},
    FindingKind{"MOVE_MARK_UNREADABLE", true, "a row by which the sweeper finds a move is none"},
    FindingKind{"OUTCOME_UNREADABLE", true, "the outcome of an operation is none"},
    FindingKind{"LOOKUP_DANGLING", false, "a lookup row's owner does not list the identity"},
    FindingKind{"LOOKUP_OPERATION_DIFFERS", false, "a lookup row names another operation than its owner's list"},
    FindingKind{"MOVE_UNFINISHED", false, "a merge or unmerge between members of two files is under way"},
    FindingKind{"MOVE_INDEX_DIFFERS", false, "what the sweeper finds moves by is not what members say"},
    FindingKind{"MERGE_RECORD_STRAY", false, "what a merge brought is kept of two members that are not merged"},
    FindingKind{"MEMBER_COUNT_DIFFERS", false, "the count that goes with the last change is not the number of members"},
};

}  // namespace

std::span<const FindingKind> AllFindingKinds() { return kKinds; }

const FindingKind& FindingKindOf(std::string_view code) {
  const auto kind = std::ranges::find(kKinds, code, &FindingKind::code);
  MUSTER_CHECK(kind != kKinds.end());
  return *kind;
}

}  // namespace muster
