#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "domain/identity_catalog.h"
#include "domain/member.h"
#include "domain/ports/member_writer.h"

namespace muster {

// The rules of a member's life, as pure functions over a member. What they refuse, they refuse before anything is
// written.

// Bounds of the fields; each violation names its field. Lengths are in bytes of UTF-8.
inline constexpr std::size_t kNameBytesMax = 256;  // displayName, realName
inline constexpr std::size_t kWordBytesMax = 64;   // city, tier, a tag, an attribute's name, an identity's source
inline constexpr std::size_t kTagsMax = 64;
inline constexpr std::size_t kAttributesMax = 64;
inline constexpr std::size_t kAttributeValueBytesMax = 1024;
inline constexpr std::size_t kIdentitiesMax = 64;
// The highest version that a member may be imported with; far below what would overflow by counting on from it.
inline constexpr Version kImportedVersionMax{std::int64_t{1} << 53};

// INVALID_ARGUMENT: lengths, birth date that is not a day, control characters, invalid UTF-8, duplicate or empty tags,
// a real name that is a mask, times outside the years 1 to 9999, a state that does not fit. An id of zero (to be
// allocated) passes.
Result<void> CheckFields(const Member& member);
// INVALID_ARGUMENT: a version above kImportedVersionMax.
Result<void> CheckImportedVersion(Version version);
// Of a member that is new. LIMIT_EXCEEDED; INVALID_ARGUMENT when the same identity is listed twice or is on a platform
// that is not configured.
Result<void> CheckIdentities(const Member& member, const IdentityCatalog& catalog);
// Of a member that is brought in with what it held elsewhere, or here when the configuration allowed more: only
// kIdentitiesMax counts, and any platform will do. INVALID_ARGUMENT when the same identity is listed twice.
Result<void> CheckImportedIdentities(const Member& member, const IdentityCatalog& catalog);

// Each applies one change to `member` (its version and update time included), or refuses and leaves it as it was.
// False: nothing to change, the version stays.
//
// By state, before anything else is looked at: ACTIVE allows all; FROZEN allows to close it and to update `state` (to
// ACTIVE together with any other field, to FROZEN alone); MERGED and CLOSED allow nothing, but closing a closed member
// changes nothing. What is not allowed answers STATE_CONFLICT.
//
// INVALID_ARGUMENT: as CheckFields; a field that is not in MemberPatch's list ("updateMask"); a state other than
// ACTIVE, FROZEN.
Result<bool> ApplyUpdate(Member& member, const MemberPatch& patch, Timestamp now);
// Of `fields`, which a patch names, those in which the two differ.
std::vector<std::string> ChangedFields(std::vector<std::string> fields, const Member& before, const Member& after);
// Sets the identity's bind time. LIMIT_EXCEEDED; INVALID_ARGUMENT: a platform that is not configured. Judges the new
// identity alone: what the member holds already stays its own, also when a limit was lowered or a platform taken away
// since. Of an identity that it holds only `verified` changes, and only to true.
Result<bool> ApplyBind(Member& member, Identity identity, const IdentityCatalog& catalog, Timestamp now);
// IDENTITY_NOT_FOUND.
Result<bool> ApplyUnbind(Member& member, const IdentityKey& key, Timestamp now);
Result<bool> ApplyClose(Member& member, Timestamp now);

// Whether fields and identities of the member may change: STATE_CONFLICT unless it is ACTIVE. `who` is what the error
// calls it.
Result<void> CheckWritable(const Member& member, std::string_view who = "the member");
// Whether a member may hold all that it lists, by the limits of `moved`, which came to it. LIMIT_EXCEEDED.
Result<void> CheckHoldings(const Member& member, std::span<const Identity> moved, const IdentityCatalog& catalog);

// VERSION_MISMATCH when the caller expects another version.
Result<void> CheckVersion(const Member& member, std::optional<Version> expected);

// STATE_CONFLICT unless `from` may become `to`, by the drawing in member.h; staying what it is, is no transition.
Result<void> CheckTransition(MemberState from, MemberState to);

// A day that there is, of the years 1 to 9999: "1990-05-17".
bool IsDay(std::string_view text);

std::string_view StateName(MemberState state);
std::optional<MemberState> ParseState(std::string_view name);
std::string_view GenderName(Gender gender);
std::optional<Gender> ParseGender(std::string_view name);
std::string_view IdentityStateName(IdentityState state);
std::optional<IdentityState> ParseIdentityState(std::string_view name);

}  // namespace muster
