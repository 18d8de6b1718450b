#include "store/doctor.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/encoding.h"
#include "store/change_retention.h"
#include "store/data_directory.h"
#include "store/doctor_history.h"
#include "store/doctor_moves.h"
#include "store/doctor_numbers.h"
#include "store/doctor_records.h"
#include "store/doctor_report.h"
#include "store/file_snapshot.h"
#include "store/member_codec.h"
#include "store/schema.h"
#include "store/settled_member.h"
#include "store/sqlite_database.h"

namespace muster {
namespace {

constexpr std::int64_t kMmapBytes = std::int64_t{1} << 36;
// SQLite's own check stops after so many complaints about one file.
constexpr int kEngineComplaintsMax = 20;

// Sealing never happens here; opening needs no randomness.
class NoRandom final : public Random {
 public:
  void Fill(std::span<std::uint8_t>) override { MUSTER_UNREACHABLE("the doctor seals nothing"); }
};

std::string Subject(MemberId id) { return DoctorReport::Subject(id); }
std::string Subject(const IdentityKey& key) { return "identity " + ToHex(key.bytes); }

// How a file can be opened for reading. SQLite makes a file beside one that has a write-ahead log; in a directory where
// it cannot, it needs one that is there. Where there is no log, or an empty one, none is needed: the lock has been
// asked for, so that nobody is writing one.
Result<Database::Mode> ReadingMode(const std::string& directory, const std::string& path) {
  if (IsWritable(directory)) return Database::Mode::kRead;
  std::error_code error;
  const std::uintmax_t log_bytes = std::filesystem::file_size(path + "-wal", error);
  if (error == std::errc::no_such_file_or_directory || (!error && log_bytes == 0)) {
    return Database::Mode::kReadImmutable;
  }
  if (!error && std::filesystem::exists(path + "-shm", error)) return Database::Mode::kRead;
  return Fail(Reason::kInternal, directory + " cannot be written, and reading the write-ahead log " + path +
                                     "-wal takes a file beside it: copy the directory with all of its files to where "
                                     "this user can write, and examine the copy");
}

// Walks every table once in the order in which it lies. What it holds in memory does not grow with the data: each
// listed identity is compared with its lookup row by a point read, and if as many match as there are lookup rows, no
// lookup row can be without its owner (keys are unique); only else the lookup rows are walked too.
class Examiner : private MemberSource {
 public:
  Examiner(std::string directory, const Keyring& keyring, DoctorReport& report)
      : directory_(std::move(directory)),
        report_(report),
        codec_(keyring, random_),
        hash_(keyring.hash_key()),
        moves_(*this, report) {}

  // Refuses what cannot be examined: no data, in use, another version.
  Result<void> OpenFiles(const Keyring& keyring);
  void Examine();

 private:
  struct File {
    File(std::string file_path, Database opened) : path(std::move(file_path)), database(std::move(opened)) {}
    std::string path;
    Database database;                     // scans
    std::unique_ptr<FileSnapshot> points;  // point reads
  };
  std::size_t FileOf(ShardId shard) const { return FileOfShard(shard, files_.size()); }
  // Nobody writes: all is of one moment.
  Result<std::optional<Member>> ReadRow(MemberId id) override {
    return files_[FileOf(ShardOf(id))]->points->ReadMember(id, codec_);
  }
  bool SharesRows(MemberId /*one*/, MemberId /*other*/) const override { return true; }
  void BeginAnew() override {}
  Result<void> CountRows(File& file);
  Result<void> CheckEngine(File& file);
  Result<void> CheckMembers(std::size_t index);
  Result<void> CheckMember(std::size_t index, MemberId id, Version version, std::string_view record);
  Result<void> CheckIdentity(const Member& member, const Identity& identity);
  Result<void> CheckHistory(File& file);
  void CheckHistoryOf(std::int64_t version, const HistorySummary& history);
  Result<void> CheckChanges(File& file);
  Result<void> CheckLookups(std::size_t index);
  // A file that cannot be read on is a finding, and the others are still examined.
  void Check(File& file, const Result<void>& result) {
    if (!result) report_.Add("FILE_DAMAGED", file.path, result.error().message);
  }

