#include "api/member_proto.h"

#include <algorithm>
#include <utility>

#include "api/grpc_status.h"
#include "api/member_fields.h"
#include "api/proto_fields.h"
#include "base/check.h"
#include "domain/member_rules.h"

namespace muster {

namespace {

// Fields of muster.v1.Identity.
enum IdentityNumber : unsigned {
  kKindNumber = 1,
  kPlatformNumber,
  kValueNumber,
  kVerifiedNumber,
  kStateNumber,
  kBindTimeNumber,
  kSourceNumber
};

Result<void> Settle(const ProtoReader& reader, JsonFaults& faults) {
  AddMalformed(reader, kRoot, faults);
  if (faults.any()) return Fail(faults.Take());
  return {};
}

void ReadId(std::int64_t number, MemberId& id) { id = MemberId(number); }

// A member's id is a field that every request about one has.
void CheckId(MemberId id, JsonFaults& faults) { CheckProtoNumber(id.value(), kRoot.Field("id"), 1, INT64_MAX, faults); }

void ReadExpectedVersion(std::int64_t number, std::optional<Version>& expected, JsonFaults& faults) {
  if (!CheckProtoNumber(number, kRoot.Field("expected_version"), 0, INT64_MAX, faults)) return;
  expected = number == 0 ? std::nullopt : std::optional(Version(number));
}

void ReadMinVersion(std::int64_t number, Version& version, JsonFaults& faults) {
  if (CheckProtoNumber(number, kRoot.Field("min_version"), 0, INT64_MAX, faults)) version = Version(number);
}

// The names of a mask as an update may have them, in protobuf's spelling.
std::string DescribeUnknownPath(std::string_view path) {
  std::vector<std::string> names;
  for (const std::string_view name : kUpdatableNames) names.push_back(ProtoFieldPath(name));
  return ShownName(path) + " " + DescribeUnknownName(path, std::vector<std::string_view>(names.begin(), names.end()));
}

// A google.protobuf.FieldMask as the fields it names, in the spelling of MemberPatch.
Result<std::vector<std::string>> ReadMask(std::string_view message) {
  std::vector<std::string> fields;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (!reader.Is(1, WireType::kBytes)) continue;
    const std::string_view path = reader.bytes();
    const auto found = std::ranges::find_if(kMemberFields, [&](auto name) { return ProtoFieldPath(name) == path; });
    if (path != kWholeMask && found == kMemberFields.end()) return FailField("update_mask", DescribeUnknownPath(path));
    const std::string name(path == kWholeMask ? kWholeMask : *found);
    if (path != kWholeMask && (kUpdatableFields & FieldBit(FieldOfName(name))) == 0) {
      return FailField("update_mask", std::string(path) + " " + DescribeImmutable(FieldOfName(name)));
    }
    if (std::ranges::find(fields, name) != fields.end()) {
      return FailField("update_mask", std::string(path) + " is named twice");
    }
    fields.push_back(name);
    if (fields.size() > 1 && (name == kWholeMask || fields.front() == kWholeMask)) {
      return FailField("update_mask", "names * beside other fields; * is all of them");
    }
  }
  if (reader.malformed()) return FailField("update_mask", "is not a protobuf message");
  return fields;
}

}  // namespace

MemberProto::MemberProto(const IdentityCatalog& catalog, const SecretKey& hash_key)
    : catalog_(catalog), hash_(hash_key) {}

