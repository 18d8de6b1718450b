#include "planted.h"

namespace muster::sim {

const std::vector<PlantedBug>& PlantedBugs() {
  static const std::vector<PlantedBug> kBugs = {
      {Planted::kFenceOff, "fence-off"},
      {Planted::kAbortSkipped, "abort-skipped"},
      {Planted::kCasOff, "cas-off"},
      {Planted::kReserveSkipped, "reserve-skipped"},
      {Planted::kAgeOff, "age-off"},
      {Planted::kForgetYoung, "forget-young"},
      {Planted::kFreeByKey, "free-by-key"},
      {Planted::kReadOperationLate, "read-operation-late"},
      {Planted::kOneLook, "one-look"},
      {Planted::kLostCommit, "lost-commit"},
      {Planted::kMarkSkipped, "mark-skipped"},
      {Planted::kReceiptLost, "receipt-lost"},
      {Planted::kRefusedButCommitted, "refused-but-committed"},
      {Planted::kAnswerLate, "answer-late"},
      {Planted::kAnswerSoughtBefore, "answer-sought-before"},
      {Planted::kAnswerNow, "answer-now"},
      {Planted::kAnswerForgotten, "answer-forgotten"},
  };
  return kBugs;
}

Result<void> PlantedTransaction::WriteMember(const Member& member, const Change& change) {
  if (bug_ != Planted::kReceiptLost) return inner_.WriteMember(member, change);
  Member without = member;
  without.move.reset();
  return inner_.WriteMember(without, change);
}

Result<void> PlantedTransaction::MarkMember(const Member& member) {
  if (bug_ == Planted::kMarkSkipped && member.move) return {};
  return inner_.MarkMember(member);
}

Result<std::optional<LookupRow>> PlantedTransaction::ReadLookup(const IdentityKey& key) {
  MUSTER_ASSIGN(const std::optional<LookupRow> row, inner_.ReadLookup(key));
  if (bug_ != Planted::kCasOff) return row;
  if (const auto before = lies_.remembered.find(key); lies_.now && before != lies_.remembered.end())
    return before->second;
  lies_.remembered[key] = row;
  return row;
}

Result<void> PlantedTransaction::WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) {
  if (bug_ == Planted::kReserveSkipped && row) return {};
  lies_.remembered[key] = row;
  return inner_.WriteLookup(key, row);
}

Result<std::optional<OperationOutcome>> PlantedTransaction::ReadOperation(OperationId id) {
  if (bug_ == Planted::kFenceOff) return std::nullopt;
  return inner_.records().ReadOperation(id);
}

Result<void> PlantedTransaction::WriteOperation(OperationId id, OperationOutcome outcome) {
  if (bug_ == Planted::kAbortSkipped && outcome == OperationOutcome::kAborted) return {};
  return inner_.records().WriteOperation(id, outcome);
}

Result<std::optional<KeptAnswer>> PlantedTransaction::ReadAnswer(const RequestHash& key, AnswerUse use) {
  if (bug_ == Planted::kAnswerSoughtBefore && lies_.was_not_yet(key)) return std::nullopt;
  MUSTER_ASSIGN(std::optional<KeptAnswer> answer, inner_.records().ReadAnswer(key, use));
  if (answer && bug_ == Planted::kAnswerNow) {
    MUSTER_ASSIGN(const std::optional<Member> member, inner_.ReadMember(answer->member.id));
    if (member) answer->member = *member;
  }
  return answer;
}

Result<void> PlantedTransaction::WriteAnswer(const RequestHash& key, const KeptAnswer& answer) {
  if (bug_ != Planted::kAnswerLate) return inner_.records().WriteAnswer(key, answer);
  lies_.late.emplace_back(key, answer);
  return {};
}

}  // namespace muster::sim
