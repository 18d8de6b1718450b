#include "databases.h"

#include <utility>

#include "weather.h"

namespace muster::sim {
namespace {

constexpr std::uint64_t kLieMillionths = 300'000;     // kCasOff
constexpr std::uint64_t kRareLieMillionths = 20'000;  // kLostCommit, kRefusedButCommitted
constexpr std::int64_t kDatabaseClockErrorMsMax = 5'000;

// A transaction that fails on purpose after everything was said to be well.
Error Lost() { return {.reason = Reason::kInternal, .message = "a planted bug"}; }

}  // namespace

// Notes what is written, for the checker.
class Databases::WatchedTransaction final : public ShardTransaction {
 public:
  WatchedTransaction(ShardTransaction& inner, std::vector<MemberWrite>& writes, std::vector<Member>& marks)
      : inner_(inner), writes_(writes), marks_(marks) {}

  Result<std::optional<Member>> ReadMember(MemberId id) override { return inner_.ReadMember(id); }
  Result<void> WriteMember(const Member& member, const Change& change) override {
    MUSTER_TRY(inner_.WriteMember(member, change));
    writes_.push_back({member, change});
    return {};
  }
  Result<void> MarkMember(const Member& member) override {
    MUSTER_TRY(inner_.MarkMember(member));
    marks_.push_back(member);
    return {};
  }
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override { return inner_.ReadLookup(key); }
  Result<void> WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) override {
    return inner_.WriteLookup(key, row);
  }
  Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) override { return inner_.ReadOperation(id); }
  Result<void> WriteOperation(OperationId id, OperationOutcome outcome) override {
    return inner_.WriteOperation(id, outcome);
  }
  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key) override { return inner_.ReadAnswer(key); }
  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer) override {
    return inner_.WriteAnswer(key, answer);
  }
  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) override {
    return inner_.ReadMerge(target, source);
  }
  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) override {
    return inner_.WriteMerge(target, source, record);
  }

 private:
  ShardTransaction& inner_;
  std::vector<MemberWrite>& writes_;
  std::vector<Member>& marks_;
};

Databases::Databases(Scheduler& scheduler, Random& random, Checker& checker, Planted bug, std::uint32_t count)
    : scheduler_(scheduler), random_(random), checker_(checker), bug_(bug) {
  std::vector<const Clock*> clocks;
  for (std::uint32_t database = 0; database < count; ++database) {
    const auto error = std::chrono::milliseconds(random.Below(kDatabaseClockErrorMsMax));
    clocks_.push_back(std::make_unique<SimulatedClock>(scheduler, error));
    clocks.push_back(clocks_.back().get());
  }
  const auto runs = random.Below(4) == 0 ? MemoryShardStore::Runs::kTwice : MemoryShardStore::Runs::kOnce;
  shards_ = std::make_unique<MemoryShardStore>(clocks, runs);
}

Result<void> Databases::Execute(std::uint32_t database, ShardStore::Transaction& transaction,
                                RememberedRows& remembered, bool commit_fails) {
  std::vector<MemberWrite> writes;
  std::vector<Member> marks;
  const bool lie = bug_ == Planted::kCasOff && Happens(random_, kLieMillionths);
  const bool rare = Happens(random_, kRareLieMillionths);
  bool succeeded = false;
  Result<void> result;
  shards_->Run(
      database,
      [&](ShardTransaction& rows) -> Result<void> {
        writes.clear();
        marks.clear();
        succeeded = false;
        WatchedTransaction watched(rows, writes, marks);
        PlantedTransaction planted(watched, bug_, lie, remembered);
        MUSTER_TRY(bug_ == Planted::kNone ? transaction(watched) : transaction(planted));
        if (commit_fails) return Fail(Reason::kWritesUnavailable, "simulated failure of a commit");
        succeeded = true;
        if (bug_ == Planted::kLostCommit && rare && !writes.empty()) return Fail(Lost());
        return {};
      },
      [&](Result<void> answer) { result = std::move(answer); });
  if (bug_ == Planted::kLostCommit && !result && succeeded) return {};
  if (!result) return result;
  checker_.Committed(writes, marks);
  for (const MemberWrite& write : writes) FreeWrongly(write);
  if (bug_ == Planted::kRefusedButCommitted && rare && !writes.empty()) {
    return Fail(Reason::kWritesUnavailable, "a planted bug");
  }
  return result;
}

// kFreeByKey and kReadOperationLate: what the protocol must not do after an unbind.
void Databases::FreeWrongly(const MemberWrite& write) {
  if (bug_ != Planted::kFreeByKey && bug_ != Planted::kReadOperationLate) return;
  if (write.change.type != ChangeType::kIdentityUnbound && write.change.type != ChangeType::kClosed) return;
  for (const Change::IdentityRef& identity : write.change.identities) {
    scheduler_.After(std::chrono::milliseconds(1 + random_.Below(20)),
                     [this, key = identity.key, id = write.member.id] {
                       shards_->Run(
                           shards_->DatabaseOf(key),
                           [&](ShardTransaction& rows) -> Result<void> {
                             MUSTER_ASSIGN(const std::optional<LookupRow> row, rows.ReadLookup(key));
                             if (bug_ == Planted::kReadOperationLate && (!row || row->member_id != id)) return {};
                             return rows.WriteLookup(key, std::nullopt);
                           },
                           [](const Result<void>&) {});
                     });
  }
}

}  // namespace muster::sim
