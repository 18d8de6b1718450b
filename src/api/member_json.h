#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "base/clock.h"
#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/member.h"
#include "domain/ports/member_writer.h"
#include "traffic/callers.h"

namespace muster {

// How many keys one batchGet or batchResolve may ask for.
inline constexpr std::size_t kBatchKeysMax = 1000;

// What the body of a merge or an unmerge says.
struct MergeBody {
  MemberId source;
  bool dry_run = false;
};

// A member as a body describes it.
struct MemberBody {
  Member member;  // identities normalised, with their keys
  // What only a caller with the import scope may give.
  bool has_id = false;
  bool has_past = false;  // version, state, createTime, updateTime, mergedInto, or an identity's state or bindTime
};

// Of a time that the body leaves out; no text stands for it.
inline constexpr Timestamp kNoTime = Timestamp::min();

// Sets the times that a body of ReadMember left out: to `now`, and to the member's creation for an identity.
void CompleteTimes(Member& member, Timestamp now);

// PERMISSION_DENIED when the body has what `caller` may not give.
Result<void> CheckOwnPast(const MemberBody& body, const Caller& caller);

// Reads the bodies of the member API: proto3's JSON mapping, read strictly. INVALID_ARGUMENT with a violation for each
// fault (JsonFaults), whose paths are those of the body and whose texts never repeat a value: a wrong type, an unknown
// or repeated field, a missing one, NUL, a value that its identity kind refuses. Lengths and states are the writer's to
// judge (member_rules.h). Not thread-safe: one for each loop.
class MemberJson {
 public:
  MemberJson(const IdentityCatalog& catalog, const SecretKey& hash_key);

  Result<MemberBody> ReadMember(std::string_view json);
  // The same, for one line of a larger text; JsonReader::kPaddingBytes after it must be readable. About 3 µs with two
  // identities.
  Result<MemberBody> ReadMemberInPlace(std::string_view json);

  // With a mask: the fields that it names, cleared when the body lacks them; others in the body are ignored, so that
  // what GET answered may be sent back. Without (null): all that the body has, which must be ones that an update can
  // change. `null_clears`: a null without a mask clears its field (merge patch) instead of meaning absent.
  Result<MemberPatch> ReadPatch(std::string_view json, const std::vector<std::string>* mask, bool null_clears);

  // {"identity":{…}}. For a bind, state and bindTime are refused.
  Result<Identity> ReadIdentity(std::string_view json, bool is_bind);
  // {"sourceId":"2","dryRun":false}, of a merge or an unmerge.
  Result<MergeBody> ReadMerge(std::string_view json);
  // {"ids":["1",2]}
  Result<std::vector<MemberId>> ReadIds(std::string_view json);
  // {"identities":[{…}]}. An identity that is well-formed JSON but no identity (unknown kind, bad phone) is that
  // element's error.
  Result<std::vector<Result<IdentityKey>>> ReadIdentityKeys(std::string_view json);
  // {} or nothing.
  Result<void> ReadEmpty(std::string_view json);

  // The key of an identity given in a query.
  Result<IdentityKey> KeyOf(std::string_view kind, std::string_view platform, std::string_view value);

  JsonReader& reader() { return reader_; }

 private:
  Result<MemberBody> ReadMemberValue(JsonValue value);
  void ReadIdentities(JsonValue value, const FieldPath& path, MemberBody& body, JsonFaults& faults);
  // The identity without its value and key, and the value as it was sent.
  bool ReadIdentityFields(JsonValue json, const FieldPath& path, Identity& identity, std::string_view& value,
                          bool& has_past, JsonFaults& faults);
  // Normalises `value` into `identity` and sets its key.
  bool Identify(Identity& identity, std::string_view value, const FieldPath& path, JsonFaults& faults);

  const IdentityCatalog& catalog_;
  KeyedHash hash_;
  JsonReader reader_;
};

}  // namespace muster
