#include "api/write_content.h"

#include <algorithm>
#include <utility>

#include "domain/proto_writer.h"

namespace muster {

namespace {

void WriteKey(ProtoWriter& proto, unsigned field, const IdentityKey& key) {
  proto.Bytes(field, {reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()});
}

// The key stands for kind, platform and value.
void WriteIdentity(ProtoWriter& proto, const Identity& identity) {
  WriteKey(proto, 1, identity.key);
  proto.Number(2, static_cast<std::int64_t>(identity.state));
  proto.Bool(3, identity.verified);
  proto.Number(4, identity.bind_time.time_since_epoch().count());
  proto.Text(5, identity.source);
}

void WriteMember(ProtoWriter& proto, const Member& member) {
  proto.Number(1, member.id.value());
  proto.Number(2, member.version.value());
  proto.Number(3, static_cast<std::int64_t>(member.state));
  proto.Text(4, member.display_name);
  proto.Text(5, member.real_name.Reveal());
  proto.Number(6, static_cast<std::int64_t>(member.gender));
  proto.Text(7, member.birth_date);
  proto.Text(8, member.city);
  proto.Text(9, member.tier);
  for (const std::string& tag : member.tags) proto.Bytes(10, tag);
  for (const auto& [name, value] : member.attributes) {
    proto.Bytes(11, name);
    proto.Bytes(12, value);
  }
  for (const Identity& identity : member.identities) {
    const std::size_t one = proto.Begin(13);
    WriteIdentity(proto, identity);
    proto.End(one);
  }
  proto.Number(14, member.create_time.time_since_epoch().count());
  proto.Number(15, member.update_time.time_since_epoch().count());
  proto.Number(16, member.merged_into.value());
}

template <typename Write>
WriteContent Written(Write write) {
  std::string text;
  ProtoWriter proto(text);
  write(proto);
  return WriteContent(std::move(text));
}

}  // namespace

WriteContent ContentOf(const MemberBody& body) {
  return Written([&](ProtoWriter& proto) {
    WriteMember(proto, body.member);
    proto.Bool(17, body.has_id);
    proto.Bool(18, body.has_past);
  });
}

WriteContent ContentOf(const MemberPatch& patch) {
  return Written([&](ProtoWriter& proto) {
    std::vector<std::string> fields = patch.fields;
    std::ranges::sort(fields);
    for (const std::string& field : fields) proto.Bytes(19, field);
    WriteMember(proto, patch.values);
  });
}

WriteContent ContentOf(const Identity& identity) {
  return Written([&](ProtoWriter& proto) { WriteIdentity(proto, identity); });
}

WriteContent ContentOf(const IdentityKey& key) {
  return Written([&](ProtoWriter& proto) { WriteKey(proto, 1, key); });
}

WriteContent ContentOf(const MergeBody& body) {
  return Written([&](ProtoWriter& proto) { proto.Number(20, body.source.value()); });
}

std::string ConditionText(const std::vector<Version>& versions) {
  std::string text;
  for (const Version version : versions) text.append(std::to_string(version.value())).push_back(',');
  return text;
}

}  // namespace muster
