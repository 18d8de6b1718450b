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
class Databases::WatchedTransaction final : public ShardTransaction, public WriteRecords {
 public:
  WatchedTransaction(ShardTransaction& inner, Checker::Commit& commit) : inner_(inner), commit_(commit) {}

  Result<std::optional<Member>> ReadMember(MemberId id) override { return inner_.ReadMember(id); }
  Result<void> WriteMember(const Member& member, const Change& change) override {
    MUSTER_TRY(inner_.WriteMember(member, change));
    commit_.writes.push_back({member, change});
    return {};
  }
  Result<void> MarkMember(const Member& member) override {
    MUSTER_TRY(inner_.MarkMember(member));
    commit_.marks.push_back(member);
    return {};
  }
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override { return inner_.ReadLookup(key); }
  Result<void> WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) override {
    return inner_.WriteLookup(key, row);
  }
  WriteRecords& records() override { return *this; }
  Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) override {
    return inner_.records().ReadOperation(id);
  }
  Result<void> WriteOperation(OperationId id, OperationOutcome outcome) override {
    return inner_.records().WriteOperation(id, outcome);
  }
  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, AnswerUse use) override {
    return inner_.records().ReadAnswer(key, use);
  }
  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer) override {
    MUSTER_TRY(inner_.records().WriteAnswer(key, answer));
    commit_.kept.emplace_back(key, answer);
    return {};
  }
  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) override {
    return inner_.records().ReadMerge(target, source);
  }
  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) override {
    return inner_.records().WriteMerge(target, source, record);
  }

 private:
  ShardTransaction& inner_;
  Checker::Commit& commit_;
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

Result<void> Databases::Execute(const Arrival& arrival, ShardStore::Transaction& transaction) {
  Checker::Commit commit;
  KeptAnswers late;
  const bool lie = bug_ == Planted::kCasOff && Happens(random_, kLieMillionths);
  const bool rare = Happens(random_, kRareLieMillionths);
  const auto was_not_yet = [&](const RequestHash& key) {
    const auto kept = kept_at_.find(key);
    return kept != kept_at_.end() && kept->second > arrival.sent;
  };
  bool succeeded = false;
  Result<void> result;
  shards_->Run(
      arrival.database,
      [&](ShardTransaction& rows) -> Result<void> {
        commit = {.database = arrival.database, .at = scheduler_.now()};
        late.clear();
        succeeded = false;
        WatchedTransaction watched(rows, commit);
        PlantedTransaction planted(watched, bug_, {lie, arrival.remembered, late, was_not_yet});
        MUSTER_TRY(bug_ == Planted::kNone ? transaction(watched) : transaction(planted));
        if (arrival.commit_fails) return Fail(Reason::kWritesUnavailable, "simulated failure of a commit");
        succeeded = true;
        if (bug_ == Planted::kLostCommit && rare && !commit.writes.empty()) return Fail(Lost());
        return {};
      },
      [&](Result<void> answer) { result = std::move(answer); });
  if (bug_ == Planted::kLostCommit && !result && succeeded) return {};
  if (!result) return result;
  checker_.Committed(commit);
  for (const auto& [key, answer] : commit.kept) kept_at_[key] = commit.at;
  for (const MemberWrite& write : commit.writes) FreeWrongly(write);
  KeepLate(arrival.database, late);
  if (bug_ == Planted::kRefusedButCommitted && rare && !commit.writes.empty()) {
    return Fail(Reason::kWritesUnavailable, "a planted bug");
  }
  return result;
}

void Databases::KeepLate(std::uint32_t database, const KeptAnswers& answers) {
  if (answers.empty()) return;
  scheduler_.After(std::chrono::milliseconds(1 + random_.Below(20)), [this, database, answers] {
    shards_->Run(
        database,
        [&](ShardTransaction& rows) -> Result<void> {
          for (const auto& [key, answer] : answers) MUSTER_TRY(rows.records().WriteAnswer(key, answer));
          return {};
        },
        [](const Result<void>&) {});
  });
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
