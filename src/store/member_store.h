#pragma once

#include <cstdint>
#include <memory>

#include "base/event_loop.h"
#include "base/result.h"
#include "domain/ports/change_feed.h"
#include "domain/ports/import_ranges.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/member_reader.h"
#include "domain/ports/shard_store.h"
#include "domain/ports/shard_upkeep.h"

namespace muster {

// All members, whatever keeps them: SQLite files (sqlite_store.h) or MariaDB groups (mariadb/mariadb_store.h). Its
// parts are the ports, and live as long as it does.
class MemberStore {
 public:
  virtual ~MemberStore() = default;

  virtual ShardStore& shards() = 0;
  virtual ShardUpkeep& shard_upkeep() = 0;
  virtual MemberArchive& archive() = 0;
  virtual ImportRanges& import_ranges() = 0;
  virtual ChangeFeed& change_feed() = 0;
  virtual ChangeKeeper& change_keeper() = 0;
  // The leaf of a route tree: reads of a turn are done together. Source: primary.
  virtual Result<std::unique_ptr<MemberReader>> MakeReader(EventLoop& loop) = 0;

  // The error of the last commit if the engine was the cause (disk full, I/O error, a server that does not answer) and
  // none has succeeded since: /readyz. Unless there was a commit within the last second it also tries, in the
  // background, whether writing works: whoever keeps asking finds out without writing.
  virtual Result<void> Health() const = 0;
  virtual std::int64_t CountMembers() const = 0;  // an estimate that is cheap

  // No number that an IdAllocator gave out is above it, of what the data knew when it was opened.
  virtual std::int64_t newest_number() const = 0;
  // With which an IdAllocator of this process makes numbers that no other process of the installation makes.
  virtual std::uint8_t node() const = 0;

  // Finishes what is queued, ends the threads, closes. No call may follow.
  virtual void Close() = 0;
};

}  // namespace muster