Result<GetRequest> MemberProto::ReadGet(std::string_view message) {
  GetRequest request;
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.type() != WireType::kVarint) continue;
    if (reader.field() == 1) ReadId(reader.number(), request.id);
    if (reader.field() == 2) ReadMinVersion(reader.number(), request.min_version, faults);
    if (reader.field() == 3) request.no_cache = reader.number() != 0;
  }
  if (!reader.malformed()) CheckId(request.id, faults);
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<ResolveRequest> MemberProto::ReadResolve(std::string_view message) {
  ResolveRequest request;
  Identity identity;
  std::string value;
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) ReadProtoText(reader.bytes(), kRoot.Field("kind"), faults, identity.kind);
    if (reader.Is(2, WireType::kBytes))
      ReadProtoText(reader.bytes(), kRoot.Field("platform"), faults, identity.platform);
    if (reader.Is(3, WireType::kBytes)) ReadProtoText(reader.bytes(), kRoot.Field("value"), faults, value);
    if (reader.Is(4, WireType::kVarint)) ReadMinVersion(reader.number(), request.min_version, faults);
    if (reader.Is(5, WireType::kVarint)) request.no_cache = reader.number() != 0;
  }
  AddMalformed(reader, kRoot, faults);
  if (!faults.any() && identity.kind.empty()) faults.Add(kRoot.Field("kind"), "is required");
  if (!faults.any() && value.empty()) faults.Add(kRoot.Field("value"), "is required");
  if (!faults.any()) Identify(catalog_, hash_, identity, value, kRoot, faults);
  if (faults.any()) return Fail(faults.Take());
  request.key = identity.key;
  return request;
}

Result<BatchGetRequest> MemberProto::ReadBatchGet(std::string_view message) {
  BatchGetRequest request;
  JsonFaults faults;
  const FieldPath place = kRoot.Field("ids");
  const auto add = [&](std::int64_t number) {
    const std::size_t index = request.ids.size();
    if (index < kBatchKeysMax) CheckProtoNumber(number, place.Element(index), 1, INT64_MAX, faults);
    request.ids.emplace_back(number);
  };
  ProtoReader reader(message);
  while (request.ids.size() <= kBatchKeysMax && reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) add(reader.number());
    if (reader.Is(2, WireType::kVarint)) request.no_cache = reader.number() != 0;
    if (!reader.Is(1, WireType::kBytes)) continue;
    // Packed: as a list of numbers it reads like the values of one field after the other, but without their tags.
    std::string_view packed = reader.bytes();
    while (!packed.empty() && request.ids.size() <= kBatchKeysMax) {
      std::int64_t number = 0;
      if (!TakeVarint(packed, number)) {
        faults.Add(place, "is not a protobuf message");
        break;
      }
      add(number);
    }
  }
  if (request.ids.size() > kBatchKeysMax) faults.Supersede(place, "has more than 1000 elements");
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<BatchResolveRequest> MemberProto::ReadBatchResolve(std::string_view message) {
  BatchResolveRequest request;
  JsonFaults faults;
  const FieldPath place = kRoot.Field("identities");
  ProtoReader reader(message);
  while (request.keys.size() <= kBatchKeysMax && reader.Next()) {
    if (reader.Is(2, WireType::kVarint)) request.no_cache = reader.number() != 0;
    if (!reader.Is(1, WireType::kBytes)) continue;
    const FieldPath item = place.Element(request.keys.size());
    Identity identity;
    std::string value;
    bool has_past = false;
    if (!ReadIdentity(reader.bytes(), item, identity, value, has_past, faults)) {
      request.keys.emplace_back();
      continue;
    }
    JsonFaults own;
    if (Identify(catalog_, hash_, identity, value, item, own)) {
      request.keys.emplace_back(identity.key);
    } else {
      request.keys.emplace_back(std::unexpected(own.Take()));
    }
  }
  if (request.keys.size() > kBatchKeysMax) faults.Supersede(place, "has more than 1000 elements");
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<MemberBody> MemberProto::ReadRegister(std::string_view message) {
  Result<MemberBody> body(std::in_place);
  body->member.create_time = body->member.update_time = kNoTime;
  MemberFields fields;
  bool found = false;
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (!reader.Is(1, WireType::kBytes)) continue;
    found = true;
    ReadMember(reader.bytes(), fields, body->member, faults);
  }
  if (!found && !reader.malformed()) faults.Add(kRoot.Field("member"), "is required");
  MUSTER_TRY(Settle(reader, faults));
  body->has_id = (fields.given & FieldBit(kIdField)) != 0;
  body->has_past = fields.has_identity_past || (fields.given & kPastFields) != 0;
  return body;
}

