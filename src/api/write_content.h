#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/member_json.h"
#include "base/pii.h"
#include "domain/ids.h"
#include "domain/ports/member_writer.h"

namespace muster {

// What a write asks for beside its member and its condition, as one text: requests have the same one if and only if
// they ask for the same, over whichever protocol and in whichever spelling they came (order of JSON's keys, spaces in a
// telephone number). It goes into a keyed hash and nowhere else.
using WriteContent = Pii<std::string>;

WriteContent ContentOf(const MemberBody& body);  // before CompleteTimes
WriteContent ContentOf(const MemberPatch& patch);
WriteContent ContentOf(const Identity& identity);  // of a bind
WriteContent ContentOf(const IdentityKey& key);    // of an unbind
WriteContent ContentOf(const MergeBody& body);     // of a merge or unmerge

// A condition on the member's version: any of these, or none at all.
std::string ConditionText(const std::vector<Version>& versions);

}  // namespace muster
