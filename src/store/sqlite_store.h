#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/options.h"
#include "base/random.h"
#include "base/result.h"
#include "domain/commit_floor.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/member_cache.h"
#include "store/answer_shares.h"
#include "store/member_store.h"

namespace muster {

struct SqliteOptions {
  std::int64_t files = 1;                // over which the 1,024 shards are spread; fixed when the data is made
  std::int64_t group_commit_max = 1024;  // transactions in one commit
  std::int64_t queue_max = 16384;        // transactions waiting for a writer; beyond: OVERLOADED
  // Not more: after most page splits SQLite 3.40 walks through all of its page cache at the commit.
  std::int64_t writer_cache_bytes = std::int64_t{16} << 20;
  std::int64_t mmap_bytes = std::int64_t{1} << 36;  // of each file, for readers
  bool durable = true;                              // synchronous=FULL; false only for tests and throw-away demos
  AnswerOptions answers = {};                       // store.idempotency.answers_max: declared by whoever composes

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
class SqliteStore : public MemberStore {
 public:
  // Makes the files when the directory has none. Errors say what to do: a newer schema, another number of files, a
  // read-only or full disk, a file that is not a database or is corrupted, a directory that another server uses.
  static Result<std::unique_ptr<SqliteStore>> Open(const std::string& directory, const SqliteOptions& options,
                                                   const SqliteDependencies& dependencies);
};

}  // namespace muster
