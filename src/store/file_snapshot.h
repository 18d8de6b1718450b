#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "domain/ports/shard_store.h"
#include "store/member_codec.h"
#include "store/sqlite_database.h"

namespace muster {

// A connection that reads one file, and its snapshot: begun by the first read after an End, and the same until the next
// End. Used by one thread at a time.
class FileSnapshot {
 public:
  static Result<std::unique_ptr<FileSnapshot>> Open(const std::string& path, std::int64_t mmap_bytes,
                                                    Database::Mode mode = Database::Mode::kRead);

  Result<std::optional<Member>> ReadMember(MemberId id, MemberCodec& codec);
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key);
  // Nothing when none is open. Whatever is read later sees every commit up to now.
  void End();

 private:
  explicit FileSnapshot(Database database) : database_(std::move(database)) {}
  Result<void> Prepare(std::int64_t mmap_bytes);
  Result<void> EnsureBegun();

  Database database_;
  Statement begin_, commit_, select_member_, select_lookup_;
};

}  // namespace muster
