#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "domain/change.h"
#include "domain/keyring.h"
#include "domain/member.h"

namespace muster {

// Members and changes in the form in which they are stored (proto/muster/storage/v1/record.proto). All personal values
// of a member are sealed as one text under the member's id, so a record moved to another member does not open. Not
// thread-safe: it reuses its buffers. About 2 µs to encode and 3 µs to decode a member of 600 bytes.
class MemberCodec {
 public:
  MemberCodec(const Keyring& keyring, Random& random);
  ~MemberCodec();
  MemberCodec(MemberCodec&&) noexcept;

  // Replaces `record`. Id and version are not in it: they are columns of their own. INVALID_ARGUMENT: a text that is
  // not UTF-8.
  Result<void> Encode(const Member& member, std::string& record);
  // INTERNAL, naming the member: not a record, values out of range, not sealed by this keyring or for this member.
  Result<Member> Decode(MemberId id, Version version, std::string_view record);

  // The same for what a history row holds of a change beside its columns member, version, type and time.
  Result<void> EncodeDetail(const Change& change, std::string& detail);
  Result<void> DecodeDetail(std::string_view detail, Change& change);

  // The id of the key that the personal values of the last decoded member are sealed with; 0 when it has none.
  std::uint32_t LastSealKeyId() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A ChangeType from its column; INTERNAL, naming the member, when it is none.
Result<ChangeType> DecodeChangeType(MemberId id, std::int64_t type);

}  // namespace muster
