#include "store/mariadb/archive.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "store/columns.h"
#include "store/record_table.h"
#include "store/settled_member.h"

namespace muster::mariadb {
namespace {

// A walk over lookup rows asks for this many of the 65,536 values of a key's first two bytes at once, doubling as long
// as it finds too little.
constexpr std::uint32_t kPrefixesFirst = 16;
constexpr std::uint32_t kPrefixesMost = 1024;
constexpr std::uint32_t kPrefixCount = 65536;

// How often a call is done again because shards have moved: a move of some is seconds.
constexpr int kMapTriesMax = 4;

std::string LimitText(std::size_t limit) { return " LIMIT " + std::to_string(std::min<std::size_t>(limit, 1U << 30)); }

std::string HexLiteral(std::string_view bytes) {
  return "x'" + ToHex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}) + "'";
}

std::uint32_t PrefixOf(const IdentityKey& key) { return static_cast<std::uint32_t>(key.bytes[0] << 8 | key.bytes[1]); }

IdentityKey WithPrefix(std::uint32_t prefix, std::uint8_t rest) {
  IdentityKey key;
  key.bytes.fill(rest);
  key.bytes[0] = static_cast<std::uint8_t>(prefix >> 8);
  key.bytes[1] = static_cast<std::uint8_t>(prefix);
  return key;
}

}  // namespace

Archive::Archive(std::vector<SessionSettings> groups, ShardMapSource shards, const Keyring& keyring, Random& random)
    : shards_(std::move(shards)), codec_(keyring, random) {
  for (SessionSettings& settings : groups) groups_.emplace_back(std::move(settings), Use::kRead);
}

template <typename Read>
auto Archive::UnderOneMap(Read read) -> decltype(read()) {
  std::lock_guard lock(mutex_);
  for (int number = 0; number < kMapTriesMax; ++number) {
    map_ = shards_();
    asked_.reset();
    auto answer = read();
    MUSTER_TRY(ConfirmRows());
    if (*shards_() == *map_) return answer;
  }
  return Fail(Reason::kOverloaded, "shards move between groups just now; try again in a moment");
}

// A server that has not heard of the topology for long may know a map whose rows are gone.
Result<void> Archive::ConfirmRows() {
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (!asked_[group] || !groups_[group].settings().place.moves()) continue;
    MUSTER_ASSIGN(const std::int64_t cleaned, groups_[group].Run([](Connection& connection) {
      return connection.ReadInteger("SELECT cleaned_revision FROM fence WHERE id = 1");
    }));
    if (cleaned <= map_->revision()) continue;
    return Fail(
        Reason::kOverloaded,
        "shards have moved, and this server has not heard where to; try again in a moment, and if that lasts see "
        "whether it reaches etcd");
  }
  return {};
}

std::string Archive::LivesIn(std::uint32_t group) const {
  std::string shards;
  for (std::uint16_t shard = 0; shard < kShardCount; ++shard) {
    if (map_->GroupOf(ShardId(shard)) == group) shards += (shards.empty() ? "" : ", ") + std::to_string(shard);
  }
  return "shard IN (" + (shards.empty() ? "NULL" : shards) + ")";
}

Result<Archive::Rows> Archive::Ask(std::uint32_t group, const std::string& sql) {
  if (group >= groups_.size()) return GroupIsNew(group, Use::kRead);
  asked_.set(group);
  return groups_[group].Run([&](Connection& connection) { return connection.Query(sql); });
}

Result<Member> Archive::Decode(const Connection::Row& row) {
  return codec_.Decode(MemberId(NumberIn(row[0])), Version(NumberIn(row[1])), row[2]);
}

Result<std::vector<Change>> Archive::ListHistory(MemberId id, Version before, std::size_t limit) {
  return UnderOneMap([&]() -> Result<std::vector<Change>> {
    const ShardId shard = ShardOf(id);
    MUSTER_ASSIGN(const Rows rows,
                  Ask(map_->GroupOf(shard),
                      "SELECT version, type, time, detail FROM history WHERE shard = " + std::to_string(shard.value()) +
                          " AND member_id = " + std::to_string(id.value()) + " AND version < " +
                          std::to_string(before.value()) + " ORDER BY version DESC" + LimitText(limit)));
    std::vector<Change> changes;
    for (const Connection::Row& row : rows) {
      Change& change = changes.emplace_back();
      change.member_id = id;
      change.version = Version(NumberIn(row[0]));
      MUSTER_ASSIGN(change.type, DecodeChangeType(id, NumberIn(row[1])));
      change.time = Timestamp(Duration(NumberIn(row[2])));
      MUSTER_TRY(codec_.DecodeDetail(row[3], change));
    }
    return changes;
  });
}

