#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster {

enum class UniquenessScope : std::uint8_t { kGlobal, kPlatform };

// What turns the many spellings of a value into the one that is compared.
enum class Normaliser : std::uint8_t {
  kPhone,    // trimmed, to E.164 (libphonenumber); numbers without a country code are of the default region
  kEmail,    // trimmed; NFKC_Casefold before the @, the ASCII form of the domain (UTS #46) behind it; at most 254 bytes
  kOpaque,   // trimmed; 1 to 128 printable ASCII characters without spaces, case kept: unionid, openid
  kCard,     // spaces and hyphens out, upper case, 4 to 32 letters and digits; all-digit ones of 13 to 19 pass the Luhn
             // check, or of 13 that of EAN-13
  kAccount,  // trimmed, in NFC; 1 to 128 bytes of UTF-8 without control and invisible characters, case kept
  kDocument,  // spaces and hyphens out, upper case, 4 to 32 letters and digits; 18-digit Chinese ids pass their check
              // character
};

struct IdentityKind {
  std::string name;
  UniquenessScope scope = UniquenessScope::kGlobal;
  int members_limit = 10;  // how many of it one member may hold; 0: no more are bound, and those that are stay
  bool limit_per_platform = false;
  Normaliser normaliser = Normaliser::kAccount;
};

// The identity kinds of an installation. Declared in configuration; changing the scope or normaliser of a kind in use
// would lose its identities, so a store remembers them and refuses (store/schema.h).
class IdentityCatalog {
 public:
  // phone (3), email (5), document (10) are global; unionid (1 a platform), openid, card and account (10) are scoped by
  // platform.
  static IdentityCatalog Default();
  // INVALID_ARGUMENT: duplicate or malformed names ([a-z][a-z0-9_]{0,31}), limits outside 0 to 100, a region that is
  // not one.
  static Result<IdentityCatalog> Make(std::vector<IdentityKind> kinds, std::vector<std::string> platforms,
                                      std::string default_region);

  // Null when there is no such kind.
  const IdentityKind* Find(std::string_view kind) const;
  const std::vector<IdentityKind>& kinds() const { return kinds_; }

  // Normalises `value` as the kind does. `field` is the path of the identity in the request ("identities[1]"; empty:
  // the request is the identity); INVALID_ARGUMENT names what is wrong below it ("identities[1].platform") and never
  // repeats the value: unknown kind, a platform where none belongs, none where one does, a platform that is not
  // [a-z][a-z0-9_]{0,31}, a malformed or
  // masked value. Any such platform will do, as identities that are held can be on one that
  // is not configured any more. Cost: below 1 µs; 10 to 40 µs for phones that are not Chinese mobile numbers.
  Result<std::string> Normalise(std::string_view kind, std::string_view platform, std::string_view value,
                                std::string_view field) const;

  // INVALID_ARGUMENT of `field` unless new identities are bound on this platform: any when none are configured.
  Result<void> CheckPlatform(std::string_view platform, std::string_view field) const;

 private:
  IdentityCatalog() = default;
  std::vector<IdentityKind> kinds_;
  std::vector<std::string> platforms_;  // empty: any lower-case word
  std::string default_region_ = "CN";
};

}  // namespace muster
