#include "store/member_codec.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "base/encoding.h"
#include "muster/storage/v1/record.pb.h"
#include "store/columns.h"

namespace muster {
namespace {

std::unexpected<Error> Unreadable(MemberId id, std::string_view why) {
  return Fail(Reason::kInternal, "the stored record of member " + std::to_string(id.value()) +
                                     " cannot be read: " + std::string(why) +
                                     ". Run `muster doctor`, and restore a backup if it finds damage");
}

bool ReadKey(std::string_view bytes, IdentityKey& key) {
  if (bytes.size() != key.bytes.size()) return false;
  std::memcpy(key.bytes.data(), bytes.data(), bytes.size());
  return true;
}

// What a sealed text is bound to: eight bytes, big-endian.
struct SealContext {
  explicit SealContext(MemberId id) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(static_cast<std::uint64_t>(id.value()) >> (56 - 8 * i));
    }
  }
  std::string_view view() const { return {bytes.data(), bytes.size()}; }
  std::array<char, 8> bytes;
};

// Protobuf writes text that is not UTF-8 but refuses to read it again: what could not be read back must not be
// acknowledged.
bool IsStorable(const Member& member) {
  const auto is_text = [](const std::string& text) { return IsValidUtf8(text); };
  return is_text(member.display_name) && is_text(member.real_name.Reveal()) && is_text(member.birth_date) &&
         (!member.move || (is_text(member.move->caller) && is_text(member.move->request_id))) && is_text(member.city) &&
         is_text(member.tier) && std::ranges::all_of(member.tags, is_text) &&
         std::ranges::all_of(member.attributes,
                             [&](const auto& entry) { return is_text(entry.first) && is_text(entry.second); }) &&
         std::ranges::all_of(member.identities, [&](const Identity& identity) {
           return is_text(identity.kind) && is_text(identity.platform) && is_text(identity.value.Reveal()) &&
                  is_text(identity.source);
         });
}

bool IsStorable(const Change& change) {
  const auto is_text = [](const std::string& text) { return IsValidUtf8(text); };
  return is_text(change.caller) && is_text(change.request_id) && std::ranges::all_of(change.fields, is_text) &&
         std::ranges::all_of(change.identities, [&](const Change::IdentityRef& identity) {
           return is_text(identity.kind) && is_text(identity.platform);
         });
}

std::unexpected<Error> NotText(MemberId id) {
  return Fail(Reason::kInvalidArgument, "member " + std::to_string(id.value()) +
                                            ": a text of it or of its change is not UTF-8: send valid UTF-8");
}

bool HasPersonalValues(const Member& member) {
  return !member.real_name.empty() ||
         std::ranges::any_of(member.identities, [](const Identity& identity) { return !identity.value.empty(); });
}

void EncodeMark(const MoveMark& mark, storage::v1::MemberRecord::Move& out) {
  out.set_role(static_cast<std::int32_t>(mark.role));
  out.set_kind(static_cast<std::int32_t>(mark.kind));
  out.set_operation(mark.operation_id.value());
  out.set_other(mark.other.value());
  for (const IdentityKey& key : mark.keys) out.add_keys(key.bytes.data(), key.bytes.size());
  out.set_time_micros(Micros(mark.time));
  out.set_caller(mark.caller);
  out.set_request_id(mark.request_id);
  out.set_other_version(mark.other_version.value());
}

bool DecodeMark(const storage::v1::MemberRecord::Move& in, MoveMark& mark) {
  if (in.role() < static_cast<int>(MoveMark::Role::kGives) || in.role() > static_cast<int>(MoveMark::Role::kTakes) ||
      in.kind() < static_cast<int>(MoveMark::Kind::kMerge) || in.kind() > static_cast<int>(MoveMark::Kind::kUnmerge)) {
    return false;
  }
  mark = {.role = static_cast<MoveMark::Role>(in.role()),
          .kind = static_cast<MoveMark::Kind>(in.kind()),
          .operation_id = OperationId(in.operation()),
          .other = MemberId(in.other()),
          .keys = {},
          .time = Timestamp(Duration(in.time_micros())),
          .caller = in.caller(),
          .request_id = in.request_id(),
          .other_version = Version(in.other_version())};
  for (const std::string& key : in.keys()) {
    if (!ReadKey(key, mark.keys.emplace_back())) return false;
  }
  return true;
}

