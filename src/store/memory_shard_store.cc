#include "store/memory_shard_store.h"

#include <utility>

#include "base/check.h"

namespace muster {

struct MemoryShardStore::Database {
  struct Outcome {
    OperationOutcome outcome;
    Timestamp recorded_at;
  };

  const Clock* clock = nullptr;
  mutable std::mutex mutex;
  std::map<MemberId, Member> members;
  std::map<IdentityKey, LookupRow> lookups;
  std::map<OperationId, Outcome> operations;
  std::map<RequestHash, std::pair<KeptAnswer, Timestamp>> answers;
  std::map<std::pair<MemberId, MemberId>, MergeRecord> merges;
  std::vector<Change> stream;
};

class MemoryShardStore::MemoryTransaction final : public ShardTransaction, public WriteRecords {
 public:
  MemoryTransaction(const MemoryShardStore& store, const Database& base, std::uint32_t index)
      : store_(store), base_(base), index_(index) {}

  Result<std::optional<Member>> ReadMember(MemberId id) override {
    MUSTER_CHECK(store_.DatabaseOf(id) == index_);
    if (auto written = members_.find(id); written != members_.end()) return written->second;
    if (auto found = base_.members.find(id); found != base_.members.end()) return found->second;
    return std::nullopt;
  }

  Result<void> WriteMember(const Member& member, const Change& change) override {
    MUSTER_CHECK(store_.DatabaseOf(member.id) == index_);
    MUSTER_CHECK(change.member_id == member.id && change.version == member.version);
    members_[member.id] = member;
    changes_.push_back(change);
    return {};
  }

  Result<void> MarkMember(const Member& member) override {
    MUSTER_CHECK(store_.DatabaseOf(member.id) == index_);
    members_[member.id] = member;
    return {};
  }

  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    MUSTER_CHECK(store_.DatabaseOf(key) == index_);
    if (auto written = lookups_.find(key); written != lookups_.end()) return written->second;
    if (auto found = base_.lookups.find(key); found != base_.lookups.end()) return found->second;
    return std::nullopt;
  }

  Result<void> WriteLookup(const IdentityKey& key, const std::optional<LookupRow>& row) override {
    MUSTER_CHECK(store_.DatabaseOf(key) == index_);
    lookups_[key] = row;
    return {};
  }

  WriteRecords& records() override { return *this; }

  Result<std::optional<OperationOutcome>> ReadOperation(OperationId id) override {
    if (auto written = operations_.find(id); written != operations_.end()) return written->second;
    if (auto found = base_.operations.find(id); found != base_.operations.end()) return found->second.outcome;
    return std::nullopt;
  }

  Result<void> WriteOperation(OperationId id, OperationOutcome outcome) override {
    operations_[id] = outcome;
    return {};
  }

  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, AnswerUse use) override {
    if (auto written = answers_.find(key); written != answers_.end()) return written->second;
    if (auto found = base_.answers.find(key); found != base_.answers.end()) return found->second.first;
    if (Keeps(use) && !store_.keeps_answers_) return NoRoom();
    return std::nullopt;
  }

  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer) override {
    if (!store_.keeps_answers_) return NoRoom();
    answers_[key] = answer;
    return {};
  }

  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source) override {
    MUSTER_CHECK(store_.DatabaseOf(target) == index_);
    const std::pair pair(target, source);
    if (auto written = merges_.find(pair); written != merges_.end()) return written->second;
    if (auto found = base_.merges.find(pair); found != base_.merges.end()) return found->second;
    return std::nullopt;
  }

  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record) override {
    MUSTER_CHECK(store_.DatabaseOf(target) == index_);
    merges_[{target, source}] = record;
    return {};
  }

  void ApplyTo(Database& database) && {
    for (auto& [key, answer] : answers_) database.answers[key] = {std::move(answer), database.clock->Now()};
    for (auto& [pair, record] : merges_) {
      if (record) {
        database.merges[pair] = *record;
      } else {
        database.merges.erase(pair);
      }
    }
    for (auto& [id, member] : members_) database.members[id] = std::move(member);
    for (auto& [key, row] : lookups_) {
      if (row) {
        database.lookups[key] = *row;
      } else {
        database.lookups.erase(key);
      }
    }
    for (auto& [id, outcome] : operations_) database.operations[id] = {outcome, database.clock->Now()};
    for (Change& change : changes_) database.stream.push_back(std::move(change));
  }

 private:
  static std::unexpected<Error> NoRoom() {
    return Fail(Reason::kRateLimited, "this caller keeps as many answers as it may");
  }
  const MemoryShardStore& store_;
  const Database& base_;
  const std::uint32_t index_;
  std::map<MemberId, Member> members_;
  std::map<IdentityKey, std::optional<LookupRow>> lookups_;
  std::map<OperationId, OperationOutcome> operations_;
  std::map<RequestHash, KeptAnswer> answers_;
  std::map<std::pair<MemberId, MemberId>, std::optional<MergeRecord>> merges_;
  std::vector<Change> changes_;
};

