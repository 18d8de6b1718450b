#include "api/member_json.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/member_fields.h"
#include "base/check.h"

namespace muster {

namespace {

constexpr std::array<std::string_view, 7> kIdentityFields = {"kind",  "platform", "value", "verified",
                                                             "state", "bindTime", "source"};
enum IdentityField : int { kKind, kPlatform, kValue, kVerified, kIdentityState, kBindTime, kSource };

}  // namespace

void CompleteTimes(Member& member, Timestamp now) {
  if (member.create_time == kNoTime) member.create_time = now;
  if (member.update_time == kNoTime) member.update_time = std::max(now, member.create_time);
  for (Identity& identity : member.identities) {
    if (identity.bind_time == kNoTime) identity.bind_time = member.create_time;
  }
}

Result<void> CheckOwnPast(const MemberBody& body, const Caller& caller) {
  if ((!body.has_id && !body.has_past) || caller.Has(Scope::kMembersImport)) return {};
  return Fail(Reason::kPermissionDenied,
              "id, state, version, times and mergedInto are the server's to set; leave them out, or use a caller with "
              "the scope members.import");
}

MemberJson::MemberJson(const IdentityCatalog& catalog, const SecretKey& hash_key)
    : catalog_(catalog), hash_(hash_key) {}

bool MemberJson::Identify(Identity& identity, std::string_view value, const FieldPath& path, JsonFaults& faults) {
  return muster::Identify(catalog_, hash_, identity, value, path, faults);
}

bool MemberJson::ReadIdentityFields(JsonValue json, const FieldPath& path, Identity& identity, std::string_view& value,
                                    bool& has_past, JsonFaults& faults) {
  JsonObject object(json, path, kIdentityFields, faults);
  JsonValue field;
  bool sound = object.is_object();
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = path.Field(kIdentityFields[static_cast<std::size_t>(index)]);
    switch (index) {
      case kKind:
        sound &= ReadText(field, place, faults, identity.kind);
        break;
      case kPlatform:
        sound &= ReadText(field, place, faults, identity.platform);
        break;
      case kValue:
        sound &= ReadText(field, place, faults, value);
        break;
      case kVerified:
        sound &= ReadBoolean(field, place, faults, identity.verified);
        break;
      case kIdentityState:
        sound &= ReadEnum(field, place, faults, ParseIdentityState, "BOUND or QUARANTINED", identity.state);
        has_past = true;
        break;
      case kBindTime:
        sound &= ReadTime(field, place, faults, identity.bind_time);
        has_past = true;
        break;
      case kSource:
        sound &= ReadText(field, place, faults, identity.source);
        break;
      default:
        MUSTER_UNREACHABLE("an identity field without a case");
    }
  }
  const std::uint64_t given = object.seen() & ~object.nulls();
  for (const int required : {kKind, kValue}) {
    if (!object.is_object() || (given & FieldBit(required)) != 0) continue;
    faults.Add(path.Field(kIdentityFields[static_cast<std::size_t>(required)]), "is required");
    sound = false;
  }
  return sound;
}

void MemberJson::ReadIdentities(JsonValue value, const FieldPath& path, MemberBody& body, JsonFaults& faults) {
  JsonList list(value, path, kIdentitiesMax, faults);
  body.member.identities.reserve(list.size());
  JsonValue element;
  for (std::size_t i = 0; list.Next(element); ++i) {
    const FieldPath place = path.Element(i);
    Identity& identity = body.member.identities.emplace_back();
    identity.bind_time = kNoTime;
    std::string_view sent;
    if (ReadIdentityFields(element, place, identity, sent, body.has_past, faults))
      Identify(identity, sent, place, faults);
  }
}

Result<MemberBody> MemberJson::ReadMember(std::string_view json) {
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  return ReadMemberValue(value);
}

Result<MemberBody> MemberJson::ReadMemberInPlace(std::string_view json) {
  MUSTER_ASSIGN(const JsonValue value, reader_.ParseInPlace(json));
  return ReadMemberValue(value);
}

Result<MemberBody> MemberJson::ReadMemberValue(JsonValue value) {
  Result<MemberBody> body(std::in_place);
  body->member.create_time = body->member.update_time = kNoTime;
  JsonFaults faults;
  JsonObject object(value, kRoot, kMemberFields, faults);
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kMemberFields[static_cast<std::size_t>(index)]);
    if (index == kIdentitiesField) {
      ReadIdentities(field, place, *body, faults);
    } else {
      ReadMemberField(index, field, place, body->member, faults);
    }
  }
  if (faults.any()) return Fail(faults.Take());
  const std::uint64_t given = object.seen() & ~object.nulls();
  body->has_id = (given & FieldBit(kIdField)) != 0;
  body->has_past = body->has_past || (given & kPastFields) != 0;
  return body;
}

