#include "store/record_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "store/columns.h"

namespace muster {
namespace {

// Numbers are eight bytes, big-endian.
void AppendNumber(std::string& out, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(number) >> shift));
  }
}

// Takes values from the front of a row; false when it is at its end.
class RowReader {
 public:
  explicit RowReader(std::string_view row) : rest_(row) {}

  bool Number(std::int64_t& number) {
    if (rest_.size() < sizeof number) return false;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof number; ++i) value = value << 8 | static_cast<std::uint8_t>(rest_[i]);
    number = static_cast<std::int64_t>(value);
    rest_.remove_prefix(sizeof number);
    return true;
  }
  bool Bytes(std::array<std::uint8_t, 16>& bytes) {
    if (rest_.size() < bytes.size()) return false;
    std::memcpy(bytes.data(), rest_.data(), bytes.size());
    rest_.remove_prefix(bytes.size());
    return true;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::unexpected<Error> Unreadable(std::string_view what) {
  return Fail(Reason::kInternal,
              "the record of " + std::string(what) + " cannot be read; run `muster doctor`, and restore a backup");
}

}  // namespace

AnswerOwner RecordTable::OwnerOfKey(std::string_view key) {
  RequestHash hash;
  std::memcpy(hash.bytes.data(), key.data(), std::min(key.size(), kAnswerOwnerBytes));
  return OwnerOf(hash);
}

Result<void> RecordTable::Prepare(Database& database) {
  MUSTER_ASSIGN(select_, database.Prepare("SELECT value FROM record WHERE kind = ?1 AND key = ?2"));
  MUSTER_ASSIGN(replace_, database.Prepare("INSERT INTO record(kind, key, time, value) VALUES(?1, ?2, ?3, ?4) "
                                           "ON CONFLICT(kind, key) DO UPDATE SET time = ?3, value = ?4"));
  MUSTER_ASSIGN(delete_, database.Prepare("DELETE FROM record WHERE kind = ?1 AND key = ?2"));
  MUSTER_ASSIGN(forget_, database.Prepare("DELETE FROM record WHERE kind = ?1 AND key IN (SELECT key FROM record "
                                          "WHERE kind = ?1 AND time < ?2 ORDER BY time LIMIT ?3) RETURNING key"));
  return {};
}

Result<std::optional<std::string>> RecordTable::Read(Kind kind, std::string_view key) {
  MUSTER_ASSIGN(const bool found, select_.Bind(1, static_cast<std::int64_t>(kind)).BindBlob(2, key).Step());
  if (!found) return std::optional<std::string>();
  std::string value(select_.Blob(0));
  select_.Reset();
  return std::optional(std::move(value));
}

Result<void> RecordTable::Write(Kind kind, std::string_view key, std::string_view value, Timestamp now) {
  return replace_.Bind(1, static_cast<std::int64_t>(kind))
      .BindBlob(2, key)
      .Bind(3, Micros(now))
      .BindBlob(4, value)
      .Run();
}

Result<std::optional<KeptAnswer>> RecordTable::ReadAnswer(const RequestHash& key, MemberCodec& codec) {
  MUSTER_ASSIGN(const std::optional<std::string> row, Read(Kind::kAnswer, AsBytes(key.bytes)));
  if (!row) return std::optional<KeptAnswer>();
  return DecodeAnswer(*row, codec);
}

std::string RecordTable::KeyOfMerge(MemberId target, MemberId source) {
  std::string key;
  AppendNumber(key, target.value());
  AppendNumber(key, source.value());
  return key;
}

std::string RecordTable::KeyOfMark(MemberId id) {
  std::string key;
  AppendNumber(key, id.value());
  return key;
}

// fingerprint, id and version of the member, its record
Result<std::string> RecordTable::EncodeAnswer(const KeptAnswer& answer, MemberCodec& codec) {
  std::string record;
  MUSTER_TRY(codec.Encode(answer.member, record));
  std::string value(AsBytes(answer.fingerprint.bytes));
  AppendNumber(value, answer.member.id.value());
  AppendNumber(value, answer.member.version.value());
  return value.append(record);
}

// key and origin of each
std::string RecordTable::EncodeMerge(const MergeRecord& record) {
  std::string value;
  for (const MergeRecord::Brought& brought : record.brought) {
    value.append(AsBytes(brought.key.bytes));
    AppendNumber(value, brought.origin.value());
  }
  return value;
}

std::string RecordTable::EncodeMark(OperationId operation) {
  std::string value;
  AppendNumber(value, operation.value());
  return value;
}

Result<KeptAnswer> RecordTable::DecodeAnswer(std::string_view value, MemberCodec& codec) {
  RowReader reader(value);
  KeptAnswer answer;
  std::int64_t id = 0;
  std::int64_t version = 0;
  if (!reader.Bytes(answer.fingerprint.bytes) || !reader.Number(id) || !reader.Number(version)) {
    return Unreadable("an answered request");
  }
  MUSTER_ASSIGN(answer.member, codec.Decode(MemberId(id), Version(version), reader.rest()));
  return answer;
}

std::string_view RecordTable::RecordOfAnswer(std::string_view value) {
  constexpr std::size_t kBefore = sizeof(RequestHash::bytes) + 2 * sizeof(std::int64_t);
  return value.substr(std::min(value.size(), kBefore));
}

