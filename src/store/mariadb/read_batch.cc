#include "store/mariadb/read_batch.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "store/columns.h"

namespace muster::mariadb {
namespace {

// Rows that one statement asks for: the smallest of these that has room; what is left of it repeats the last row. More
// than the greatest takes several statements.
constexpr std::array<std::size_t, 4> kStatementRows = {1, 8, 64, 256};

std::string RowsText(std::string_view columns, std::size_t count) {
  std::string text = std::string(columns) + " IN (";
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "(?, ?)" : ", (?, ?)";
  return text + ")";
}

}  // namespace

struct ReadBatch::GroupReader {
  explicit GroupReader(SessionSettings group_settings) : settings(std::move(group_settings)) {}

  Result<void> Connect() {
    MUSTER_ASSIGN(connection, Connection::Open(settings.endpoint, settings.account, settings.database,
                                               settings.timeouts, Use::kRead));
    return {};
  }
  void Disconnect() {
    lookups = {};
    members = {};
    connection.reset();
  }

  // Runs `read`, again on a new connection when the one that there was has ended.
  template <typename Read>
  Result<void> Try(Read read) {
    const bool is_fresh = connection == nullptr;
    if (is_fresh) MUSTER_TRY(Connect());
    Result<void> done = read();
    if (done || !connection->is_lost()) return done;
    Disconnect();
    if (is_fresh) return done;
    MUSTER_TRY(Connect());
    done = read();
    if (!done && connection->is_lost()) Disconnect();
    return done;
  }

  template <typename Key, typename BindRow, typename TakeRow>
  Result<void> ReadSome(std::array<Statement, kStatementRows.size()>& statements, std::string_view select,
                        std::string_view columns, std::span<const Key> keys, BindRow bind, TakeRow take) {
    while (!keys.empty()) {
      const std::size_t wanted = std::min(keys.size(), kStatementRows.back());
      const std::size_t slot =
          static_cast<std::size_t>(std::ranges::lower_bound(kStatementRows, wanted) - kStatementRows.begin());
      Statement& statement = statements[slot];
      if (!statement.is_prepared()) {
        MUSTER_ASSIGN(statement, connection->Prepare(std::string(select) + RowsText(columns, kStatementRows[slot])));
      }
      for (std::size_t i = 0; i < kStatementRows[slot]; ++i) {
        bind(statement, static_cast<int>(i) * 2 + 1, keys[std::min(i, wanted - 1)]);
      }
      for (;;) {
        MUSTER_ASSIGN(const bool found, statement.Step());
        if (!found) break;
        take(statement);
      }
      keys = keys.subspan(wanted);
    }
    return {};
  }

  const SessionSettings settings;
  std::unique_ptr<Connection> connection;
  std::array<Statement, kStatementRows.size()> lookups;
  std::array<Statement, kStatementRows.size()> members;
};

// The rows of the batch, until it begins anew: then those that are there now.
class ReadBatch::Search final : public HolderSource, public MemberSource {
 public:
  explicit Search(ReadBatch& batch) : batch_(batch) {}

  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    if (is_anew_ || !batch_.lookups_.contains(key)) batch_.LoadLookups({&key, 1});
    return batch_.lookups_.at(key);
  }
  Result<std::optional<Member>> ReadRow(MemberId id) override {
    if (is_anew_ || !batch_.members_.contains(id)) batch_.LoadMembers({&id, 1});
    return batch_.members_.at(id);
  }
  Result<Owner> ReadOwner(MemberId id) override {
    if (const auto known = batch_.owners_.find(id); !is_anew_ && known != batch_.owners_.end()) return known->second;
    MUSTER_ASSIGN(const SettledMember found, ReadSettled(id, *this));
    Owner owner{found.member ? MakeMemberDocument(*found.member) : MemberDocumentRef(), found.heir};
    batch_.owners_.insert_or_assign(id, owner);
    return owner;
  }
  // Each statement has a snapshot of its own.
  bool SharesSnapshot(const IdentityKey& /*key*/, MemberId /*id*/) const override { return false; }
  bool SharesRows(MemberId /*one*/, MemberId /*other*/) const override { return false; }
  void BeginAnew() override { is_anew_ = true; }

 private:
  ReadBatch& batch_;
  bool is_anew_ = false;
};

