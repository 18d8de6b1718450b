#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/random.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/change_feed.h"
#include "domain/ports/import_ranges.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/member_cache.h"
#include "domain/ports/member_reader.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/shard_upkeep.h"

namespace muster {

struct SqliteOptions {
  std::int64_t files = 1;                // over which the 1,024 shards are spread; fixed when the data is made
  std::int64_t group_commit_max = 1024;  // transactions in one commit
  std::int64_t queue_max = 16384;        // transactions waiting for a writer; beyond: OVERLOADED
  // Not more: after most page splits SQLite 3.40 walks through all of its page cache at the commit.
  std::int64_t writer_cache_bytes = std::int64_t{16} << 20;
  std::int64_t mmap_bytes = std::int64_t{1} << 36;  // of each file, for readers
  bool durable = true;                              // synchronous=FULL; false only for tests and throw-away demos

  void Declare(OptionRegistry& options);  // store.sqlite.*
};

struct SqliteDependencies {
  const Keyring* keyring = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  Logger* logger = nullptr;
  MetricRegistry* metrics = nullptr;
  CommitFloor* floor = nullptr;
  MemberCache* cache = nullptr;              // erased from before each commit; may be null
  const IdentityCatalog* catalog = nullptr;  // kept with the data, which refuses another scope or normaliser of a kind
};

// All members in SQLite files in one directory. One writer thread a file commits in groups; readers are one a loop.
class SqliteStore {
 public:
  // Makes the files when the directory has none. Errors say what to do: a newer schema, another number of files, a
  // read-only or full disk, a file that is not a database or is corrupted, a directory that another server uses.
  static Result<std::unique_ptr<SqliteStore>> Open(const std::string& directory, const SqliteOptions& options,
                                                   const SqliteDependencies& dependencies);
  virtual ~SqliteStore() = default;

  virtual ShardStore& shards() = 0;
  virtual ShardUpkeep& shard_upkeep() = 0;
  virtual MemberArchive& archive() = 0;
  virtual ImportRanges& import_ranges() = 0;
  virtual ChangeFeed& change_feed() = 0;
  virtual ChangeKeeper& change_keeper() = 0;
  // The leaf of a route tree: gathers the reads of a turn into one read transaction. Source: primary.
  virtual Result<std::unique_ptr<MemberReader>> MakeReader(EventLoop& loop) = 0;

  // The error of the last commit (disk full, I/O error) if it failed and none has succeeded since: /readyz. Unless
  // there was a commit within the last second it also tries, in the background, whether writing works: whoever keeps
  // asking finds out without writing.
  virtual Result<void> Health() const = 0;
  virtual std::int64_t CountMembers() const = 0;  // an estimate that is cheap

  // No number that an IdAllocator gave out is above it, of what the data knew when it was opened.
  virtual std::int64_t newest_number() const = 0;

  // Finishes what is queued, checkpoints, closes. No call may follow.
  virtual void Close() = 0;
};

}  // namespace muster