  const std::string directory_;
  DoctorReport& report_;
  NoRandom random_;
  MemberCodec codec_;
  KeyedHash hash_;
  MoveExamination moves_;
  std::optional<DirectoryLock> lock_;
  std::vector<std::unique_ptr<File>> files_;
  bool has_all_tables_ = true;
  std::uint64_t matched_lookups_ = 0;
};

Result<void> Examiner::OpenFiles(const Keyring& keyring) {
  MUSTER_ASSIGN(const std::int64_t count, CountDataFiles(directory_));
  if (count == 0) {
    return Fail(Reason::kInternal,
                directory_ + " holds no muster data: give the directory that `muster serve --data` uses");
  }
  MUSTER_ASSIGN(DirectoryLock lock, DirectoryLock::AcquireForReading(directory_));
  lock_.emplace(std::move(lock));
  const std::int64_t newest = AllMigrations().back().version;
  std::string installation_id;
  for (std::int64_t index = 0; index < count; ++index) {
    const std::string path = DataFilePath(directory_, index);
    MUSTER_ASSIGN(const Database::Mode mode, ReadingMode(directory_, path));
    MUSTER_ASSIGN(Database database, Database::Open(path, mode));
    MUSTER_ASSIGN(const FileIdentity identity, ReadFileIdentity(database));
    MUSTER_ASSIGN(const std::int64_t version, ReadSchemaVersion(database));
    if (version != newest) {
      return Fail(Reason::kInternal, path + " has schema version " + std::to_string(version) +
                                         ", and this muster examines version " + std::to_string(newest) +
                                         (version > newest ? ": use the newer muster that wrote it"
                                                           : ": start the server once, which brings it forward"));
    }
    if (index == 0 && identity.count > count) {
      return Fail(Reason::kInternal,
                  DataFilePath(directory_, count) + " is missing: restore all files from one backup");
    }
    MUSTER_TRY(CheckFileIdentity(database, index, count, installation_id));
    if (const Result<void> checked = CheckKeyring(database, keyring); !checked) {
      report_.Add("KEYRING_DIFFERS", path, checked.error().message);
    }
    auto file = std::make_unique<File>(path, std::move(database));
    MUSTER_TRY(file->database.Execute("PRAGMA mmap_size = " + std::to_string(kMmapBytes)));
    MUSTER_ASSIGN(const std::vector<std::string> missing, MissingTables(file->database, AllMigrations()));
    for (const std::string& table : missing) {
      report_.Add("TABLE_MISSING", path,
                  "its table " + table + " or a column of it is missing; restore all files from one backup");
    }
    has_all_tables_ &= missing.empty();
    if (has_all_tables_) {
      MUSTER_ASSIGN(file->points, FileSnapshot::Open(path, kMmapBytes, mode));
    }
    files_.push_back(std::move(file));
  }
  return {};
}

void Examiner::Examine() {
  if (!has_all_tables_) {
    for (const auto& file : files_) Check(*file, CheckEngine(*file));
    return;
  }
  for (const auto& file : files_) Check(*file, CountRows(*file));
  const Examination& counts = report_.examination();
  report_.SetTotal(counts.members + counts.changes);
  for (std::size_t index = 0; index < files_.size(); ++index) {
    File& file = *files_[index];
    Check(file, CheckEngine(file));
    Check(file, CheckMembers(index));
    Check(file, CheckHistory(file));
    Check(file, CheckChanges(file));
    Check(file, CheckNumbers(file.database, file.path, report_));
    Check(file, CheckRecords(file.database, file.path, *this, codec_, report_));
  }
  if (matched_lookups_ != counts.lookups) {
    for (std::size_t index = 0; index < files_.size(); ++index) Check(*files_[index], CheckLookups(index));
  }
}

Result<void> Examiner::CountRows(File& file) {
  Examination& counts = report_.examination();
  MUSTER_ASSIGN(const std::int64_t members, file.database.ReadInteger("SELECT count(*) FROM member"));
  MUSTER_ASSIGN(const std::int64_t lookups, file.database.ReadInteger("SELECT count(*) FROM identity"));
  MUSTER_ASSIGN(const std::int64_t changes, file.database.ReadInteger("SELECT count(*) FROM change"));
  MUSTER_ASSIGN(const std::int64_t history, file.database.ReadInteger("SELECT count(*) FROM history"));
  counts.members += static_cast<std::uint64_t>(members);
  counts.lookups += static_cast<std::uint64_t>(lookups);
  counts.changes += static_cast<std::uint64_t>(changes);
  counts.history += static_cast<std::uint64_t>(history);
  MUSTER_ASSIGN(const ForgottenChanges forgotten, ReadForgottenChanges(file.database));
  if (changes + forgotten.count != history) {
    report_.Add("CHANGE_COUNT_DIFFERS", file.path,
                std::to_string(changes) + " changes, " + std::to_string(forgotten.count) + " forgotten ones and " +
                    std::to_string(history) + " rows of history, which come in pairs; restore a backup");
  }
  MUSTER_ASSIGN(
      const std::int64_t counted,
      file.database.ReadInteger("SELECT coalesce((SELECT members FROM change ORDER BY position DESC LIMIT 1), 0)"));
  if (counted != members) {
    report_.Add("MEMBER_COUNT_DIFFERS", file.path,
                "its last change counted " + std::to_string(counted) + " members and there are " +
                    std::to_string(members) + "; only the figure that is shown is wrong");
  }
  return {};
}

Result<void> Examiner::CheckEngine(File& file) {
  MUSTER_ASSIGN(Statement check,
                file.database.Prepare("PRAGMA integrity_check(" + std::to_string(kEngineComplaintsMax) + ")"));
  for (;;) {
    MUSTER_ASSIGN(const bool found, check.Step());
    if (!found) return {};
    const std::string complaint = check.Text(0);
    if (complaint != "ok") report_.Add("FILE_DAMAGED", file.path, complaint + "; restore all files from one backup");
  }
}

Result<void> Examiner::CheckMembers(std::size_t index) {
  MUSTER_ASSIGN(Statement scan, files_[index]->database.Prepare("SELECT id, version, record FROM member ORDER BY id"));
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return moves_.CheckIndex(files_[index]->database);
    MUSTER_TRY(CheckMember(index, MemberId(scan.Integer(0)), Version(scan.Integer(1)), scan.Blob(2)));
    report_.Step();
  }
}

Result<void> Examiner::CheckMember(std::size_t index, MemberId id, Version version, std::string_view record) {
  if (FileOf(ShardOf(id)) != index) {
    report_.Add("MEMBER_MISPLACED", Subject(id),
                "it lies in " + files_[index]->path + ", where nobody looks for it; restore a backup");
  }
  Result<Member> member = codec_.Decode(id, version, record);
  if (!member) {
    report_.Add("RECORD_UNREADABLE", Subject(id), member.error().message);
    return {};
  }
  if (const std::uint32_t seal_key = codec_.LastSealKeyId(); seal_key != 0) report_.CountSealKey(seal_key);
  MUSTER_ASSIGN(member, moves_.Examine(*std::move(member)));
  report_.examination().identities += member->identities.size();
  if (member->state == MemberState::kClosed && !member->identities.empty()) {
    report_.Add("MEMBER_CLOSED_HOLDS", Subject(id), "it is closed and still lists identities; unbind them");
  }
  for (auto identity = member->identities.begin(); identity != member->identities.end(); ++identity) {
    const bool repeated = std::any_of(member->identities.begin(), identity,
                                      [&](const Identity& other) { return other.key == identity->key; });
    if (repeated) {
      report_.Add("IDENTITY_LISTED_TWICE", Subject(id),
                  Subject(identity->key) + " is listed twice; unbind and bind it");
    } else {
      MUSTER_TRY(CheckIdentity(*member, *identity));
    }
  }
  return {};
}

Result<void> Examiner::CheckIdentity(const Member& member, const Identity& identity) {
  if (hash_.KeyOf(identity.kind, identity.platform, identity.value.Reveal()) != identity.key) {
    report_.Add(
        "IDENTITY_KEY_WRONG", Subject(identity.key),
        "listed by " + Subject(member.id) + ", is not the key of its value, which cannot be found; unbind and bind it");
  }
  FileSnapshot& home = *files_[FileOf(ShardOf(identity.key))]->points;
  MUSTER_ASSIGN(const std::optional<LookupRow> row, home.ReadLookup(identity.key));
  if (!row) {
    report_.Add("LOOKUP_MISSING", Subject(identity.key),
                Subject(member.id) + " lists it, and no lookup row leads there; unbind and bind it");
    return {};
  }
  if (row->member_id == member.id) {
    ++matched_lookups_;
    if (row->operation_id != identity.bound_by) {
      report_.Add("LOOKUP_OPERATION_DIFFERS", Subject(identity.key),
                  "its lookup row names another operation than " + Subject(member.id) +
                      " does; unbinding leaves a dangling row, which the sweeper frees");
    }
    return {};
  }
  const Result<std::optional<Member>> owner = ReadRow(row->member_id);
  if (owner && *owner && MoveExamination::IsPassingOn(**owner, member, identity.key)) {
    ++matched_lookups_;
  } else if (owner && *owner && FindIdentity(**owner, identity.key)) {
    report_.Add(
        "IDENTITY_HELD_TWICE", Subject(identity.key),
        "held by " + Subject(member.id) + " and by " + Subject(row->member_id) + "; unbind it from one of them");
  } else {
    report_.Add("LOOKUP_ELSEWHERE", Subject(identity.key),
                Subject(member.id) + " lists it, and its lookup row leads to " + Subject(row->member_id) +
                    ", which does not; unbind and bind it");
  }
  return {};
}

Result<void> Examiner::CheckHistory(File& file) {
  MUSTER_ASSIGN(Statement members, file.database.Prepare("SELECT id, version FROM member ORDER BY id"));
  MUSTER_ASSIGN(HistoryWalk histories, HistoryWalk::Begin(file.database, codec_, report_));
  std::optional<HistorySummary> history;
  const auto skip_orphans = [&](std::optional<MemberId> until) -> Result<void> {
    while (history && (!until || history->id < *until)) {
      report_.Add("HISTORY_ORPHAN", Subject(history->id), "it has a history and no row of its own; restore a backup");
      MUSTER_ASSIGN(history, histories.Next());
    }
    return {};
  };
  MUSTER_ASSIGN(history, histories.Next());
  for (;;) {
    MUSTER_ASSIGN(const bool found, members.Step());
    if (!found) return skip_orphans(std::nullopt);
    const MemberId id(members.Integer(0));
    MUSTER_TRY(skip_orphans(id));
    if (!history || history->id != id) {
      report_.Add("HISTORY_MISSING", Subject(id), "it has no history; restore a backup");
      continue;
    }
    CheckHistoryOf(members.Integer(1), *history);
    MUSTER_ASSIGN(history, histories.Next());
  }
}

void Examiner::CheckHistoryOf(std::int64_t version, const HistorySummary& history) {
  const std::string subject = Subject(history.id);
  if (history.last != version) {
    report_.Add("HISTORY_VERSION_DIFFERS", subject,
                "it has version " + std::to_string(version) + " and its history ends with " +
                    std::to_string(history.last) + "; restore a backup");
  } else if (history.last - history.first + 1 != history.count) {
    report_.Add("HISTORY_GAP", subject, "its history lacks a version; restore a backup");
  } else if (!history.has_beginning) {
    report_.Add("HISTORY_GAP", subject,
                "its history begins with version " + std::to_string(history.first) +
                    ", which is neither its registration nor its import; restore a backup");
  }
}

Result<void> Examiner::CheckChanges(File& file) {
  MUSTER_ASSIGN(Statement scan,
                file.database.Prepare("SELECT c.position, c.member_id, c.version, h.version IS NOT NULL FROM change c "
                                      "LEFT JOIN history h ON h.member_id = c.member_id AND h.version = c.version "
                                      "AND h.type = c.type AND h.time = c.time ORDER BY c.position"));
  MUSTER_ASSIGN(const ForgottenChanges forgotten, ReadForgottenChanges(file.database));
  std::int64_t previous = forgotten.to;
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return {};
    const std::int64_t position = scan.Integer(0);
    // Several files share the positions, and a group that was rolled back left a gap.
    if (files_.size() == 1 && position != previous + 1) {
      report_.Add("CHANGE_GAP", file.path,
                  "positions " + std::to_string(previous + 1) + " to " + std::to_string(position - 1) +
                      " of the change stream are missing; restore a backup");
    }
    previous = position;
    if (scan.Integer(3) == 0) {
      report_.Add("CHANGE_ORPHAN", Subject(MemberId(scan.Integer(1))),
                  "change " + std::to_string(position) + " to version " + std::to_string(scan.Integer(2)) +
                      " is not in its history; restore a backup");
    }
    report_.Step();
  }
}