MemoryShardStore::MemoryShardStore(const std::vector<const Clock*>& clocks, Runs runs) : runs_(runs) {
  MUSTER_CHECK(!clocks.empty());
  for (const Clock* clock : clocks) {
    databases_.push_back(std::make_unique<Database>());
    databases_.back()->clock = clock;
  }
}

MemoryShardStore::~MemoryShardStore() = default;

std::uint32_t MemoryShardStore::DatabaseOf(ShardId shard) const { return shard.value() % database_count(); }

void MemoryShardStore::Run(std::uint32_t database, Transaction transaction, Done done) {
  MUSTER_CHECK(database < database_count());
  Result<void> result;
  {
    Database& target = *databases_[database];
    std::lock_guard lock(target.mutex);
    if (runs_ == Runs::kTwice) result = RunOnce(target, database, transaction, false);
    result = RunOnce(target, database, transaction, true);
  }
  // What the transaction captured may belong to whoever `done` wakes: it goes first.
  transaction = nullptr;
  done(std::move(result));
}

Result<void> MemoryShardStore::RunOnce(Database& database, std::uint32_t index, Transaction& transaction, bool keep) {
  MemoryTransaction overlay(*this, database, index);
  Result<void> result = transaction(overlay);
  if (result && keep) std::move(overlay).ApplyTo(database);
  return result;
}

Timestamp MemoryShardStore::Now(std::uint32_t database) const {
  MUSTER_CHECK(database < database_count());
  return databases_[database]->clock->Now();
}

Result<std::vector<ShardUpkeep::LookupEntry>> MemoryShardStore::ScanLookups(std::uint32_t database,
                                                                            const IdentityKey& after,
                                                                            std::size_t limit) {
  MUSTER_CHECK(database < database_count());
  const Database& source = *databases_[database];
  std::lock_guard lock(source.mutex);
  std::vector<LookupEntry> entries;
  for (auto row = source.lookups.upper_bound(after); row != source.lookups.end() && entries.size() < limit; ++row) {
    entries.push_back({row->first, row->second});
  }
  return entries;
}

Result<std::vector<MemberId>> MemoryShardStore::ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) {
  MUSTER_CHECK(database < database_count());
  const Database& source = *databases_[database];
  std::lock_guard lock(source.mutex);
  std::vector<MemberId> ids;
  for (auto row = source.members.upper_bound(after); row != source.members.end() && ids.size() < limit; ++row) {
    if (row->second.move) ids.push_back(row->first);
  }
  return ids;
}

void MemoryShardStore::ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) {
  ForgetOperations(database, before, OperationId(INT64_MAX), std::move(done));
}

void MemoryShardStore::ForgetOperations(std::uint32_t database, Timestamp before, OperationId below, Forgotten done) {
  MUSTER_CHECK(database < database_count());
  std::uint64_t forgotten = 0;
  {
    Database& target = *databases_[database];
    std::lock_guard lock(target.mutex);
    forgotten = std::erase_if(target.operations, [before, below](const auto& row) {
      return row.second.recorded_at < before && row.first < below;
    });
  }
  done(forgotten);
}

void MemoryShardStore::ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) {
  MUSTER_CHECK(database < database_count());
  std::uint64_t forgotten = 0;
  {
    Database& target = *databases_[database];
    std::lock_guard lock(target.mutex);
    forgotten = std::erase_if(target.answers, [before](const auto& row) { return row.second.second < before; });
  }
  done(forgotten);
}

std::vector<Member> MemoryShardStore::Members(std::uint32_t database) const {
  const Database& source = *databases_[database];
  std::lock_guard lock(source.mutex);
  std::vector<Member> members;
  members.reserve(source.members.size());
  for (const auto& [id, member] : source.members) members.push_back(member);
  return members;
}

std::vector<Change> MemoryShardStore::Stream(std::uint32_t database) const {
  const Database& source = *databases_[database];
  std::lock_guard lock(source.mutex);
  return source.stream;
}

std::vector<Change> MemoryShardStore::History(MemberId id) const {
  std::vector<Change> history;
  for (Change& change : Stream(DatabaseOf(id))) {
    if (change.member_id == id) history.push_back(std::move(change));
  }
  return history;
}

std::size_t MemoryShardStore::CountOperations(std::uint32_t database) const {
  const Database& source = *databases_[database];
  std::lock_guard lock(source.mutex);
  return source.operations.size();
}

}  // namespace muster
