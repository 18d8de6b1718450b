#include "domain/member_rules.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

// The next version of `member`; it becomes the member once it has passed the rules.
Member Successor(const Member& member, Timestamp now) {
  Member next = member;
  next.version = Version(member.version.value() + 1);
  next.update_time = now;
  return next;
}

std::unexpected<Error> FailState(MemberState state, std::string_view next, std::string_view who = "the member") {
  return Fail(Reason::kStateConflict,
              std::string(who) + " is " + std::string(StateName(state)) + ": " + std::string(next));
}

bool IsNamed(const MemberPatch& patch, std::string_view field) {
  return std::ranges::find(patch.fields, field) != patch.fields.end();
}

// Whether the patch may touch the member at all: of a frozen one only what unfreezes it, and what leaves it frozen.
Result<void> CheckUpdatable(const Member& member, const MemberPatch& patch) {
  if (member.state != MemberState::kFrozen || !IsNamed(patch, "state")) return CheckWritable(member);
  if (patch.values.state == MemberState::kActive) return {};
  const bool is_state_alone =
      std::ranges::all_of(patch.fields, [](const std::string& field) { return field == "state"; });
  return is_state_alone ? Result<void>() : CheckWritable(member);
}

Result<void> PatchState(Member& next, MemberState state) {
  if (state != MemberState::kActive && state != MemberState::kFrozen) {
    return FailField("state",
                     "can be updated to ACTIVE and FROZEN only; members are closed and merged by their own verbs");
  }
  if (next.state == state) return {};
  MUSTER_TRY(CheckTransition(next.state, state));
  next.state = state;
  return {};
}

Result<void> PatchField(Member& next, const std::string& field, const Member& values) {
  if (field == "displayName") {
    next.display_name = values.display_name;
  } else if (field == "realName") {
    next.real_name = values.real_name;
  } else if (field == "gender") {
    next.gender = values.gender;
  } else if (field == "birthDate") {
    next.birth_date = values.birth_date;
  } else if (field == "city") {
    next.city = values.city;
  } else if (field == "tier") {
    next.tier = values.tier;
  } else if (field == "tags") {
    next.tags = values.tags;
  } else if (field == "attributes") {
    next.attributes = values.attributes;
  } else if (field == "state") {
    return PatchState(next, values.state);
  } else {
    return FailField(
        "updateMask",
        "must name fields among displayName, realName, gender, birthDate, city, tier, tags, attributes and state");
  }
  return {};
}

// How many identities the member holds of what counts together with `identity`.
std::ptrdiff_t CountOf(const Member& member, const IdentityKind& kind, const Identity& identity) {
  return std::ranges::count_if(member.identities, [&](const Identity& each) {
    return each.kind == kind.name && (!kind.limit_per_platform || each.platform == identity.platform);
  });
}

Result<void> CheckIdentityCount(const Member& member) {
  if (member.identities.size() <= kIdentitiesMax) return {};
  return Fail(Reason::kLimitExceeded,
              "a member may hold " + std::to_string(kIdentitiesMax) + " identities: give fewer, or unbind one first");
}

std::string PathOf(std::size_t identity) { return "identities[" + std::to_string(identity) + "]"; }

// Never null.
Result<const IdentityKind*> FindKind(const IdentityCatalog& catalog, const Identity& identity,
                                     const std::string& path) {
  const IdentityKind* kind = catalog.Find(identity.kind);
  if (kind == nullptr) return FailField(path + ".kind", "is not a kind of identity of this installation");
  return kind;
}

Result<void> CheckLimit(const Member& member, const IdentityKind& kind, const Identity& identity) {
  if (CountOf(member, kind, identity) <= kind.members_limit) return {};
  const std::string limit = std::to_string(kind.members_limit);
  return Fail(Reason::kLimitExceeded, "a member may hold " + limit + " of the kind " + kind.name +
                                          (kind.limit_per_platform ? " a platform" : "") +
                                          ": give fewer, or unbind one first");
}

// Whether `identity`, which `member` holds already, may be bound to it.
Result<void> CheckBindable(const Member& member, const Identity& identity, const IdentityCatalog& catalog,
                           const std::string& path) {
  MUSTER_ASSIGN(const IdentityKind* kind, FindKind(catalog, identity, path));
  if (kind->scope == UniquenessScope::kPlatform) {
    MUSTER_TRY(catalog.CheckPlatform(identity.platform, path + ".platform"));
  }
  return CheckLimit(member, *kind, identity);
}

}  // namespace

Result<void> CheckWritable(const Member& member, std::string_view who) {
  switch (member.state) {
    case MemberState::kActive:
      return {};
    case MemberState::kFrozen:
      return FailState(member.state, "unfreeze it first (update state to ACTIVE)", who);
    case MemberState::kMerged:
      return FailState(member.state,
                       "it was merged into member " + std::to_string(member.merged_into.value()) + ", use that one",
                       who);
    case MemberState::kClosed:
      return FailState(member.state, "that is final; register a new member", who);
  }
  MUSTER_UNREACHABLE("a MemberState that is not one");
}

