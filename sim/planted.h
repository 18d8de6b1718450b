#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/ports/shard_store.h"

namespace muster::sim {

// Bugs that a store, or a protocol over it, could plausibly have; made in the simulated store (kOneLook: in the
// simulation's resolve), never in the code under test. A simulation that does not find one of them does not look
// closely enough.
enum class Planted : std::uint8_t {
  kNone,
  kFenceOff,        // outcomes are not seen: an aborted operation commits
  kAbortSkipped,    // an abort is not written
  kCasOff,          // lookup rows are read as they were before, now and then: compare-and-swap compares with the past
  kReserveSkipped,  // a reservation is not written
  kAgeOff,          // inside transactions the clock stands still: an operation of any age commits
  kForgetYoung,     // outcomes are forgotten at once
  kFreeByKey,       // unbind frees the lookup row of whoever holds it by then
  kReadOperationLate,    // unbind frees the lookup row of its member, whatever operation it names by then
  kOneLook,              // resolve does not look a second time
  kLostCommit,           // a commit is acknowledged and lost, now and then
  kMarkSkipped,          // who gives in a merge is not marked
  kReceiptLost,          // who takes in a merge does not say so
  kRefusedButCommitted,  // a commit that happened is reported as refused, now and then
  kAnswerLate,           // an answer is kept in a transaction of its own, after that of the write
  kAnswerSoughtBefore,   // answers are looked for before a transaction, and not in it
  kAnswerNow,            // an answer that was kept shows the member as it is now
  kAnswerForgotten,      // answers are forgotten at once
};

struct PlantedBug {
  Planted bug;
  std::string_view name;  // on the command line
};
const std::vector<PlantedBug>& PlantedBugs();

using KeptAnswers = std::vector<std::pair<RequestHash, KeptAnswer>>;

// What one process believes of lookup rows, for kCasOff.
using RememberedRows = std::map<IdentityKey, std::optional<LookupRow>>;

// A transaction as the bug makes it.
class PlantedTransaction final : public ShardTransaction, public WriteRecords {
 public:
  struct Lies {
    bool now = false;  // whether a bug that shows now and then shows this time
    RememberedRows& remembered;
    KeptAnswers& late;                                    // kAnswerLate: to be kept after the commit
    std::function<bool(const RequestHash&)> was_not_yet;  // kAnswerSoughtBefore
  };
  PlantedTransaction(ShardTransaction& inner, Planted bug, Lies lies)
      : inner_(inner), bug_(bug), lies_(std::move(lies)) {}

  Result<std::optional<Member>> ReadMember(MemberId id) override { return inner_.ReadMember(id); }
  Result<void> WriteMember(const Member& member, const Change& change) override;
  Result<void> MarkMember(const Member& member) override;
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override;
  Result<void> WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) override;
  WriteRecords& records() override { return *this; }
  Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) override;
  Result<void> WriteOperation(OperationId id, OperationOutcome outcome) override;
  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, AnswerUse use) override;
  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer) override;
  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) override {
    return inner_.records().ReadMerge(target, source);
  }
  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) override {
    return inner_.records().WriteMerge(target, source, record);
  }

 private:
  ShardTransaction& inner_;
  const Planted bug_;
  const Lies lies_;
};

}  // namespace muster::sim
