#include "centers/group_rows.h"

#include <algorithm>
#include <ranges>

namespace muster::sim {
namespace {

// The newest of what is written and not applied yet.
template <typename Written, typename Key>
auto FindWritten(const Written& written, const Key& key) -> decltype(&written.front().second) {
  for (const auto& [name, row] : written | std::views::reverse) {
    if (name == key) return &row;
  }
  return nullptr;
}

template <typename Rows, typename Key>
auto CopyOf(const Rows& rows, const Key& key) -> std::optional<typename Rows::mapped_type> {
  const auto found = rows.find(key);
  return found == rows.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

void GroupRows::Apply(const GroupCommit& commit) {
  for (const Member& member : commit.members) members[member.id] = member;
  for (const auto& [key, row] : commit.lookups) {
    row ? void(lookups[key] = *row) : void(lookups.erase(key));
  }
  for (const auto& [id, outcome] : commit.operations) operations[id] = outcome;
  for (const auto& [key, row] : commit.answers) answers[key] = row;
  for (const auto& [pair, record] : commit.merges) {
    record ? void(merges[pair] = *record) : void(merges.erase(pair));
  }
  if (commit.fence) fence = *commit.fence;
}

void GroupTransaction::Lock(RowLock::Table table, std::int64_t number, const std::array<std::uint8_t, 16>& key) {
  const RowLock lock{.table = table, .number = number, .key = key};
  if (std::ranges::count(commit_.locks, lock) == 0) commit_.locks.push_back(lock);
}

Result<std::optional<Member>> GroupTransaction::ReadMember(MemberId id) {
  Lock(RowLock::Table::kMember, id.value());
  std::optional<Member> member = CopyOf(rows_.members, id);
  for (const Member& written : commit_.members) {
    if (written.id == id) member = written;
  }
  if (member && vouches_) to_announce_.AddIfRecent(*member, now_);
  return member;
}

Result<void> GroupTransaction::WriteMember(const Member& member, const Change& change) {
  MUSTER_TRY(MarkMember(member));
  to_announce_.AddMember(member.id, member.version);
  for (const Change::IdentityRef& identity : change.identities) to_announce_.AddKey(identity.key);
  commit_.changes.push_back(change);
  return {};
}

Result<void> GroupTransaction::MarkMember(const Member& member) {
  Lock(RowLock::Table::kMember, member.id.value());
  if (member.move && member.move->role == MoveMark::Role::kTakes) {
    to_announce_.AddMember(member.move->other, member.move->other_version);
  }
  commit_.members.push_back(member);
  return {};
}

Result<std::optional<LookupRow>> GroupTransaction::ReadLookup(const IdentityKey& key) {
  Lock(RowLock::Table::kLookup, 0, key.bytes);
  const auto* const written = FindWritten(commit_.lookups, key);
  return written != nullptr ? *written : CopyOf(rows_.lookups, key);
}

Result<void> GroupTransaction::WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) {
  Lock(RowLock::Table::kLookup, 0, key.bytes);
  to_announce_.AddKey(key);
  commit_.lookups.emplace_back(key, row);
  return {};
}

Result<std::optional<OperationOutcome>> GroupTransaction::ReadOperation(OperationId id) {
  Lock(RowLock::Table::kOperation, id.value());
  const auto* const written = FindWritten(commit_.operations, id);
  return written != nullptr ? std::optional(*written) : CopyOf(rows_.operations, id);
}

Result<void> GroupTransaction::WriteOperation(OperationId id, OperationOutcome outcome) {
  Lock(RowLock::Table::kOperation, id.value());
  commit_.operations.emplace_back(id, outcome);
  return {};
}

Result<std::optional<KeptAnswer>> GroupTransaction::ReadAnswer(const RequestHash& key, AnswerUse /*use*/) {
  Lock(RowLock::Table::kAnswer, 0, key.bytes);
  const auto* const written = FindWritten(commit_.answers, key);
  const std::optional<KeptRow> kept = written != nullptr ? std::optional(*written) : CopyOf(rows_.answers, key);
  if (!kept) return std::optional<KeptAnswer>();
  if (vouches_) {
    to_announce_.AddSeen(kept->answer.member);
    for (const auto& [id, version] : kept->touched.members) to_announce_.AddMember(id, version);
    for (const IdentityKey& touched : kept->touched.keys) to_announce_.AddKey(touched);
  }
  return std::optional(kept->answer);
}

Result<void> GroupTransaction::WriteAnswer(const RequestHash& key, const KeptAnswer& answer) {
  Lock(RowLock::Table::kAnswer, 0, key.bytes);
  commit_.answers.emplace_back(key, KeptRow{.answer = answer, .touched = to_announce_.Take()});
  return {};
}

Result<std::optional<MergeRecord>> GroupTransaction::ReadMerge(MemberId target, MemberId source) {
  Lock(RowLock::Table::kMerge, target.value());
  const auto* const written = FindWritten(commit_.merges, std::pair(target, source));
  return written != nullptr ? *written : CopyOf(rows_.merges, std::pair(target, source));
}

Result<void> GroupTransaction::WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) {
  Lock(RowLock::Table::kMerge, target.value());
  commit_.merges.emplace_back(std::pair(target, source), record);
  return {};
}

}  // namespace muster::sim
