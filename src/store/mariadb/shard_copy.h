#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ids.h"
#include "store/mariadb/primary_link.h"
#include "store/mariadb/transaction.h"

namespace muster::mariadb {

// Makes what one group has of a shard what another one has of it: by comparing, so it may begin anywhere, be done
// again, and end anywhere. Rows are read from primaries, in pages, each page is one transaction of the other group. Not
// thread-safe.
class ShardCopy {
 public:
  using Work = std::function<Result<void>(Transaction&)>;
  struct Ends {
    PrimaryLink& from;
    PrimaryLink& to;
    std::function<Result<void>(const Work&)> write;  // a transaction in `to`
    std::function<Result<void>()> go_on;             // asked before each page; its error ends the call
  };
  explicit ShardCopy(Ends ends) : ends_(std::move(ends)) {}

  // Answers how many rows differed: none says that counts and checksums of all tables are the same on both sides.
  Result<std::uint64_t> Copy(ShardId shard);
  // Outcomes of operations and answers to requests, which say nothing of a shard: all the first time, then those that
  // were recorded since the last call began. Answers how many were read.
  Result<std::uint64_t> CopyOfGroup();

 private:
  struct Table;
  static const Table kTables[4];

  Result<std::uint64_t> CopyTable(const Table& table, ShardId shard);
  Result<bool> IsSame(const Table& table, ShardId shard);
  Result<std::uint64_t> CopyPage(const Table& table, ShardId shard, std::string& after, bool& is_last);
  Result<void> Replace(const Table& table, ShardId shard, const std::string& keys, const std::string& surplus);
  Result<std::uint64_t> CopyOperations(std::int64_t since_micros);
  Result<std::uint64_t> CopyAnswers(std::int64_t since_micros);

  const Ends ends_;
  std::int64_t copied_since_micros_ = 0;  // by the clock of `from`; what was recorded before is there
};

// Deletes a bounded number of the rows that the group has of the shard; true: there are none left.
Result<bool> DeleteShardRows(Transaction& rows, ShardId shard);

}  // namespace muster::mariadb
