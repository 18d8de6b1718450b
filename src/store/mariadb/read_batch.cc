#include "store/mariadb/read_batch.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "store/columns.h"

namespace muster::mariadb {
namespace {

std::string RowsText(std::string_view columns, std::size_t count) {
  std::string text = std::string(columns) + " IN (";
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "(?, ?)" : ", (?, ?)";
  return text + ")";
}

template <typename Key, typename BindRow, typename TakeRow>
Result<void> ReadSome(Connection& connection, GroupReader::Statements& statements, std::string_view select,
                      std::string_view columns, std::span<const Key> keys, BindRow bind, TakeRow take) {
  constexpr auto& kStatementRows = GroupReader::kStatementRows;
  while (!keys.empty()) {
    const std::size_t wanted = std::min(keys.size(), kStatementRows.back());
    const std::size_t slot =
        static_cast<std::size_t>(std::ranges::lower_bound(kStatementRows, wanted) - kStatementRows.begin());
    Statement& statement = statements[slot];
    if (!statement.is_prepared()) {
      MUSTER_ASSIGN(statement, connection.Prepare(std::string(select) + RowsText(columns, kStatementRows[slot])));
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

}  // namespace

// The rows of the batch, until it begins anew: then those that are there now.
class ReadBatch::Search final : public HolderSource, public MemberSource {
 public:
  explicit Search(ReadBatch& batch) : batch_(batch) {}

  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    if (is_anew_ || !batch_.lookups_.contains(key)) batch_.LoadLookups({&key, 1});
    groups_.set(batch_.map_->GroupOf(ShardOf(key)));
    return batch_.lookups_.at(key);
  }
  Result<std::optional<Member>> ReadRow(MemberId id) override {
    if (is_anew_ || !batch_.members_.contains(id)) batch_.LoadMembers({&id, 1});
    groups_.set(batch_.map_->GroupOf(ShardOf(id)));
    const auto row = batch_.members_.find(id);
    if (!row->second) return row->second;
    // Taken and not copied: of the owner is kept what is made of it (`owners_`), and who else needs the row, as the
    // other end of a move, reads it anew.
    return batch_.members_.extract(row).mapped();
  }
  Result<Owner> ReadOwner(MemberId id) override {
    if (const auto known = batch_.owners_.find(id); !is_anew_ && known != batch_.owners_.end()) {
      groups_ |= known->second.groups;
      return known->second.owner;
    }
    MUSTER_ASSIGN(const SettledMember found, ReadSettled(id, *this));
    Owner owner{found.member ? MakeMemberDocument(*found.member) : MemberDocumentRef(), found.heir};
    // What was read before belongs to the search, not to the owner: it does no harm.
    batch_.owners_.insert_or_assign(id, KnownOwner{owner, groups_});
    return owner;
  }
  // Each statement has a snapshot of its own.
  bool SharesSnapshot(const IdentityKey& /*key*/, MemberId /*id*/) const override { return false; }
  bool SharesRows(MemberId /*one*/, MemberId /*other*/) const override { return false; }
  void BeginAnew() override { is_anew_ = true; }

  const Groups& groups() const { return groups_; }

 private:
  ReadBatch& batch_;
  Groups groups_;
  bool is_anew_ = false;
};

ReadBatch::ReadBatch(const std::vector<SessionSettings>& groups, const ReadTimes& times, ShardMapSource shards,
                     MemberCodec codec, const Clock& clock, ServerWatch& watch)
    : shards_(std::move(shards)), map_(shards_()), codec_(std::move(codec)) {
  for (const SessionSettings& settings : groups) {
    groups_.push_back(std::make_unique<GroupReader>(settings, times, clock, watch));
  }
}

ReadBatch::~ReadBatch() = default;

void ReadBatch::BeginAnew() {
  for (const auto& group : groups_) group->BeginAnew();
}

void ReadBatch::Begin(ReadFrom from, std::span<const MemberId> ids, std::span<const IdentityKey> keys) {
  // Before the groups' placements: what these say of the rows of now is confirmed against it when all is read.
  map_ = shards_();
  is_moved_ = false;
  lacks_.reset();
  for (const auto& group : groups_) group->BeginRound(from);
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

template <typename Key, typename Rows>
void ReadBatch::FailUnknown(std::span<const Key> keys, Rows& rows) const {
  for (const Key& key : keys) {
    const std::uint32_t group = map_->GroupOf(ShardOf(key));
    if (group >= groups_.size()) rows.insert_or_assign(key, GroupIsNew(group, Use::kRead));
  }
}

void ReadBatch::LoadLookups(std::span<const IdentityKey> keys) {
  rows_ += keys.size();
  FailUnknown(keys, lookups_);
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    std::vector<IdentityKey> here;
    for (const IdentityKey& key : keys) {
      if (map_->GroupOf(ShardOf(key)) == group) here.push_back(key);
    }
    if (here.empty()) continue;
    const Result<void> done = groups_[group]->Run([&](GroupReader::Server& server) {
      for (const IdentityKey& key : here) lookups_.insert_or_assign(key, std::optional<LookupRow>());
      return ReadSome(
          *server.connection, server.lookups,
          "SELECT identity_key, member_id, operation_id FROM identity FORCE INDEX(PRIMARY) WHERE ",
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
    if (done) {
      lacks_[group] =
          lacks_[group] || std::ranges::any_of(here, [&](const IdentityKey& key) { return !*lookups_.at(key); });
      continue;
    }
    for (const IdentityKey& key : here) lookups_.insert_or_assign(key, std::unexpected(done.error()));
  }
}

void ReadBatch::LoadMembers(std::span<const MemberId> ids) {
  rows_ += ids.size();
  FailUnknown(ids, members_);
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    std::vector<MemberId> here;
    for (const MemberId id : ids) {
      if (map_->GroupOf(ShardOf(id)) == group) here.push_back(id);
    }
    if (here.empty()) continue;
    const Result<void> done = groups_[group]->Run([&](GroupReader::Server& server) {
      for (const MemberId id : here) members_.insert_or_assign(id, std::optional<Member>());
      return ReadSome(
          *server.connection, server.members, "SELECT id, version, record FROM member FORCE INDEX(PRIMARY) WHERE ",
          "(shard, id)", std::span<const MemberId>(here),
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
    if (done) {
      const auto is_absent = [&](MemberId id) { return members_.at(id) && !*members_.at(id); };
      lacks_[group] = lacks_[group] || std::ranges::any_of(here, is_absent);
      continue;
    }
    for (const MemberId id : here) members_.insert_or_assign(id, std::unexpected(done.error()));
  }
}

Result<ReadBatch::Found> ReadBatch::ReadDocument(MemberId id) {
  Search search(*this);
  MUSTER_ASSIGN(HolderSource::Owner owner, search.ReadOwner(id));
  return Found{.document = std::move(owner.document), .groups = search.groups()};
}

Result<ReadBatch::Found> ReadBatch::FindHolderOf(const IdentityKey& key) {
  Search search(*this);
  MUSTER_ASSIGN(MemberDocumentRef document, FindHolder(key, search));
  return Found{.document = std::move(document), .groups = search.groups()};
}

void ReadBatch::ConfirmPrimaries() {
  for (const auto& group : groups_) group->ConfirmPrimary();
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (lacks_[group]) groups_[group]->ConfirmRows(map_->revision());
  }
  is_moved_ = *shards_() != *map_;
}

Serving ReadBatch::ServingOf(const Groups& groups) const {
  Serving serving;
  serving.is_doubtful = is_moved_;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (groups[group]) serving.Add(groups_[group]->serving());
  }
  return serving;
}

void ReadBatch::ExcludeThoseThatAnswered(const Groups& groups) {
  if (is_moved_) return;  // they are as good as others, if they are asked for what lives there
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (groups[group]) groups_[group]->ExcludeThoseThatAnswered();
  }
}

std::uint64_t ReadBatch::TakeRowCount() { return std::exchange(rows_, 0); }

}  // namespace muster::mariadb
