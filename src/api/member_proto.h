#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/member_json.h"
#include "api/proto_reader.h"
#include "api/search_json.h"
#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/member_writer.h"

namespace muster {

// The requests of muster.v1.MemberService, as far as they are more than an id.
struct GetRequest {
  MemberId id;
  Version min_version{0};
  bool no_cache = false;
};
struct ResolveRequest {
  IdentityKey key;
  Version min_version{0};
  bool no_cache = false;
};
struct BatchGetRequest {
  std::vector<MemberId> ids;
  bool no_cache = false;
};
struct BatchResolveRequest {
  std::vector<Result<IdentityKey>> keys;
  bool no_cache = false;
};
// Any write to a member that exists.
struct WriteRequest {
  MemberId id;
  std::optional<Version> expected_version;
  MemberPatch patch;  // of an update
  Identity identity;  // of a bind and an unbind
  MergeBody merge;    // of a merge and an unmerge
};
struct HistoryRequest {
  MemberId id;
  std::int64_t page_size = 0;
  std::string page_token;
};

// Reads the requests of the member API from protobuf's wire format: what MemberJson is for JSON, with the same rules.
// INVALID_ARGUMENT with a violation for each fault: a malformed message, text that is not UTF-8 or has a NUL, a number
// out of its range, a missing field, a value that its identity kind refuses. A field at its default counts as absent,
// as proto3 has it; unknown fields are ignored. Not thread-safe: one for each loop.
class MemberProto {
 public:
  MemberProto(const IdentityCatalog& catalog, const SecretKey& hash_key);

  Result<GetRequest> ReadGet(std::string_view message);
  Result<ResolveRequest> ReadResolve(std::string_view message);
  Result<BatchGetRequest> ReadBatchGet(std::string_view message);
  // An identity that is none (unknown kind, bad phone) is that element's error.
  Result<BatchResolveRequest> ReadBatchResolve(std::string_view message);
  Result<MemberBody> ReadRegister(std::string_view message);
  Result<WriteRequest> ReadUpdate(std::string_view message);
  Result<WriteRequest> ReadBind(std::string_view message);
  Result<WriteRequest> ReadUnbind(std::string_view message);
  Result<WriteRequest> ReadMerge(std::string_view message);
  Result<WriteRequest> ReadClose(std::string_view message);
  Result<HistoryRequest> ReadHistory(std::string_view message);
  static Result<SearchBody> ReadSearch(std::string_view message);
  static Result<void> ReadEmpty(std::string_view message);

 private:
  // What is read of a member, and what was found.
  struct MemberFields {
    std::uint64_t wanted = ~std::uint64_t{0};  // others are only noted
    std::uint64_t given = 0;                   // fields with a value
    bool has_identity_past = false;
  };
  void ReadMember(std::string_view message, MemberFields& fields, Member& member, JsonFaults& faults);
  void ReadMemberNumber(int field, std::int64_t number, Member& member, JsonFaults& faults);
  // The list or map has too many elements: none of them is read any more.
  static void RefuseElements(int field, std::string_view description, MemberFields& fields, JsonFaults& faults);
  void ReadMemberBytes(int field, std::string_view bytes, MemberFields& fields, Member& member, JsonFaults& faults);
  // The identity without its value and key, and the value as it was sent.
  bool ReadIdentity(std::string_view message, const FieldPath& path, Identity& identity, std::string& value,
                    bool& has_past, JsonFaults& faults);
  Result<WriteRequest> ReadIdentityWrite(std::string_view message, bool is_bind);

  const IdentityCatalog& catalog_;
  KeyedHash hash_;
};

}  // namespace muster
