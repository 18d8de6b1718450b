#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "domain/ports/shard_store.h"
#include "domain/ports/shard_upkeep.h"

namespace muster {

// The memory twin of the sharded store: N databases in maps, each with a clock of its own. Serialisable (one
// transaction a database at a time), thread-safe, and nothing survives it. A transaction runs in the caller's thread,
// on an overlay that is applied when it succeeds and dropped when it fails; `done` is called before Run returns, with
// no lock held.
//
// It is stricter than an engine: a transaction that touches a row of another database breaks an invariant and aborts.
class MemoryShardStore final : public ShardStore, public ShardUpkeep {
 public:
  // kTwice runs every transaction two times and throws the first away, as an engine may that retries a failed group.
  enum class Runs : std::uint8_t { kOnce, kTwice };

  // One database for each clock; the clocks must outlive the store.
  explicit MemoryShardStore(const std::vector<const Clock*>& clocks, Runs runs = Runs::kOnce);
  ~MemoryShardStore() override;

  using ShardStore::DatabaseOf;
  std::uint32_t DatabaseOf(ShardId shard) const override;
  void Run(std::uint32_t database, Transaction transaction, Done done) override;
  Timestamp Now(std::uint32_t database) const override;
  Result<std::vector<LookupEntry>> ScanLookups(std::uint32_t database, const IdentityKey& after,
                                               std::size_t limit) override;
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t database, MemberId after, std::size_t limit) override;
  // Of operations below `below` alone.
  void ForgetOperations(std::uint32_t database, Timestamp before, OperationId below, Forgotten done);
  void ForgetOperations(std::uint32_t database, Timestamp before, Forgotten done) override;
  void ForgetAnswers(std::uint32_t database, Timestamp before, Forgotten done) override;

  // From now on: a caller that wants a new answer kept has its share of them.
  void KeepNoMoreAnswers() { keeps_answers_ = false; }

  std::uint32_t database_count() const { return static_cast<std::uint32_t>(databases_.size()); }

  // What tests and checkers compare. Each is a snapshot of one database or of one member.
  std::vector<Member> Members(std::uint32_t database) const;  // by id
  std::vector<Change> Stream(std::uint32_t database) const;   // in the order of their commits
  std::vector<Change> History(MemberId id) const;             // in the order of their commits
  std::size_t CountOperations(std::uint32_t database) const;

 private:
  struct Database;
  class MemoryTransaction;

  Result<void> RunOnce(Database& database, std::uint32_t index, Transaction& transaction, bool keep);

  const Runs runs_;
  bool keeps_answers_ = true;
  std::vector<std::unique_ptr<Database>> databases_;
};

}  // namespace muster