Result<void> Examiner::CheckLookups(std::size_t index) {
  File& file = *files_[index];
  MUSTER_ASSIGN(Statement scan, file.database.Prepare("SELECT key, member_id FROM identity ORDER BY key"));
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return {};
    const std::string_view bytes = scan.Blob(0);
    IdentityKey key;
    if (bytes.size() != key.bytes.size()) {
      report_.Add("LOOKUP_UNREADABLE", file.path, "a lookup row has a key that is not 16 bytes; restore a backup");
      continue;
    }
    std::ranges::copy(bytes, key.bytes.begin());
    const MemberId owner_id(scan.Integer(1));
    if (FileOf(ShardOf(key)) != index) {
      report_.Add("LOOKUP_MISPLACED", Subject(key),
                  "it lies in " + file.path + ", where nobody looks for it; restore a backup");
      continue;
    }
    const Result<std::optional<Member>> owner = ReadRow(owner_id);
    if (!owner) continue;  // found as RECORD_UNREADABLE
    if (!*owner || !FindIdentity(**owner, key)) {
      report_.Add("LOOKUP_DANGLING", Subject(key),
                  Subject(owner_id) + " does not list it; the sweeper or the next bind frees it");
    }
  }
}

}  // namespace

Result<Examination> ExamineStore(const std::string& directory, const Keyring& keyring,
                                 const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  DoctorReport report(progress);
  Examiner examiner(directory, keyring, report);
  MUSTER_TRY(examiner.OpenFiles(keyring));
  examiner.Examine();
  return std::move(report).Finish();
}

}  // namespace muster