Result<std::vector<Member>> Archive::ScanMembers(MemberId after, std::size_t limit) {
  return UnderOneMap([&]() -> Result<std::vector<Member>> {
    Rows rows;
    for (std::uint32_t group = 0; group < groups_.size(); ++group) {
      MUSTER_ASSIGN(
          Rows some,
          Ask(group, "SELECT id, version, record FROM member FORCE INDEX(member_by_id) WHERE id > " +
                         std::to_string(after.value()) + " AND " + LivesIn(group) + " ORDER BY id" + LimitText(limit)));
      rows.insert(rows.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    std::ranges::sort(rows, {}, [](const Connection::Row& row) { return NumberIn(row[0]); });
    if (rows.size() > limit) rows.resize(limit);
    std::vector<Member> members;
    for (const Connection::Row& row : rows) {
      MUSTER_ASSIGN(Member member, Decode(row));
      MUSTER_ASSIGN(members.emplace_back(), Settle(std::move(member)));
    }
    return members;
  });
}

Result<std::vector<Member>> Archive::ReadMembers(std::span<const MemberId> ids) {
  return UnderOneMap([&]() -> Result<std::vector<Member>> {
    std::vector<std::string> wanted(std::max<std::size_t>(groups_.size(), map_->group_count()));
    for (const MemberId id : ids) {
      std::string& text = wanted[map_->GroupOf(ShardOf(id))];
      text +=
          (text.empty() ? "(" : ", (") + std::to_string(ShardOf(id).value()) + ", " + std::to_string(id.value()) + ")";
    }
    std::vector<Member> members;
    for (std::uint32_t group = 0; group < wanted.size(); ++group) {
      if (wanted[group].empty()) continue;
      MUSTER_ASSIGN(const Rows rows, Ask(group,
                                         "SELECT id, version, record FROM member FORCE INDEX(PRIMARY) WHERE "
                                         "(shard, id) IN (" +
                                             wanted[group] + ")"));
      for (const Connection::Row& row : rows) {
        MUSTER_ASSIGN(Member member, Decode(row));
        MUSTER_ASSIGN(members.emplace_back(), Settle(std::move(member)));
      }
    }
    return members;
  });
}

Result<std::optional<Member>> Archive::ReadRow(MemberId id) {
  const ShardId shard = ShardOf(id);
  MUSTER_ASSIGN(const Rows rows, Ask(map_->GroupOf(shard), "SELECT id, version, record FROM member WHERE shard = " +
                                                               std::to_string(shard.value()) +
                                                               " AND id = " + std::to_string(id.value())));
  if (rows.empty()) return std::optional<Member>();
  MUSTER_ASSIGN(Member member, Decode(rows[0]));
  return std::optional(std::move(member));
}

class Archive::RowSource final : public MemberSource {
 public:
  explicit RowSource(Archive& archive) : archive_(archive) {}
  Result<std::optional<Member>> ReadRow(MemberId id) override { return archive_.ReadRow(id); }
  bool SharesRows(MemberId /*one*/, MemberId /*other*/) const override { return false; }
  void BeginAnew() override {}  // each read is a snapshot of its own

 private:
  Archive& archive_;
};

// One that gives is read again, with the other end: rare enough.
Result<Member> Archive::Settle(Member member) {
  if (!member.move || member.move->role != MoveMark::Role::kGives) return member;
  RowSource rows(*this);
  MUSTER_ASSIGN(SettledMember settled, ReadSettled(member.id, rows));
  return settled.member ? *std::move(settled.member) : std::move(member);
}

Result<std::uint64_t> Archive::CountRangeLines(std::int64_t first) {
  std::lock_guard lock(mutex_);
  MUSTER_ASSIGN(const Rows rows, Ask(0, "SELECT line_count FROM import_range WHERE first = " + std::to_string(first)));
  return rows.empty() ? 0 : static_cast<std::uint64_t>(NumberIn(rows[0][0]));
}

Result<std::vector<MemberId>> Archive::ScanMarked(std::uint32_t group, MemberId after, std::size_t limit) {
  return UnderOneMap([&]() -> Result<std::vector<MemberId>> {
    // Those of one kind are few: moves under way.
    MUSTER_ASSIGN(
        const Rows rows,
        Ask(group, "SELECT record_key, value FROM record FORCE INDEX(record_by_time) WHERE kind = 3 AND record_key > " +
                       HexLiteral(RecordTable::KeyOfMark(after)) + " AND " + LivesIn(group) + " ORDER BY record_key" +
                       LimitText(limit)));
    std::vector<MemberId> ids;
    for (const Connection::Row& row : rows) {
      MUSTER_ASSIGN(const RecordTable::Mark mark, RecordTable::DecodeMark(row[0], row[1]));
      ids.push_back(mark.id);
    }
    return ids;
  });
}

Result<std::int64_t> Archive::EstimateRows(std::uint32_t group, const std::string& table) {
  MUSTER_ASSIGN(
      const Rows rows,
      Ask(group, "SELECT table_rows FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '" +
                     table + "'"));
  return rows.empty() ? 0 : NumberIn(rows[0][0]);
}

Result<Archive::Lookups> Archive::ReadLookups(std::uint32_t group, const std::string& where, std::size_t limit) {
  MUSTER_ASSIGN(const Rows rows,
                Ask(group, "SELECT identity_key, member_id, operation_id FROM identity FORCE INDEX(PRIMARY) WHERE " +
                               where + " ORDER BY identity_key" + LimitText(limit)));
  Lookups entries;
  for (const Connection::Row& row : rows) {
    ShardUpkeep::LookupEntry entry{.key = {}, .row = {MemberId(NumberIn(row[1])), OperationId(NumberIn(row[2]))}};
    std::memcpy(entry.key.bytes.data(), row[0].data(), std::min(row[0].size(), entry.key.bytes.size()));
    entries.push_back(entry);
  }
  return entries;
}

Result<Archive::Lookups> Archive::ScanLookups(std::uint32_t group, const IdentityKey& after, std::size_t limit) {
  return UnderOneMap([&]() -> Result<Archive::Lookups> {
    MUSTER_ASSIGN(const std::int64_t estimate, EstimateRows(group, "identity"));
    if (estimate < sorted_rows_max_) {
      return ReadLookups(group, "identity_key > " + HexLiteral(AsBytes(after)) + " AND " + LivesIn(group), limit);
    }
    return WalkLookups(group, after, limit);
  });
}

// In the order of keys, where the table is in the order of shards: the first two bytes of a key say its shard, so the
// rows of each of their values lie together.
Result<Archive::Lookups> Archive::WalkLookups(std::uint32_t group, const IdentityKey& after, std::size_t limit) {
  Lookups entries;
  std::uint32_t count = kPrefixesFirst;
  for (std::uint32_t prefix = PrefixOf(after); prefix < kPrefixCount && entries.size() < limit;) {
    std::string ranges;
    for (std::uint32_t asked = 0; asked < count && prefix < kPrefixCount; ++prefix) {
      const ShardId shard = ShardOf(WithPrefix(prefix, 0));
      if (map_->GroupOf(shard) != group) continue;
      ++asked;
      const bool begins = prefix == PrefixOf(after);
      ranges += (ranges.empty() ? "(shard = " : " OR (shard = ") + std::to_string(shard.value()) +
                " AND identity_key " + (begins ? ">" : ">=") + " " +
                HexLiteral(AsBytes(begins ? after : WithPrefix(prefix, 0))) +
                " AND identity_key <= " + HexLiteral(AsBytes(WithPrefix(prefix, 0xFF))) + ")";
    }
    if (ranges.empty()) break;
    MUSTER_ASSIGN(const Lookups some, ReadLookups(group, ranges, limit - entries.size()));
    entries.insert(entries.end(), some.begin(), some.end());
    count = std::min(count * 2, kPrefixesMost);
  }
  return entries;
}

Result<std::int64_t> Archive::CountMembers() {
  std::lock_guard lock(mutex_);
  std::int64_t count = 0;
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    MUSTER_ASSIGN(const std::int64_t estimate, EstimateRows(group, "member"));
    count += estimate;
  }
  return count;
}

}  // namespace muster::mariadb