Result<void> CheckHoldings(const Member& member, std::span<const Identity> moved, const IdentityCatalog& catalog) {
  MUSTER_TRY(CheckIdentityCount(member));
  for (const Identity& identity : moved) {
    MUSTER_ASSIGN(const IdentityKind* kind, FindKind(catalog, identity, "identities"));
    MUSTER_TRY(CheckLimit(member, *kind, identity));
  }
  return {};
}

Result<void> CheckImportedVersion(Version version) {
  if (version <= kImportedVersionMax) return {};
  return FailField("version", "must be at most " + std::to_string(kImportedVersionMax.value()));
}

Result<void> CheckImportedIdentities(const Member& member, const IdentityCatalog& catalog) {
  MUSTER_TRY(CheckIdentityCount(member));
  std::set<IdentityKey> seen;
  for (std::size_t i = 0; i < member.identities.size(); ++i) {
    const Identity& identity = member.identities[i];
    MUSTER_TRY(FindKind(catalog, identity, PathOf(i)));
    if (!seen.insert(identity.key).second) return FailField(PathOf(i), "is there twice: list each identity once");
  }
  return {};
}

Result<void> CheckIdentities(const Member& member, const IdentityCatalog& catalog) {
  MUSTER_TRY(CheckImportedIdentities(member, catalog));
  for (std::size_t i = 0; i < member.identities.size(); ++i) {
    MUSTER_TRY(CheckBindable(member, member.identities[i], catalog, PathOf(i)));
  }
  return {};
}

Result<bool> ApplyUpdate(Member& member, const MemberPatch& patch, Timestamp now) {
  MUSTER_TRY(CheckUpdatable(member, patch));
  Member next = member;
  for (const std::string& field : patch.fields) MUSTER_TRY(PatchField(next, field, patch.values));
  if (next == member) return false;
  next = Successor(next, now);
  MUSTER_TRY(CheckFields(next));
  member = std::move(next);
  return true;
}

std::vector<std::string> ChangedFields(std::vector<std::string> fields, const Member& before, const Member& after) {
  std::erase_if(fields, [&](const std::string& field) {
    Member patched = before;
    return PatchField(patched, field, after) && patched == before;
  });
  return fields;
}

Result<bool> ApplyBind(Member& member, Identity identity, const IdentityCatalog& catalog, Timestamp now) {
  MUSTER_TRY(CheckWritable(member));
  if (const Identity* held = FindIdentity(member, identity.key)) {
    if (held->verified || !identity.verified) return false;
    Member next = Successor(member, now);
    std::ranges::find(next.identities, identity.key, &Identity::key)->verified = true;
    member = std::move(next);
    return true;
  }
  Member next = Successor(member, now);
  identity.bind_time = now;
  next.identities.push_back(std::move(identity));
  MUSTER_TRY(CheckIdentityCount(next));
  MUSTER_TRY(CheckBindable(next, next.identities.back(), catalog, "identity"));
  MUSTER_TRY(CheckFields(next));
  member = std::move(next);
  return true;
}

Result<bool> ApplyUnbind(Member& member, const IdentityKey& key, Timestamp now) {
  MUSTER_TRY(CheckWritable(member));
  if (FindIdentity(member, key) == nullptr) {
    return Fail(Reason::kIdentityNotFound,
                "the member does not hold this identity: read the member to see what it holds");
  }
  Member next = Successor(member, now);
  std::erase_if(next.identities, [&key](const Identity& each) { return each.key == key; });
  member = std::move(next);
  return true;
}

Result<bool> ApplyClose(Member& member, Timestamp now) {
  if (member.state == MemberState::kClosed) return false;
  MUSTER_TRY(CheckTransition(member.state, MemberState::kClosed));
  Member next = Successor(member, now);
  next.state = MemberState::kClosed;
  next.identities.clear();
  member = std::move(next);
  return true;
}

Result<void> CheckVersion(const Member& member, std::optional<Version> expected) {
  if (!expected || *expected == member.version) return {};
  return Fail(Reason::kVersionMismatch, "the member is at version " + std::to_string(member.version.value()) +
                                            ", not " + std::to_string(expected->value()) +
                                            ": read it again and repeat the change on what it is now");
}

Result<void> CheckTransition(MemberState from, MemberState to) {
  using enum MemberState;
  static constexpr std::pair<MemberState, MemberState> kLegal[] = {
      {kActive, kFrozen}, {kFrozen, kActive}, {kActive, kMerged},
      {kMerged, kActive}, {kActive, kClosed}, {kFrozen, kClosed},
  };
  if (std::ranges::find(kLegal, std::pair(from, to)) != std::end(kLegal)) return {};
  return FailState(from, "it cannot become " + std::string(StateName(to)));
}

}  // namespace muster
