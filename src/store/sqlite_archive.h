#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/shard_upkeep.h"
#include "store/member_codec.h"
#include "store/sqlite_database.h"

namespace muster {

// Reads of many rows, with a connection a file of their own. One call runs at a time; each is bounded by its limit.
class SqliteArchive final : public MemberArchive {
 public:
  static Result<std::unique_ptr<SqliteArchive>> Open(const std::vector<std::string>& paths, const Keyring& keyring,
                                                     Random& random);

  Result<std::vector<Change>> ListHistory(MemberId id, Version before, std::size_t limit) override;
  Result<std::vector<Member>> ScanMembers(MemberId after, std::size_t limit) override;
  Result<std::vector<Member>> ReadMembers(std::span<const MemberId> ids) override;
  // How many lines the range that begins with `first` has; 0 when there is none.
  Result<std::uint64_t> CountRangeLines(std::int64_t first);
  // Marked members of one file, as ShardUpkeep::ScanMarked.
  Result<std::vector<MemberId>> ScanMarked(std::uint32_t file, MemberId after, std::size_t limit);
  // Lookup rows of one file with a key above `after`, in key order.
  Result<std::vector<ShardUpkeep::LookupEntry>> ScanLookups(std::uint32_t file, const IdentityKey& after,
                                                            std::size_t limit);

 private:
  struct File {
    explicit File(Database opened) : database(std::move(opened)) {}
    Database database;
    Statement select_history, scan_members, select_member, scan_lookups, scan_marked, select_range;
  };

  // Rows as they are now, whatever else the call reads.
  class RowSource;
  Result<Member> Settle(Member member);

  explicit SqliteArchive(MemberCodec codec) : codec_(std::move(codec)) {}

  std::mutex mutex_;
  MemberCodec codec_;
  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace muster