Result<WriteRequest> MemberProto::ReadUpdate(std::string_view message) {
  Result<WriteRequest> request(std::in_place);
  std::vector<std::string> mask;
  std::string_view mask_bytes;
  bool found = false;
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) ReadId(reader.number(), request->id);
    if (reader.Is(2, WireType::kBytes)) found = true;
    if (reader.Is(3, WireType::kBytes)) mask_bytes = reader.bytes();
    if (reader.Is(4, WireType::kVarint)) ReadExpectedVersion(reader.number(), request->expected_version, faults);
  }
  if (!reader.malformed()) CheckId(request->id, faults);
  if (!found && !reader.malformed()) faults.Add(kRoot.Field("member"), "is required");
  MUSTER_TRY(Settle(reader, faults));
  MUSTER_ASSIGN(mask, ReadMask(mask_bytes));

  const std::vector<std::string>* const wanted_mask = mask.empty() ? nullptr : &mask;
  MemberFields fields{.wanted = FieldsOfMask(wanted_mask)};
  ProtoReader again(message);  // the mask may stand behind the member
  while (again.Next()) {
    if (again.Is(2, WireType::kBytes)) ReadMember(again.bytes(), fields, request->patch.values, faults);
  }
  for (std::size_t i = 0; wanted_mask == nullptr && i < kMemberFields.size(); ++i) {
    const int field = static_cast<int>(i);
    if ((fields.given & ~kUpdatableFields & FieldBit(field)) == 0) continue;
    faults.Add(kRoot.Field(kMemberFields[i]), DescribeImmutable(field));
  }
  SettlePatch(request->patch, wanted_mask, fields.wanted, fields.given, fields.given, faults);
  MUSTER_TRY(Settle(again, faults));
  return request;
}

Result<WriteRequest> MemberProto::ReadIdentityWrite(std::string_view message, bool is_bind) {
  Result<WriteRequest> request(std::in_place);
  std::string value;
  bool found = false;
  bool has_past = false;
  JsonFaults faults;
  const FieldPath place = kRoot.Field("identity");
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) ReadId(reader.number(), request->id);
    if (reader.Is(3, WireType::kVarint)) ReadExpectedVersion(reader.number(), request->expected_version, faults);
    if (!reader.Is(2, WireType::kBytes)) continue;
    found = true;
    if (ReadIdentity(reader.bytes(), place, request->identity, value, has_past, faults)) {
      Identify(catalog_, hash_, request->identity, value, place, faults);
    }
  }
  if (!reader.malformed()) CheckId(request->id, faults);
  if (!found && !reader.malformed()) faults.Add(place, "is required");
  if (is_bind && has_past) faults.Add(place, "state and bind_time are set by the server; leave them out");
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<WriteRequest> MemberProto::ReadBind(std::string_view message) { return ReadIdentityWrite(message, true); }
Result<WriteRequest> MemberProto::ReadUnbind(std::string_view message) { return ReadIdentityWrite(message, false); }

Result<WriteRequest> MemberProto::ReadMerge(std::string_view message) {
  Result<WriteRequest> request(std::in_place);
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) ReadId(reader.number(), request->id);
    if (reader.Is(2, WireType::kVarint)) ReadId(reader.number(), request->merge.source);
    if (reader.Is(3, WireType::kVarint)) request->merge.dry_run = reader.number() != 0;
    if (reader.Is(4, WireType::kVarint)) ReadExpectedVersion(reader.number(), request->expected_version, faults);
  }
  if (!reader.malformed()) {
    CheckId(request->id, faults);
    CheckProtoNumber(request->merge.source.value(), kRoot.Field("source_id"), 1, INT64_MAX, faults);
  }
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<WriteRequest> MemberProto::ReadClose(std::string_view message) {
  Result<WriteRequest> request(std::in_place);
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) ReadId(reader.number(), request->id);
    if (reader.Is(2, WireType::kVarint)) ReadExpectedVersion(reader.number(), request->expected_version, faults);
  }
  if (!reader.malformed()) CheckId(request->id, faults);
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<HistoryRequest> MemberProto::ReadHistory(std::string_view message) {
  HistoryRequest request;
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kVarint)) ReadId(reader.number(), request.id);
    if (reader.Is(2, WireType::kVarint) &&
        CheckProtoNumber(reader.number(), kRoot.Field("page_size"), 0, INT32_MAX, faults)) {
      request.page_size = reader.number();
    }
    if (reader.Is(3, WireType::kBytes))
      ReadProtoText(reader.bytes(), kRoot.Field("page_token"), faults, request.page_token);
  }
  if (!reader.malformed()) CheckId(request.id, faults);
  MUSTER_TRY(Settle(reader, faults));
  return request;
}