Result<void> RecordTable::WriteAnswer(const RequestHash& key, const KeptAnswer& answer, Timestamp now,
                                      MemberCodec& codec) {
  MUSTER_ASSIGN(const std::string value, EncodeAnswer(answer, codec));
  return Write(Kind::kAnswer, AsBytes(key.bytes), value, now);
}

Result<std::vector<AnswerOwner>> RecordTable::ForgetAnswers(Timestamp before, std::int64_t limit) {
  std::vector<AnswerOwner> owners;
  forget_.Bind(1, static_cast<std::int64_t>(Kind::kAnswer)).Bind(2, Micros(before)).Bind(3, limit);
  for (;;) {
    MUSTER_ASSIGN(const bool found, forget_.Step());
    if (!found) return owners;
    owners.push_back(OwnerOfKey(forget_.Blob(0)));
  }
}

// Through the small index of times, which has the keys, and not through the table, whose rows are large. To have the
// database group them would sort them all.
Result<AnswerShares::Counts> RecordTable::CountAnswers(Database& database) {
  MUSTER_ASSIGN(Statement keys, database.Prepare("SELECT key FROM record INDEXED BY record_by_time WHERE kind = " +
                                                 std::to_string(static_cast<int>(Kind::kAnswer))));
  std::unordered_map<std::uint32_t, std::int64_t> counts;
  for (;;) {
    MUSTER_ASSIGN(const bool found, keys.Step());
    if (!found) break;
    ++counts[OwnerOfKey(keys.Blob(0)).value()];
  }
  AnswerShares::Counts by_owner;
  for (const auto& [owner, count] : counts) by_owner[AnswerOwner(owner)] = count;
  return by_owner;
}

Result<std::optional<MergeRecord>> RecordTable::ReadMerge(MemberId target, MemberId source) {
  MUSTER_ASSIGN(const std::optional<std::string> row, Read(Kind::kMerge, KeyOfMerge(target, source)));
  if (!row) return std::optional<MergeRecord>();
  return DecodeMerge(*row);
}

Result<MergeRecord> RecordTable::DecodeMerge(std::string_view value) {
  RowReader reader(value);
  MergeRecord merge;
  while (!reader.rest().empty()) {
    MergeRecord::Brought& brought = merge.brought.emplace_back();
    std::int64_t origin = 0;
    if (!reader.Bytes(brought.key.bytes) || !reader.Number(origin)) return Unreadable("a merge");
    brought.origin = OperationId(origin);
  }
  return merge;
}

Result<RecordTable::Pair> RecordTable::DecodePair(std::string_view key) {
  RowReader reader(key);
  std::int64_t target = 0;
  std::int64_t source = 0;
  if (!reader.Number(target) || !reader.Number(source) || !reader.rest().empty()) return Unreadable("a merge");
  return Pair{MemberId(target), MemberId(source)};
}

Result<RecordTable::Mark> RecordTable::DecodeMark(std::string_view key, std::string_view value) {
  RowReader id(key);
  RowReader operation(value);
  std::int64_t numbers[2];
  if (!id.Number(numbers[0]) || !operation.Number(numbers[1]) || !id.rest().empty() || !operation.rest().empty()) {
    return Unreadable("a move under way");
  }
  return Mark{MemberId(numbers[0]), OperationId(numbers[1])};
}

Result<void> RecordTable::WriteMerge(MemberId target, MemberId source, const std::optional<MergeRecord>& record,
                                     Timestamp now) {
  const std::string key = KeyOfMerge(target, source);
  if (!record) return delete_.Bind(1, static_cast<std::int64_t>(Kind::kMerge)).BindBlob(2, key).Run();
  return Write(Kind::kMerge, key, EncodeMerge(*record), now);
}

Result<void> RecordTable::NoteMarked(MemberId id, std::optional<OperationId> operation, Timestamp now) {
  const std::string key = KeyOfMark(id);
  if (!operation) return delete_.Bind(1, static_cast<std::int64_t>(Kind::kMarked)).BindBlob(2, key).Run();
  return Write(Kind::kMarked, key, EncodeMark(*operation), now);
}

Result<std::vector<MemberId>> RecordTable::ScanMarked(Statement& scan, MemberId after, std::size_t limit) {
  const std::string key = KeyOfMark(after);
  scan.BindBlob(1, key).Bind(2, static_cast<std::int64_t>(limit));
  std::vector<MemberId> ids;
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return ids;
    std::int64_t id = 0;
    if (!RowReader(scan.Blob(0)).Number(id)) return Unreadable("a move under way");
    ids.emplace_back(id);
  }
}

Result<std::optional<std::int64_t>> RecordTable::NewestMark(Database& database) {
  MUSTER_ASSIGN(Statement scan, database.Prepare("SELECT value FROM record WHERE kind = 3"));
  std::optional<std::int64_t> newest;
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return newest;
    std::int64_t operation = 0;
    if (!RowReader(scan.Blob(0)).Number(operation)) return Unreadable("a move under way");
    newest = std::max(newest.value_or(operation), operation);
  }
}

}  // namespace muster
