#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ports/shard_store.h"
#include "store/answer_shares.h"
#include "store/member_codec.h"
#include "store/sqlite_database.h"

namespace muster {

// The table `record` of one file: answers that are kept for requests that are sent again, merges that can be taken
// back, and which members bear a mark of a move. Used within the transaction of the file's writer; errors are the
// engine's, or INTERNAL for a row that is none.
class RecordTable {
 public:
  enum class Kind : std::uint8_t { kAnswer = 1, kMerge = 2, kMarked = 3 };

  Result<void> Prepare(Database& database);

  Result<std::optional<KeptAnswer>> ReadAnswer(const RequestHash& key, MemberCodec& codec);
  Result<void> WriteAnswer(const RequestHash& key, const KeptAnswer& answer, Timestamp now, MemberCodec& codec);
  // Of the answers deletes up to `limit` of those that were kept before `before`; answers whose they were.
  Result<std::vector<AnswerOwner>> ForgetAnswers(Timestamp before, std::int64_t limit);
  static Result<AnswerShares::Counts> CountAnswers(Database& database);
  // Whose answer has this key, or one that begins with it.
  static AnswerOwner OwnerOfKey(std::string_view key);

  Result<std::optional<MergeRecord>> ReadMerge(MemberId target, MemberId source);
  Result<void> WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record, Timestamp now);

  // The mark itself is in the member's row: this is how it is found.
  Result<void> NoteMarked(MemberId id, std::optional<OperationId> operation, Timestamp now);
  // Marked members above `after` in the order of their ids.
  static constexpr std::string_view kScanMarked =
      "SELECT key FROM record WHERE kind = 3 AND key > ?1 ORDER BY key LIMIT ?2";
  static Result<std::vector<MemberId>> ScanMarked(Statement& scan, MemberId after, std::size_t limit);
  // The newest operation of a mark, if there is one.
  Result<std::optional<std::int64_t>> NewestMark(Database& database);

  // The key of a row, and its value.
  static std::string KeyOfMerge(MemberId target, MemberId source);
  static std::string KeyOfMark(MemberId id);
  static Result<std::string> EncodeAnswer(const KeptAnswer& answer, MemberCodec& codec);
  static std::string EncodeMerge(const MergeRecord& record);
  static std::string EncodeMark(OperationId operation);
  // What a row's value, or the key of a merge, says.
  static Result<KeptAnswer> DecodeAnswer(std::string_view value, MemberCodec& codec);
  // The end of an answer's value: the member's record.
  static std::string_view RecordOfAnswer(std::string_view value);
  static Result<MergeRecord> DecodeMerge(std::string_view value);
  struct Pair {
    MemberId target, source;
  };
  static Result<Pair> DecodePair(std::string_view key);
  struct Mark {
    MemberId id;
    OperationId operation;
  };
  static Result<Mark> DecodeMark(std::string_view key, std::string_view value);

 private:
  Result<std::optional<std::string>> Read(Kind kind, std::string_view key);
  Result<void> Write(Kind kind, std::string_view key, std::string_view value, Timestamp now);

  Statement select_, replace_, delete_, forget_;
};

}  // namespace muster
