#include "store/sqlite_archive.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "store/record_table.h"
#include "store/schema.h"
#include "store/settled_member.h"

namespace muster {
namespace {

std::int64_t AsLimit(std::size_t limit) { return static_cast<std::int64_t>(std::min(limit, std::size_t{INT64_MAX})); }

// Ends the statements of a call however it is left: a row that waits to be read holds a snapshot, and with it the log.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ResetAtEnd(const ResetAtEnd&) = delete;
  ~ResetAtEnd() { statement_.Reset(); }

 private:
  Statement& statement_;
};

// One file's members in the order of their ids.
class MemberCursor {
 public:
  MemberCursor(Statement& scan, MemberId after, std::size_t limit) : scan_(scan), reset_(scan) {
    scan_.Bind(1, after.value()).Bind(2, AsLimit(limit));
  }

  Result<void> Advance() {
    MUSTER_ASSIGN(const bool found, scan_.Step());
    id_ = found ? std::optional(MemberId(scan_.Integer(0))) : std::nullopt;
    return {};
  }
  const std::optional<MemberId>& id() const { return id_; }
  Result<Member> Read(MemberCodec& codec) const { return codec.Decode(*id_, Version(scan_.Integer(1)), scan_.Blob(2)); }

 private:
  Statement& scan_;
  ResetAtEnd reset_;
  std::optional<MemberId> id_;
};

}  // namespace

Result<std::unique_ptr<SqliteArchive>> SqliteArchive::Open(const std::vector<std::string>& paths,
                                                           const Keyring& keyring, Random& random) {
  std::unique_ptr<SqliteArchive> archive(new SqliteArchive(MemberCodec(keyring, random)));
  for (const std::string& path : paths) {
    MUSTER_ASSIGN(Database database, Database::Open(path, Database::Mode::kRead));
    auto file = std::make_unique<File>(std::move(database));
    MUSTER_ASSIGN(file->select_history,
                  file->database.Prepare("SELECT version, type, time, detail FROM history "
                                         "WHERE member_id = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3"));
    MUSTER_ASSIGN(file->scan_members,
                  file->database.Prepare("SELECT id, version, record FROM member WHERE id > ?1 ORDER BY id LIMIT ?2"));
    MUSTER_ASSIGN(file->select_member, file->database.Prepare("SELECT version, record FROM member WHERE id = ?1"));
    MUSTER_ASSIGN(file->scan_lookups, file->database.Prepare("SELECT key, member_id, operation_id FROM identity "
                                                             "WHERE key > ?1 ORDER BY key LIMIT ?2"));
    MUSTER_ASSIGN(file->scan_marked, file->database.Prepare(RecordTable::kScanMarked));
    MUSTER_ASSIGN(file->select_range, file->database.Prepare("SELECT lines FROM import_range WHERE first = ?1"));
    archive->files_.push_back(std::move(file));
  }
  return archive;
}

Result<std::vector<Change>> SqliteArchive::ListHistory(MemberId id, Version before, std::size_t limit) {
  std::lock_guard lock(mutex_);
  Statement& select = files_[FileOfShard(ShardOf(id), files_.size())]->select_history;
  const ResetAtEnd reset(select);
  select.Bind(1, id.value()).Bind(2, before.value()).Bind(3, AsLimit(limit));
  std::vector<Change> changes;
  for (;;) {
    MUSTER_ASSIGN(const bool found, select.Step());
    if (!found) return changes;
    Change& change = changes.emplace_back();
    change.member_id = id;
    change.version = Version(select.Integer(0));
    MUSTER_ASSIGN(change.type, DecodeChangeType(id, select.Integer(1)));
    change.time = Timestamp(Duration(select.Integer(2)));
    MUSTER_TRY(codec_.DecodeDetail(select.Blob(3), change));
  }
}

Result<std::vector<Member>> SqliteArchive::ScanMembers(MemberId after, std::size_t limit) {
  std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<MemberCursor>> cursors;
  for (const auto& file : files_) {
    cursors.push_back(std::make_unique<MemberCursor>(file->scan_members, after, limit));
    MUSTER_TRY(cursors.back()->Advance());
  }
  std::vector<Member> members;
  while (members.size() < limit) {
    MemberCursor* lowest = nullptr;
    for (const auto& cursor : cursors) {
      if (cursor->id() && (!lowest || *cursor->id() < *lowest->id())) lowest = cursor.get();
    }
    if (!lowest) break;
    MUSTER_ASSIGN(Member member, lowest->Read(codec_));
    members.push_back(std::move(member));
    MUSTER_TRY(lowest->Advance());
  }
  cursors.clear();  // and with them what keeps the connections at their snapshots
  for (Member& member : members) {
    MUSTER_ASSIGN(member, Settle(std::move(member)));
  }
  return members;
}

