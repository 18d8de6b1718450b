#include "store/settled_member.h"

#include <utility>

#include "domain/merge_rules.h"

namespace muster {
namespace {

bool Gives(const std::optional<Member>& member) {
  return member && member->move && member->move->role == MoveMark::Role::kGives;
}

bool HasTaken(const std::optional<Member>& taker, OperationId operation) {
  return taker && taker->move && taker->move->role == MoveMark::Role::kTakes && taker->move->operation_id == operation;
}

}  // namespace

Result<SettledMember> ReadSettled(MemberId id, MemberSource& source) {
  MUSTER_ASSIGN(std::optional<Member> member, source.ReadRow(id));
  for (int attempt = 0; attempt < kSettledAttemptsMax; ++attempt) {
    if (!Gives(member)) return SettledMember{std::move(member), std::nullopt};
    const OperationId operation = member->move->operation_id;
    const MemberId other = member->move->other;
    MUSTER_ASSIGN(const std::optional<Member> taker, source.ReadRow(other));
    if (HasTaken(taker, operation)) return SettledMember{AfterGiving(*member), other};
    if (source.SharesRows(id, other)) return SettledMember{std::move(member), std::nullopt};
    source.BeginAnew();
    MUSTER_ASSIGN(member, source.ReadRow(id));
    if (Gives(member) && member->move->operation_id == operation) return SettledMember{std::move(member), std::nullopt};
  }
  Error error{Reason::kOverloaded, "the member was merged again and again while it was read; try again"};
  error.retry_after_ms = 100;
  return std::unexpected(std::move(error));
}

}  // namespace muster
