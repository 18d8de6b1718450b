#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/random.h"
#include "domain/member_document.h"
#include "domain/ports/member_reader.h"

namespace muster {

inline IdentityKey TestKey(std::uint64_t number) {
  IdentityKey key;
  SeededRandom(number + 1).Fill(key.bytes);
  return key;
}

inline MemberDocumentRef TestDocument(std::int64_t id, std::int64_t version,
                                      const std::vector<std::uint64_t>& keys = {}) {
  Member member;
  member.id = MemberId(id);
  member.version = Version(version);
  for (const std::uint64_t number : keys) {
    Identity identity;
    identity.kind = "account";
    identity.platform = "shop";
    identity.value = Pii<std::string>("value");
    identity.key = TestKey(number);
    member.identities.push_back(std::move(identity));
  }
  return MakeMemberDocument(member);
}

inline MemberAnswer TestAnswer(MemberDocumentRef member, CommitSequence as_of = {}) {
  return {.member = std::move(member), .source = Source::kPrimary, .age = Duration(0), .as_of = as_of};
}

// Of a copy that may be so much behind.
inline MemberAnswer TestCopyAnswer(MemberDocumentRef member, Duration age = std::chrono::milliseconds(100)) {
  return {.member = std::move(member), .source = Source::kReplica, .age = age};
}

}  // namespace muster