Result<SearchBody> MemberProto::ReadSearch(std::string_view message) {
  SearchBody asked;
  JsonFaults faults;
  const auto text = [&](const ProtoReader& reader, std::string_view name, std::string& out) {
    ReadProtoText(reader.bytes(), kRoot.Field(name), faults, out);
  };
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) text(reader, "filter", asked.filter);
    if (reader.Is(2, WireType::kBytes)) text(reader, "order_by", asked.order_by);
    if (reader.Is(4, WireType::kBytes)) text(reader, "page_token", asked.page_token);
    if (reader.Is(3, WireType::kVarint) &&
        CheckProtoNumber(reader.number(), kRoot.Field("page_size"), 0, INT32_MAX, faults)) {
      asked.page_size = reader.number();
    }
  }
  MUSTER_TRY(Settle(reader, faults));
  asked.page_size = SearchPageSize(asked.page_size);
  return asked;
}

Result<void> MemberProto::ReadEmpty(std::string_view message) {
  JsonFaults faults;
  ProtoReader reader(message);
  while (reader.Next()) {
  }
  return Settle(reader, faults);
}

void MemberProto::ReadMember(std::string_view message, MemberFields& fields, Member& member, JsonFaults& faults) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.field() > kMemberFields.size()) continue;
    const int field = static_cast<int>(reader.field()) - 1;
    const bool is_number = reader.type() == WireType::kVarint;
    const bool is_message = field == kCreateTimeField || field == kUpdateTimeField || field == kIdentitiesField ||
                            field == kTagsField || field == kAttributesField;
    if (!is_number && reader.type() != WireType::kBytes) continue;
    if (is_number ? reader.number() == 0 : !is_message && reader.bytes().empty()) continue;
    fields.given |= FieldBit(field);
    if ((fields.wanted & FieldBit(field)) == 0) continue;
    if (is_number) {
      ReadMemberNumber(field, reader.number(), member, faults);
    } else {
      ReadMemberBytes(field, reader.bytes(), fields, member, faults);
    }
  }
  AddMalformed(reader, kRoot.Field("member"), faults);
}

void MemberProto::ReadMemberNumber(int field, std::int64_t number, Member& member, JsonFaults& faults) {
  const FieldPath place = kRoot.Field(kMemberFields[static_cast<std::size_t>(field)]);
  switch (field) {
    case kIdField:
      if (CheckProtoNumber(number, place, 1, INT64_MAX, faults)) member.id = MemberId(number);
      return;
    case kStateField:
      if (number >= 1 && number <= 4) {
        member.state = static_cast<MemberState>(number);
      } else {
        faults.Add(place, "must be ACTIVE, FROZEN, MERGED or CLOSED");
      }
      return;
    case kGenderField:
      if (number >= 1 && number <= 3) {
        member.gender = static_cast<Gender>(number);
      } else {
        faults.Add(place, "must be FEMALE, MALE or OTHER");
      }
      return;
    case kVersionField:
      if (CheckProtoNumber(number, place, 1, INT64_MAX, faults)) member.version = Version(number);
      return;
    case kMergedIntoField:
      if (CheckProtoNumber(number, place, 1, INT64_MAX, faults)) member.merged_into = MemberId(number);
      return;
    default:
      return;  // a field of that number and another type is one that is not known
  }
}

void MemberProto::RefuseElements(int field, std::string_view description, MemberFields& fields, JsonFaults& faults) {
  fields.wanted &= ~FieldBit(field);
  faults.Supersede(kRoot.Field(kMemberFields[static_cast<std::size_t>(field)]), std::string(description));
}

