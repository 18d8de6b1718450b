#pragma once

#include <cstdint>
#include <string>

#include "domain/keyring.h"
#include "domain/member.h"

namespace muster {

// Made-up members for demonstrations, benchmarks and tests: plausible Chinese, Japanese, British and German people with
// a phone, a WeChat unionid and, one in four, an e-mail address of a reserved domain. A pure function of seed and
// index, so any of them can be made again at any time, alone.
//
// Phones, unionids and addresses differ between all indexes below kIndexEnd (of one seed); the phones are valid
// numbers, and some of them belong to somebody: never send anything to them. About 600 bytes of JSON each. Immutable,
// so thread-safe.
class SyntheticMembers {
 public:
  static constexpr std::uint64_t kIndexEnd = 1'000'000'000;

  explicit SyntheticMembers(std::uint64_t seed) : seed_(seed) {}

  // Active, without an id, at version 1; identity values are normalised and their keys made with `hash`. index <
  // kIndexEnd.
  Member Make(std::uint64_t index, KeyedHash& hash) const;

  // The values that Make() gives, for whoever looks members up by them.
  std::string PhoneOf(std::uint64_t index) const;
  std::string UnionidOf(std::uint64_t index) const;  // of the platform "wechat"

 private:
  std::uint64_t seed_;
};

}  // namespace muster