Result<MemberPatch> MemberJson::ReadPatch(std::string_view json, const std::vector<std::string>* mask,
                                          bool null_clears) {
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  const std::uint64_t wanted = FieldsOfMask(mask);
  Result<MemberPatch> patch(std::in_place);
  JsonFaults faults;
  JsonObject object(value, kRoot, kMemberFields, faults);
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kMemberFields[static_cast<std::size_t>(index)]);
    if ((wanted & FieldBit(index)) != 0) {
      ReadMemberField(index, field, place, patch->values, faults);
    } else if (mask == nullptr) {
      faults.Add(place, DescribeImmutable(index));
    }
  }
  const std::uint64_t given = object.seen() & ~object.nulls();
  SettlePatch(*patch, mask, wanted, null_clears ? object.seen() : given, given, faults);
  if (faults.any()) return Fail(faults.Take());
  return patch;
}

Result<Identity> MemberJson::ReadIdentity(std::string_view json, bool is_bind) {
  static constexpr std::array<std::string_view, 1> kFields = {"identity"};
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  const FieldPath place = kRoot.Field(kFields[0]);
  Identity identity;
  bool has_past = false;
  bool found = false;
  JsonValue field;
  while (object.Next(field) != JsonObject::kEnd) {
    std::string_view sent;
    if (ReadIdentityFields(field, place, identity, sent, has_past, faults)) Identify(identity, sent, place, faults);
    found = true;
  }
  if (!found && !faults.any()) faults.Add(place, "is required: {\"identity\":{\"kind\":…,\"value\":…}}");
  if (is_bind && has_past) faults.Add(place, "state and bindTime are set by the server; leave them out");
  if (faults.any()) return Fail(faults.Take());
  return identity;
}

Result<MergeBody> MemberJson::ReadMerge(std::string_view json) {
  static constexpr std::array<std::string_view, 2> kFields = {"sourceId", "dryRun"};
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  MergeBody body;
  bool found = false;
  JsonValue field;
  for (int index = object.Next(field); index != JsonObject::kEnd; index = object.Next(field)) {
    const FieldPath place = kRoot.Field(kFields[static_cast<std::size_t>(index)]);
    if (index == 1) {
      ReadBoolean(field, place, faults, body.dry_run);
      continue;
    }
    found = true;
    std::int64_t id = 0;
    if (ReadInteger(field, place, 1, INT64_MAX, faults, id)) body.source = MemberId(id);
  }
  if (!found && !faults.any()) faults.Add(kRoot.Field(kFields[0]), "is required: {\"sourceId\":\"2\"}");
  if (faults.any()) return Fail(faults.Take());
  return body;
}

Result<std::vector<MemberId>> MemberJson::ReadIds(std::string_view json) {
  static constexpr std::array<std::string_view, 1> kFields = {"ids"};
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  const FieldPath place = kRoot.Field(kFields[0]);
  std::vector<MemberId> ids;
  JsonValue field;
  while (object.Next(field) != JsonObject::kEnd) {
    JsonList list(field, place, kBatchKeysMax, faults);
    ids.reserve(list.size());
    JsonValue element;
    for (std::size_t i = 0; list.Next(element); ++i) {
      std::int64_t id = 0;
      if (ReadInteger(element, place.Element(i), 1, INT64_MAX, faults, id)) ids.push_back(MemberId(id));
    }
  }
  if (faults.any()) return Fail(faults.Take());
  return ids;
}

Result<std::vector<Result<IdentityKey>>> MemberJson::ReadIdentityKeys(std::string_view json) {
  static constexpr std::array<std::string_view, 1> kFields = {"identities"};
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, kFields, faults);
  const FieldPath place = kRoot.Field(kFields[0]);
  std::vector<Result<IdentityKey>> keys;
  JsonValue field;
  while (object.Next(field) != JsonObject::kEnd) {
    JsonList list(field, place, kBatchKeysMax, faults);
    keys.reserve(list.size());
    JsonValue element;
    for (std::size_t i = 0; list.Next(element); ++i) {
      const FieldPath item = place.Element(i);
      Identity identity;
      std::string_view sent;
      bool has_past = false;
      if (!ReadIdentityFields(element, item, identity, sent, has_past, faults)) continue;
      JsonFaults own;
      if (Identify(identity, sent, item, own)) {
        keys.emplace_back(identity.key);
      } else {
        keys.emplace_back(std::unexpected(own.Take()));
      }
    }
  }
  if (faults.any()) return Fail(faults.Take());
  return keys;
}

Result<void> MemberJson::ReadEmpty(std::string_view json) {
  if (json.empty()) return {};
  MUSTER_ASSIGN(const JsonValue value, reader_.Parse(json));
  JsonFaults faults;
  JsonObject object(value, kRoot, {}, faults);
  JsonValue field;
  while (object.Next(field) != JsonObject::kEnd) MUSTER_UNREACHABLE("a field of no known name was read");
  if (faults.any()) return Fail(faults.Take());
  return {};
}

Result<IdentityKey> MemberJson::KeyOf(std::string_view kind, std::string_view platform, std::string_view value) {
  Identity identity;
  identity.kind = kind;
  identity.platform = platform;
  JsonFaults faults;
  if (!Identify(identity, value, kRoot, faults)) return Fail(faults.Take());
  return identity.key;
}

}  // namespace muster