void MemberProto::ReadMemberBytes(int field, std::string_view bytes, MemberFields& fields, Member& member,
                                  JsonFaults& faults) {
  const FieldPath place = kRoot.Field(kMemberFields[static_cast<std::size_t>(field)]);
  const auto text = [&](std::string& out) { ReadProtoText(bytes, place, faults, out); };
  const auto refuse = [&](std::string_view description) { RefuseElements(field, description, fields, faults); };
  std::string read;
  switch (field) {
    case kDisplayNameField:
      return text(member.display_name);
    case kRealNameField:
      text(read);
      member.real_name = Pii<std::string>(std::move(read));
      return;
    case kBirthDateField:
      return text(member.birth_date);
    case kCityField:
      return text(member.city);
    case kTierField:
      return text(member.tier);
    case kTagsField:
      if (member.tags.size() == kTagsMax) return refuse("has more than 64 elements");
      ReadProtoText(bytes, place.Element(member.tags.size()), faults, member.tags.emplace_back());
      return;
    case kAttributesField: {
      std::string name;
      if (!ReadProtoEntry(bytes, place, faults, name, read)) return;
      if (member.attributes.size() == kAttributesMax && !member.attributes.contains(name)) {
        return refuse("has more than 64 fields");
      }
      member.attributes.insert_or_assign(std::move(name), std::move(read));
      return;
    }
    case kIdentitiesField: {
      if (member.identities.size() == kIdentitiesMax) return refuse("has more than 64 elements");
      const FieldPath item = place.Element(member.identities.size());
      Identity& identity = member.identities.emplace_back();
      identity.bind_time = kNoTime;
      if (ReadIdentity(bytes, item, identity, read, fields.has_identity_past, faults)) {
        Identify(catalog_, hash_, identity, read, item, faults);
      }
      return;
    }
    case kCreateTimeField:
      ReadProtoTime(bytes, place, faults, member.create_time);
      return;
    case kUpdateTimeField:
      ReadProtoTime(bytes, place, faults, member.update_time);
      return;
    default:
      return;  // a field of that number and another type is one that is not known
  }
}

bool MemberProto::ReadIdentity(std::string_view message, const FieldPath& path, Identity& identity, std::string& value,
                               bool& has_past, JsonFaults& faults) {
  bool sound = true;
  ProtoReader reader(message);
  while (reader.Next()) {
    const std::string_view bytes = reader.bytes();
    if (reader.Is(kKindNumber, WireType::kBytes))
      sound &= ReadProtoText(bytes, path.Field("kind"), faults, identity.kind);
    if (reader.Is(kPlatformNumber, WireType::kBytes))
      sound &= ReadProtoText(bytes, path.Field("platform"), faults, identity.platform);
    if (reader.Is(kValueNumber, WireType::kBytes)) sound &= ReadProtoText(bytes, path.Field("value"), faults, value);
    if (reader.Is(kVerifiedNumber, WireType::kVarint)) identity.verified = reader.number() != 0;
    if (reader.Is(kStateNumber, WireType::kVarint) && reader.number() != 0) {
      has_past = true;
      if (reader.number() > 0 && reader.number() <= 2) {
        identity.state = static_cast<IdentityState>(reader.number());
      } else {
        faults.Add(path.Field("state"), "must be BOUND or QUARANTINED");
        sound = false;
      }
    }
    if (reader.Is(kBindTimeNumber, WireType::kBytes)) {
      has_past = true;
      sound &= ReadProtoTime(bytes, path.Field("bind_time"), faults, identity.bind_time);
    }
    if (reader.Is(kSourceNumber, WireType::kBytes))
      sound &= ReadProtoText(bytes, path.Field("source"), faults, identity.source);
  }
  if (reader.malformed()) {
    AddMalformed(reader, path, faults);
    return false;
  }
  for (const auto& [name, text] : {std::pair("kind", &identity.kind), std::pair("value", &value)}) {
    if (!sound || !text->empty()) continue;
    faults.Add(path.Field(name), "is required");
    sound = false;
  }
  return sound;
}

}  // namespace muster
