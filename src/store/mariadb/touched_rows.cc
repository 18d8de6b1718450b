#include "store/mariadb/touched_rows.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/check.h"
#include "muster/storage/v1/record.pb.h"

namespace muster::mariadb {

void TouchedRows::AddSeen(const Member& member) {
  const bool gives = member.move && member.move->role == MoveMark::Role::kGives;
  AddMember(member.id, gives ? Version(member.version.value() + 1) : member.version);
  if (member.move && member.move->role == MoveMark::Role::kTakes && member.move->other_version > Version(0)) {
    AddMember(member.move->other, member.move->other_version);
  }
  for (const Identity& identity : member.identities) AddKey(identity.key);
}

void TouchedRows::AddIfRecent(const Member& member, Timestamp now) {
  // Its mark is younger than it is.
  if (member.move || member.update_time + kHeardOfAfter > now) AddSeen(member);
}

TouchedEntries TouchedRows::Take() const {
  std::map<MemberId, Version> newest;
  for (const auto& [id, version] : touched_.members) {
    const auto [known, is_new] = newest.try_emplace(id, version);
    if (!is_new) known->second = std::max(known->second, version);
  }
  TouchedEntries touched{.members = {newest.begin(), newest.end()}, .keys = touched_.keys};
  std::ranges::sort(touched.keys);
  touched.keys.erase(std::ranges::unique(touched.keys).begin(), touched.keys.end());
  return touched;
}

void TouchedRows::AppendTo(std::string& record, const TouchedEntries& touched) {
  storage::v1::MemberRecord more;
  for (const auto& [id, version] : touched.members) {
    auto& member = *more.add_touched();
    member.set_id(id.value());
    member.set_version(version.value());
  }
  for (const IdentityKey& key : touched.keys) more.add_touched_keys(key.bytes.data(), key.bytes.size());
  // Two records one behind the other are one with the fields of both.
  MUSTER_CHECK(more.AppendToString(&record));
}

Result<void> TouchedRows::AddFrom(std::string_view record) {
  storage::v1::MemberRecord kept;
  const bool is_record = kept.ParseFromArray(record.data(), static_cast<int>(record.size()));
  for (const auto& member : kept.touched()) AddMember(MemberId(member.id()), Version(member.version()));
  for (const std::string& bytes : kept.touched_keys()) {
    IdentityKey key;
    if (bytes.size() != key.bytes.size()) continue;
    std::memcpy(key.bytes.data(), bytes.data(), bytes.size());
    AddKey(key);
  }
  if (is_record) return {};
  return Fail(Reason::kInternal,
              "the record of an answered request cannot be read; run `muster doctor`, and restore a backup");
}

}  // namespace muster::mariadb