// A record that cannot be read is an error of ours with the member's name; protobuf's own line on stderr would be
// beside the logs.
void SilenceProtobuf() {
  static std::once_flag once;
  std::call_once(once, [] { google::protobuf::SetLogHandler(nullptr); });
}

}  // namespace

struct MemberCodec::State {
  State(const Keyring& keyring, Random& random) : sealer(keyring, random) { SilenceProtobuf(); }

  Sealer sealer;
  storage::v1::MemberRecord record;
  storage::v1::SealedValues values;
  storage::v1::ChangeRecord detail;
  std::string plain;
};

MemberCodec::MemberCodec(const Keyring& keyring, Random& random) : state_(std::make_unique<State>(keyring, random)) {}
MemberCodec::~MemberCodec() = default;
MemberCodec::MemberCodec(MemberCodec&&) noexcept = default;

Result<void> MemberCodec::Encode(const Member& member, std::string& record) {
  if (!IsStorable(member)) return NotText(member.id);
  storage::v1::MemberRecord& out = state_->record;
  out.Clear();
  out.set_state(static_cast<std::int32_t>(member.state));
  out.set_display_name(member.display_name);
  out.set_gender(static_cast<std::int32_t>(member.gender));
  out.set_birth_date(member.birth_date);
  out.set_city(member.city);
  out.set_tier(member.tier);
  for (const std::string& tag : member.tags) out.add_tags(tag);
  for (const auto& [name, value] : member.attributes) (*out.mutable_attributes())[name] = value;
  for (const Identity& identity : member.identities) {
    auto& stored = *out.add_identities();
    stored.set_kind(identity.kind);
    stored.set_platform(identity.platform);
    stored.set_key(identity.key.bytes.data(), identity.key.bytes.size());
    stored.set_state(static_cast<std::int32_t>(identity.state));
    stored.set_verified(identity.verified);
    stored.set_bind_time_micros(Micros(identity.bind_time));
    stored.set_source(identity.source);
    stored.set_bound_by(identity.bound_by.value());
    stored.set_origin(identity.origin.value());
  }
  out.set_create_time_micros(Micros(member.create_time));
  out.set_update_time_micros(Micros(member.update_time));
  out.set_merged_into(member.merged_into.value());
  out.set_created_by(member.created_by.value());
  if (member.move) EncodeMark(*member.move, *out.mutable_move());
  if (HasPersonalValues(member)) {
    state_->values.Clear();
    state_->values.set_real_name(member.real_name.Reveal());
    for (const Identity& identity : member.identities) state_->values.add_values(identity.value.Reveal());
    MUSTER_CHECK(state_->values.SerializeToString(&state_->plain));
    state_->sealer.Seal(state_->plain, SealContext(member.id).view(), *out.mutable_sealed());
  }
  MUSTER_CHECK(out.SerializeToString(&record));
  return {};
}