ReadBatch::ReadBatch(std::vector<SessionSettings> groups, const ShardMap& shards, MemberCodec codec)
    : shards_(shards), codec_(std::move(codec)) {
  for (SessionSettings& settings : groups) groups_.push_back(std::make_unique<GroupReader>(std::move(settings)));
}

ReadBatch::~ReadBatch() = default;

ReadBatch::GroupReader& ReadBatch::GroupOf(ShardId shard) { return *groups_[shards_.GroupOf(shard)]; }

void ReadBatch::Begin(std::span<const MemberId> ids, std::span<const IdentityKey> keys) {
  lookups_.clear();
  members_.clear();
  owners_.clear();
  LoadLookups(keys);
  std::vector<MemberId> wanted(ids.begin(), ids.end());
  for (const auto& [key, row] : lookups_) {
    if (row && *row) wanted.push_back((*row)->member_id);
  }
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
  LoadMembers(wanted);
}

void ReadBatch::LoadLookups(std::span<const IdentityKey> keys) {
  rows_ += keys.size();
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    std::vector<IdentityKey> here;
    for (const IdentityKey& key : keys) {
      if (shards_.GroupOf(ShardOf(key)) == group) here.push_back(key);
    }
    if (here.empty()) continue;
    GroupReader& reader = *groups_[group];
    const Result<void> done = reader.Try([&] {
      for (const IdentityKey& key : here) lookups_.insert_or_assign(key, std::optional<LookupRow>());
      return reader.ReadSome(
          reader.lookups, "SELECT identity_key, member_id, operation_id FROM identity FORCE INDEX(PRIMARY) WHERE ",
          "(shard, identity_key)", std::span<const IdentityKey>(here),
          [](Statement& statement, int at, const IdentityKey& key) {
            statement.Bind(at, std::int64_t{ShardOf(key).value()}).Bind(at + 1, AsBytes(key));
          },
          [&](const Statement& row) {
            IdentityKey key;
            std::memcpy(key.bytes.data(), row.Blob(0).data(), std::min(row.Blob(0).size(), key.bytes.size()));
            lookups_.insert_or_assign(key,
                                      std::optional(LookupRow{MemberId(row.Integer(1)), OperationId(row.Integer(2))}));
          });
    });
    if (done) continue;
    for (const IdentityKey& key : here) lookups_.insert_or_assign(key, std::unexpected(done.error()));
  }
}

void ReadBatch::LoadMembers(std::span<const MemberId> ids) {
  rows_ += ids.size();
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    std::vector<MemberId> here;
    for (const MemberId id : ids) {
      if (shards_.GroupOf(ShardOf(id)) == group) here.push_back(id);
    }
    if (here.empty()) continue;
    GroupReader& reader = *groups_[group];
    const Result<void> done = reader.Try([&] {
      for (const MemberId id : here) members_.insert_or_assign(id, std::optional<Member>());
      return reader.ReadSome(
          reader.members, "SELECT id, version, record FROM member FORCE INDEX(PRIMARY) WHERE ", "(shard, id)",
          std::span<const MemberId>(here),
          [](Statement& statement, int at, MemberId id) {
            statement.Bind(at, std::int64_t{ShardOf(id).value()}).Bind(at + 1, id.value());
          },
          [&](const Statement& row) {
            const MemberId id(row.Integer(0));
            Result<Member> member = codec_.Decode(id, Version(row.Integer(1)), row.Blob(2));
            if (member) {
              members_.insert_or_assign(id, std::optional(*std::move(member)));
            } else {
              members_.insert_or_assign(id, std::unexpected(std::move(member).error()));
            }
          });
    });
    if (done) continue;
    for (const MemberId id : here) members_.insert_or_assign(id, std::unexpected(done.error()));
  }
}

Result<MemberDocumentRef> ReadBatch::ReadDocument(MemberId id) {
  Search search(*this);
  MUSTER_ASSIGN(const HolderSource::Owner owner, search.ReadOwner(id));
  return owner.document;
}

Result<MemberDocumentRef> ReadBatch::FindHolderOf(const IdentityKey& key) {
  Search search(*this);
  return FindHolder(key, search);
}

std::uint64_t ReadBatch::TakeRowCount() { return std::exchange(rows_, 0); }

}  // namespace muster::mariadb
