// What may be refused, and when.

#include <algorithm>

#include "base/error.h"
#include "checker.h"

namespace muster::sim {

void Checker::CheckRefusal(const Call& call, const Error& error) {
  refused_.insert(call.request_id);
  if (committed_.contains(call.request_id)) {
    Fail(NameOf(call) + " answered " + std::string(error.code()) + " but was committed");
  }
  if (error.reason == Reason::kInternal || error.reason == Reason::kInvalidArgument) {
    Fail(NameOf(call) + " answered " + std::string(error.code()) + ": " + error.message);
  }
  if (error.reason == Reason::kOverloaded && calm_)
    Fail(NameOf(call) + " could not finish, and only others were in its way");
  const auto is_other = [&](MemberId id) { return id != call.member_id; };
  const auto held_by_other = [&](const IdentityKey& key) { return Held(key, call.began, is_other); };
  if (error.reason == Reason::kIdentityTaken && std::ranges::none_of(call.keys, held_by_other)) {
    Fail(NameOf(call) + " answered IDENTITY_TAKEN though nobody else held what it asked for");
  }
}

// Whether the member was so at every moment from `from` on and before `before`.
bool Checker::WasAlways(MemberId id, Moment from, Moment before, const std::function<bool(const Member&)>& so) const {
  const auto found = states_.find(id);
  if (found == states_.end() || found->second.front().from > from) return false;
  return std::ranges::all_of(
      found->second, [&](const State& state) { return state.to <= from || state.from >= before || so(state.member); });
}

// Whether the refusal would have been right at some moment of the call before `before`.
bool Checker::WasRight(const Call& call, Reason refusal, Moment before) const {
  const auto always = [&](MemberId id, const std::function<bool(const Member&)>& so) {
    return WasAlways(id, call.began, before, so);
  };
  const auto is_active = [](const Member& member) { return member.state == MemberState::kActive; };
  switch (refusal) {
    case Reason::kVersionMismatch:
      return !always(call.member_id, [&](const Member& member) { return member.version == call.expected_version; });
    case Reason::kIdentityTaken:
      return std::ranges::any_of(call.keys, [&](const IdentityKey& key) {
        return Held(key, call.began, [&](MemberId id) { return id != call.member_id; }, before);
      });
    case Reason::kMemberExists:
      return states_.contains(call.member_id) && states_.at(call.member_id).front().from < before;
    case Reason::kStateConflict:
      if (call.verb == Verb::kMerge) return !always(call.member_id, is_active) || !always(call.source_id, is_active);
      if (call.verb == Verb::kUnmerge) {
        return !always(call.member_id, is_active) || !always(call.source_id, [&](const Member& member) {
          return member.state == MemberState::kMerged && member.merged_into == call.member_id;
        });
      }
      return !always(call.member_id, is_active);
    default:
      return true;
  }
}

}  // namespace muster::sim
