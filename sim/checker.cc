#include "checker.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/error.h"

namespace muster::sim {
namespace {

std::string Name(MemberId id) { return "member " + std::to_string(id.value()); }
std::string Name(const IdentityKey& key) { return "identity " + ToHex(key.bytes).substr(0, 6); }
std::string Name(const Call& call) { return NameOf(call); }

}  // namespace

std::optional<MemberId> Checker::SurvivorOf(MemberId id) const {
  const auto found = states_.find(id);
  if (found == states_.end() || found->second.back().member.state != MemberState::kMerged) return std::nullopt;
  return found->second.back().member.merged_into;
}

std::optional<Version> Checker::VersionOf(MemberId id) const {
  const auto found = states_.find(id);
  if (found == states_.end()) return std::nullopt;
  return found->second.back().member.version;
}

void Checker::Committed(const Commit& commit) {
  moves_.Marked(commit.marks);
  MoveWatch::Fault fault;
  const std::vector<MemberWrite> writes = moves_.Told(commit.writes, fault);
  if (fault) Fail(*fault);
  if (!writes.empty()) ++moment_;
  KeyWatch::Fault key_fault;
  keys_.Committed(commit.database, writes, commit.kept, moment_, commit.at, key_fault);
  if (key_fault) Fail(*key_fault);
  if (writes.empty()) return;
  const auto state_of = [this](MemberId id) -> State* {
    std::vector<State>& states = states_[id];
    return states.empty() ? nullptr : &states.back();
  };
  NoteMoves(writes);
  for (const MemberWrite& write : writes) {
    const State* before = state_of(write.member.id);
    CheckChange(before, write);
    if (before != nullptr) NoteReleased(before->member, write.member);
  }
  for (const MemberWrite& write : writes) {
    State* before = state_of(write.member.id);
    NoteBound(before != nullptr ? &before->member : nullptr, write);
    if (before != nullptr) before->to = moment_;
    states_[write.member.id].push_back({write.member, moment_, kStill});
  }
  for (const MemberWrite& write : writes) {
    const std::string& request_id = write.change.request_id;
    committed_.insert(request_id);
    if (++commits_by_[{request_id, write.member.id}] > 1) Fail("request " + request_id + " was committed twice");
    if (refused_.contains(request_id)) {
      Fail("request " + request_id + " was committed though it had answered that nothing was written");
    }
  }
}

// A merge or an unmerge is two writes of one moment: of the member that gives and of the one that takes.
void Checker::NoteMoves(const std::vector<MemberWrite>& writes) {
  if (writes.size() != 2) return;
  const ChangeType type = writes[0].change.type;
  if ((type != ChangeType::kMerged && type != ChangeType::kUnmerged) || writes[1].change.type != type) return;
  const bool first_is_merged = SurvivorOf(writes[0].member.id).has_value();
  const bool first_takes =
      type == ChangeType::kMerged ? writes[0].member.state == MemberState::kActive : first_is_merged;
  const MemberWrite& taker = writes[first_takes ? 0 : 1];
  const MemberWrite& giver = writes[first_takes ? 1 : 0];
  MoveWatch::Fault fault;
  moves_.Moved(states_[giver.member.id].back().member, taker, fault);
  if (fault) Fail(*fault);
}

void Checker::CheckChange(const State* before, const MemberWrite& write) {
  const Member& member = write.member;
  const std::int64_t expected = before == nullptr ? 1 : before->member.version.value() + 1;
  if (member.version.value() != expected) {
    Fail(Name(member.id) + " went to version " + std::to_string(member.version.value()) + " instead of " +
         std::to_string(expected));
  }
  if (write.change.version != member.version) Fail(Name(member.id) + ": its change row says another version");
  if (before == nullptr) return;
  bool is_bound = false;
  for (const Identity& identity : member.identities) {
    const Identity* previous = FindIdentity(before->member, identity.key);
    is_bound |= previous == nullptr;
    if (previous == nullptr || *previous == identity) continue;
    Identity verified = *previous;
    verified.verified = true;
    if (identity != verified) Fail(Name(identity.key) + " changed in another way than to verified");
  }
  if (write.change.type == ChangeType::kIdentityBound && !is_bound) {
    Fail(Name(member.id) + ": its change row says that an identity was bound, and none was");
  }
}

void Checker::NoteReleased(const Member& before, const Member& after) {
  for (const Identity& identity : before.identities) {
    if (FindIdentity(after, identity.key) == nullptr) holdings_[identity.key].back().to = moment_;
  }
}

void Checker::NoteBound(const Member* before, const MemberWrite& write) {
  const Member& after = write.member;
  const bool is_moved = write.change.type == ChangeType::kMerged || write.change.type == ChangeType::kUnmerged;
  for (const Identity& identity : after.identities) {
    if (before != nullptr && FindIdentity(*before, identity.key) != nullptr) continue;
    std::vector<Holding>& holdings = holdings_[identity.key];
    if (!holdings.empty() && holdings.back().to == kStill) {
      Fail(Name(identity.key) + " is held twice: by " + Name(holdings.back().member_id) + " and by " + Name(after.id));
    }
    holdings.push_back({after.id, moment_, kStill});
    if (!is_moved) moves_.Born(identity.key);
  }
}

// Whether a member for which `by` is true held the identity at some moment from `began` on and before `before`.
bool Checker::Held(const IdentityKey& key, Moment began, const std::function<bool(MemberId)>& by, Moment before) const {
  const auto found = holdings_.find(key);
  if (found == holdings_.end()) return false;
  return std::ranges::any_of(found->second, [&](const Holding& holding) {
    return holding.to > began && holding.from < before && by(holding.member_id);
  });
}

std::optional<MemberId> Checker::HolderOf(const IdentityKey& key) const {
  const auto found = holdings_.find(key);
  if (found == holdings_.end() || found->second.back().to != kStill) return std::nullopt;
  return found->second.back().member_id;
}

// Whether nobody held the identity at some moment since `began`.
bool Checker::WasFree(const IdentityKey& key, Moment began) const {
  const auto found = holdings_.find(key);
  if (found == holdings_.end()) return true;
  Moment covered = began;  // held at every moment before this one
  for (const Holding& holding : found->second) {
    if (holding.from > covered) return true;
    covered = std::max(covered, holding.to);
  }
  return covered <= moment_;
}

void Checker::Answered(const Call& call, const Result<Member>& answer, Duration now) {
  ++answers_[answer ? "OK" : std::string(answer.error().code())];
  KeyWatch::Fault fault;
  if (answer) {
    CheckSuccess(call, *answer);
    keys_.Succeeded(call, *answer, now, fault);
  } else if (answer.error().reason != Reason::kOutcomeUnknown) {
    CheckRefusal(call, answer.error());
    const std::optional<Moment> first = keys_.Refused(call, answer.error(), now, fault);
    if (first && !WasRight(call, answer.error().reason, *first)) {
      Fail(Name(call) + " answered " + std::string(answer.error().code()) + " for what the first with its key did");
    }
  }
  if (fault) Fail(*fault);
}

const Checker::State* Checker::StateAt(MemberId id, Version version) const {
  const auto found = states_.find(id);
  if (found == states_.end()) return nullptr;
  const auto state = std::ranges::find(found->second, version, [](const State& each) { return each.member.version; });
  return state == found->second.end() ? nullptr : &*state;
}

void Checker::CheckSuccess(const Call& call, const Member& marked) {
  Member answer = marked;
  answer.move.reset();
  const State* state = StateAt(answer.id, answer.version);
  if (state == nullptr) return Fail(Name(call) + " acknowledged a write that is lost");
  if (!(state->member == answer)) return Fail(Name(call) + " answered a member that differs from what was committed");
  if (state->to <= call.began && !call.replayed) {
    return Fail(Name(call) + " answered a member as it was before the call");
  }

  const bool lists = !call.keys.empty() && FindIdentity(answer, call.keys[0]) != nullptr;
  if (call.verb == Verb::kUnmerge) {
    if (answer.id != call.source_id || answer.state != MemberState::kActive) Fail(Name(call) + " took nothing back");
    return;
  }
  if (call.verb == Verb::kMerge && !call.replayed) {
    const std::vector<State>& states = states_[call.source_id];
    const bool was_merged = std::ranges::any_of(states, [&](const State& each) {
      return each.to > call.began && each.member.state == MemberState::kMerged &&
             each.member.merged_into == call.member_id;
    });
    if (!was_merged) Fail(Name(call) + " merged nothing");
  }
  if (call.member_id != MemberId(0) && answer.id != call.member_id) Fail(Name(call) + " answered another member");
  if (call.verb == Verb::kBind && !lists) Fail(Name(call) + " succeeded without its identity");
  if (call.verb == Verb::kBind && lists && call.verified && !FindIdentity(answer, call.keys[0])->verified) {
    Fail(Name(call) + " succeeded and did not verify its identity");
  }
  if (call.verb == Verb::kUnbind && lists) Fail(Name(call) + " succeeded with its identity");
  if (call.verb == Verb::kClose && answer.state != MemberState::kClosed) Fail(Name(call) + " closed nothing");
}

void Checker::Resolved(const Call& call, const Result<std::optional<MemberId>>& answer) {
  ++answers_[answer ? "OK" : std::string(answer.error().code())];
  if (!answer) return;
  const IdentityKey& key = call.keys[0];
  if (*answer) {
    const MemberId id = **answer;
    if (!Held(key, call.began, [id](MemberId holder) { return holder == id; })) {
      Fail(Name(call) + " answered " + Name(id) + ", which held " + Name(key) + " at no moment of the call");
    }
  } else if (!WasFree(key, call.began)) {
    Fail(Name(call) + " answered that nobody holds " + Name(key) + ", though it was held all the time");
  }
}

void Checker::Read(const Call& call, const Result<std::optional<Member>>& answer) {
  ++answers_[answer ? "OK" : std::string(answer.error().code())];
  if (!answer) return;
  const auto found = states_.find(call.member_id);
  if (!*answer) {
    if (found != states_.end() && found->second.front().from <= call.began) {
      Fail(Name(call) + " did not find " + Name(call.member_id));
    }
    return;
  }
  Member member = **answer;
  member.move.reset();
  const State* state = StateAt(member.id, member.version);
  if (state == nullptr || !(state->member == member)) return Fail(Name(call) + " read a member that never was so");
  if (state->to <= call.began) Fail(Name(call) + " read a member as it was before the call");
}

void Checker::CheckEnd(MemoryShardStore& shards) {
  std::map<IdentityKey, LookupRow> held;
  std::size_t members = 0;
  for (std::uint32_t database = 0; database < shards.database_count(); ++database) {
    for (const Member& member : shards.Members(database)) {
      ++members;
      if (member.move) Fail(Name(member.id) + " bears a mark at the end");
      const auto states = states_.find(member.id);
      if (states == states_.end() || !(states->second.back().member == member)) {
        return Fail(Name(member.id) + " is not as it was committed last");
      }
      const std::vector<Change> history = shards.History(member.id);
      for (std::size_t index = 0; index < history.size(); ++index) {
        if (history[index].version.value() != static_cast<std::int64_t>(index) + 1) {
          Fail(Name(member.id) + ": its history has a gap");
        }
      }
      if (history.empty() || history.back().version != member.version)
        Fail(Name(member.id) + ": history is incomplete");
      for (const Identity& identity : member.identities) {
        if (!held.emplace(identity.key, LookupRow{member.id, identity.bound_by}).second) {
          Fail(Name(identity.key) + " is held twice at the end");
        }
      }
    }
  }
  if (members != states_.size()) Fail("a committed member is lost");

  for (std::uint32_t database = 0; database < shards.database_count(); ++database) {
    const auto entries = shards.ScanLookups(database, {}, SIZE_MAX);
    for (const ShardUpkeep::LookupEntry& entry : *entries) {
      const auto holder = held.find(entry.key);
      if (holder == held.end()) {
        Fail(Name(entry.key) + ": its lookup row dangles at the end");
      } else if (holder->second != entry.row) {
        Fail(Name(entry.key) + ": its lookup row does not name its holder");
      } else {
        held.erase(holder);
      }
    }
  }
  if (!held.empty()) Fail(Name(held.begin()->first) + ": its lookup row is missing");
}

}  // namespace muster::sim
