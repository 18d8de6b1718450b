#include "store/file_snapshot.h"

#include "base/check.h"

namespace muster {
namespace {

// Pages that are mapped need no cache; this is for those that still are in the write-ahead log.
constexpr std::int64_t kReaderCacheKib = 2048;

}  // namespace

Result<std::unique_ptr<FileSnapshot>> FileSnapshot::Open(const std::string& path, std::int64_t mmap_bytes,
                                                         Database::Mode mode) {
  MUSTER_ASSIGN(Database database, Database::Open(path, mode));
  std::unique_ptr<FileSnapshot> snapshot(new FileSnapshot(std::move(database)));
  MUSTER_TRY(snapshot->Prepare(mmap_bytes));
  return snapshot;
}

Result<void> FileSnapshot::Prepare(std::int64_t mmap_bytes) {
  MUSTER_TRY(database_.Execute("PRAGMA mmap_size = " + std::to_string(mmap_bytes) + "; PRAGMA cache_size = -" +
                               std::to_string(kReaderCacheKib)));
  MUSTER_ASSIGN(begin_, database_.Prepare("BEGIN"));
  MUSTER_ASSIGN(commit_, database_.Prepare("COMMIT"));
  MUSTER_ASSIGN(select_member_, database_.Prepare("SELECT version, record FROM member WHERE id = ?1"));
  MUSTER_ASSIGN(select_lookup_, database_.Prepare("SELECT member_id, operation_id FROM identity WHERE key = ?1"));
  return {};
}

Result<void> FileSnapshot::EnsureBegun() {
  if (database_.InTransaction()) return {};
  return begin_.Run();
}

Result<std::optional<Member>> FileSnapshot::ReadMember(MemberId id, MemberCodec& codec) {
  MUSTER_TRY(EnsureBegun());
  const Result<bool> found = select_member_.Bind(1, id.value()).Step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::optional<Member>();
  Result<Member> member = codec.Decode(id, Version(select_member_.Integer(0)), select_member_.Blob(1));
  select_member_.Reset();
  if (!member) return std::unexpected(std::move(member).error());
  return std::optional(*std::move(member));
}

Result<std::optional<LookupRow>> FileSnapshot::ReadLookup(const IdentityKey& key) {
  MUSTER_TRY(EnsureBegun());
  select_lookup_.BindBlob(1, {reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()});
  MUSTER_ASSIGN(const bool found, select_lookup_.Step());
  if (!found) return std::optional<LookupRow>();
  const LookupRow row{MemberId(select_lookup_.Integer(0)), OperationId(select_lookup_.Integer(1))};
  select_lookup_.Reset();
  return std::optional(row);
}

void FileSnapshot::End() {
  if (!database_.InTransaction()) return;
  const Result<void> ended = commit_.Run();
  MUSTER_CHECK(ended || !database_.InTransaction());
}

}  // namespace muster