Result<Member> MemberCodec::Decode(MemberId id, Version version, std::string_view record) {
  const storage::v1::MemberRecord& in = state_->record;
  if (!state_->record.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    return Unreadable(id, "it is not a record");
  }
  if (in.state() < static_cast<int>(MemberState::kActive) || in.state() > static_cast<int>(MemberState::kClosed)) {
    return Unreadable(id, "its state is unknown to this version of muster");
  }
  if (in.gender() < 0 || in.gender() > static_cast<int>(Gender::kOther)) {
    return Unreadable(id, "its gender is unknown to this version of muster");
  }
  state_->values.Clear();
  if (!in.sealed().empty()) {
    const Result<std::string> plain = state_->sealer.Open(in.sealed(), SealContext(id).view());
    if (!plain) return Unreadable(id, plain.error().message);
    if (!state_->values.ParseFromString(*plain)) return Unreadable(id, "what it seals is not a record");
    if (state_->values.values_size() != in.identities_size()) return Unreadable(id, "its identities lack values");
  }

  Member member{.id = id,
                .version = version,
                .state = static_cast<MemberState>(in.state()),
                .display_name = in.display_name(),
                .real_name = Pii<std::string>(state_->values.real_name()),
                .gender = static_cast<Gender>(in.gender()),
                .birth_date = in.birth_date(),
                .city = in.city(),
                .tier = in.tier(),
                .tags = {in.tags().begin(), in.tags().end()},
                .attributes = {in.attributes().begin(), in.attributes().end()},
                .identities = {},
                .create_time = Timestamp(Duration(in.create_time_micros())),
                .update_time = Timestamp(Duration(in.update_time_micros())),
                .merged_into = MemberId(in.merged_into()),
                .created_by = OperationId(in.created_by())};
  member.identities.reserve(static_cast<std::size_t>(in.identities_size()));
  for (int i = 0; i < in.identities_size(); ++i) {
    const auto& stored = in.identities(i);
    Identity& identity = member.identities.emplace_back();
    if (!ReadKey(stored.key(), identity.key)) return Unreadable(id, "an identity's key is not 16 bytes");
    if (stored.state() != static_cast<int>(IdentityState::kBound) &&
        stored.state() != static_cast<int>(IdentityState::kQuarantined)) {
      return Unreadable(id, "an identity's state is unknown to this version of muster");
    }
    identity.kind = stored.kind();
    identity.platform = stored.platform();
    if (!in.sealed().empty()) identity.value = Pii<std::string>(state_->values.values(i));
    identity.state = static_cast<IdentityState>(stored.state());
    identity.verified = stored.verified();
    identity.bind_time = Timestamp(Duration(stored.bind_time_micros()));
    identity.source = stored.source();
    identity.bound_by = OperationId(stored.bound_by());
    identity.origin = OperationId(stored.origin());
  }
  if (in.has_move() && !DecodeMark(in.move(), member.move.emplace())) {
    return Unreadable(id, "its mark of a move is unknown to this version of muster");
  }
  return member;
}

Result<void> MemberCodec::EncodeDetail(const Change& change, std::string& detail) {
  if (!IsStorable(change)) return NotText(change.member_id);
  storage::v1::ChangeRecord& out = state_->detail;
  out.Clear();
  out.set_caller(change.caller);
  out.set_request_id(change.request_id);
  for (const std::string& field : change.fields) out.add_fields(field);
  for (const Change::IdentityRef& identity : change.identities) {
    auto& stored = *out.add_identities();
    stored.set_kind(identity.kind);
    stored.set_platform(identity.platform);
    stored.set_key(AsBytes(identity.key).data(), identity.key.bytes.size());
  }
  out.set_other_member_id(change.other_member_id.value());
  MUSTER_CHECK(out.SerializeToString(&detail));
  return {};
}

Result<void> MemberCodec::DecodeDetail(std::string_view detail, Change& change) {
  storage::v1::ChangeRecord& in = state_->detail;
  if (!in.ParseFromArray(detail.data(), static_cast<int>(detail.size()))) {
    return Unreadable(change.member_id, "a row of its history is not a record");
  }
  change.caller = in.caller();
  change.request_id = in.request_id();
  change.other_member_id = MemberId(in.other_member_id());
  change.fields.assign(in.fields().begin(), in.fields().end());
  change.identities.clear();
  for (const auto& stored : in.identities()) {
    Change::IdentityRef& identity = change.identities.emplace_back(stored.kind(), stored.platform(), IdentityKey{});
    if (!ReadKey(stored.key(), identity.key)) {
      return Unreadable(change.member_id, "an identity's key in its history is not 16 bytes");
    }
  }
  return {};
}

std::uint32_t MemberCodec::LastSealKeyId() const { return Sealer::KeyIdOf(state_->record.sealed()); }

Result<ChangeType> DecodeChangeType(MemberId id, std::int64_t type) {
  if (type < static_cast<int>(ChangeType::kRegistered) || type > static_cast<int>(ChangeType::kImported)) {
    return Unreadable(id, "a change of it has a type unknown to this version of muster");
  }
  return static_cast<ChangeType>(type);
}

}  // namespace muster
