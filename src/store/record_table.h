#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "domain/ports/shard_store.h"
#include "store/member_codec.h"
#include "store/sqlite_database.h"

namespace muster {

// The table `record` of one file: answers that are kept for requests that are sent again, and merges that can be taken
// back. Used within the transaction of the file's writer; errors are the engine's, or INTERNAL for a row that is none.
class RecordTable {
 public:
  enum class Kind : std::uint8_t { kAnswer = 1, kMerge = 2 };

  Result<void> Prepare(Database& database);

  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, MemberCodec& codec);
  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer, Timestamp now, MemberCodec& codec);
  // Of the answers deletes up to `limit` of those that were kept before `before`; answers how many.
  Result<std::int64_t> ForgetAnswers(Timestamp before, std::int64_t limit, const Database& database);
  Result<std::int64_t> CountAnswers(Database& database);

  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source);
  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record, Timestamp now);

 private:
  Result<std::optional<std::string>> Read(Kind kind, std::string_view key);
  Result<void> Write(Kind kind, std::string_view key, std::string_view value, Timestamp now);

  Statement select_, replace_, delete_, forget_;
  std::string buffer_;
};

}  // namespace muster