Result<std::vector<Member>> SqliteArchive::ReadMembers(std::span<const MemberId> ids) {
  std::lock_guard lock(mutex_);
  std::vector<Member> members;
  members.reserve(ids.size());
  for (const MemberId id : ids) {
    Statement& select = files_[FileOfShard(ShardOf(id), files_.size())]->select_member;
    const ResetAtEnd reset(select);
    MUSTER_ASSIGN(const bool found, select.Bind(1, id.value()).Step());
    if (!found) continue;
    MUSTER_ASSIGN(Member member, codec_.Decode(id, Version(select.Integer(0)), select.Blob(1)));
    select.Reset();
    MUSTER_ASSIGN(members.emplace_back(), Settle(std::move(member)));
  }
  return members;
}

class SqliteArchive::RowSource final : public MemberSource {
 public:
  explicit RowSource(SqliteArchive& archive) : archive_(archive) {}

  Result<std::optional<Member>> ReadRow(MemberId id) override {
    Statement& select = archive_.files_[FileOf(id)]->select_member;
    const ResetAtEnd reset(select);
    MUSTER_ASSIGN(const bool found, select.Bind(1, id.value()).Step());
    if (!found) return std::optional<Member>();
    MUSTER_ASSIGN(Member member, archive_.codec_.Decode(id, Version(select.Integer(0)), select.Blob(1)));
    return std::optional(std::move(member));
  }
  bool SharesRows(MemberId /*one*/, MemberId /*other*/) const override { return false; }
  void BeginAnew() override {}  // each read is a snapshot of its own

 private:
  std::size_t FileOf(MemberId id) const { return FileOfShard(ShardOf(id), archive_.files_.size()); }

  SqliteArchive& archive_;
};

// One that gives is read again, with the other end: rare enough.
Result<Member> SqliteArchive::Settle(Member member) {
  if (!member.move || member.move->role != MoveMark::Role::kGives) return member;
  RowSource rows(*this);
  MUSTER_ASSIGN(SettledMember settled, ReadSettled(member.id, rows));
  return settled.member ? *std::move(settled.member) : std::move(member);
}

Result<std::vector<MemberId>> SqliteArchive::ScanMarked(std::uint32_t file, MemberId after, std::size_t limit) {
  std::lock_guard lock(mutex_);
  Statement& scan = files_[file]->scan_marked;
  const ResetAtEnd reset(scan);
  return RecordTable::ScanMarked(scan, after, std::min(limit, std::size_t{INT64_MAX}));
}

Result<std::uint64_t> SqliteArchive::CountRangeLines(std::int64_t first) {
  std::lock_guard lock(mutex_);
  Statement& select = files_.front()->select_range;
  const ResetAtEnd reset(select);
  MUSTER_ASSIGN(const bool found, select.Bind(1, first).Step());
  return found ? static_cast<std::uint64_t>(select.Integer(0)) : 0;
}

Result<std::vector<ShardUpkeep::LookupEntry>> SqliteArchive::ScanLookups(std::uint32_t file, const IdentityKey& after,
                                                                         std::size_t limit) {
  std::lock_guard lock(mutex_);
  Statement& scan = files_[file]->scan_lookups;
  const ResetAtEnd reset(scan);
  scan.BindBlob(1, {reinterpret_cast<const char*>(after.bytes.data()), after.bytes.size()}).Bind(2, AsLimit(limit));
  std::vector<ShardUpkeep::LookupEntry> entries;
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return entries;
    const std::string_view key = scan.Blob(0);
    ShardUpkeep::LookupEntry entry{.key = {}, .row = {MemberId(scan.Integer(1)), OperationId(scan.Integer(2))}};
    if (key.size() != entry.key.bytes.size()) {
      return Fail(Reason::kInternal,
                  files_[file]->database.path() + ": a lookup row has a key that is not 16 bytes; run `muster doctor`");
    }
    std::memcpy(entry.key.bytes.data(), key.data(), key.size());
    entries.push_back(entry);
  }
}

}  // namespace muster
