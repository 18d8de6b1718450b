#include "centers/center_checker.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "domain/member_document.h"

namespace muster::sim {
namespace {

std::string NameOf(MemberId id) { return "member " + std::to_string(id.value()); }
std::string NameOf(const IdentityKey& key) { return "identity " + std::to_string(key.bytes[15]); }

}  // namespace

void CenterChecker::Begun(std::uint64_t value, const GroupCommit& commit, Log before) {
  for (const Member& member : commit.members) {
    auto attempt = std::make_unique<Attempt>(Attempt{.member = member, .value = value});
    for (const auto& entry : before | std::views::reverse) {
      const auto found = by_value_.find(entry.value);
      if (found == by_value_.end()) continue;
      const auto same =
          std::ranges::find(found->second, member.id, [](const Attempt* each) { return each->member.id; });
      if (same == found->second.end()) continue;
      attempt->before = *same;
      break;
    }
    NoteHolders(*attempt);
    by_value_[value].push_back(attempt.get());
    if (value == 1) member_acks_[member.id].push_back({.at = Instant(Duration(0)), .attempt = attempt.get()});
    attempts_[member.id][member.version].push_back(std::move(attempt));
  }
  if (value != 1) return;
  acknowledged_.insert(value);
  for (const auto& [key, holdings] : holdings_) holding_acks_[key].push_back({.at = Instant(Duration(0)), .change = 0});
}

// Who holds what is another one with this.
void CenterChecker::NoteHolders(Attempt& attempt) {
  const auto note = [&](const IdentityKey& key, MemberId holder) {
    attempt.keys.push_back(key);
    attempt.changes.push_back(holdings_[key].size());
    holdings_[key].push_back({.holder = holder, .value = attempt.value});
  };
  for (const Identity& identity : attempt.member.identities) {
    const bool was_there = attempt.before != nullptr && FindIdentity(attempt.before->member, identity.key) != nullptr;
    if (!was_there) note(identity.key, attempt.member.id);
  }
  if (attempt.before == nullptr) return;
  for (const Identity& identity : attempt.before->member.identities) {
    if (FindIdentity(attempt.member, identity.key) == nullptr) note(identity.key, MemberId(0));
  }
}

const CenterChecker::Attempt* CenterChecker::Find(const Member& member) const {
  const auto versions = attempts_.find(member.id);
  if (versions == attempts_.end()) return nullptr;
  const auto attempts = versions->second.find(member.version);
  if (attempts == versions->second.end()) return nullptr;
  for (const auto& each : attempts->second) {
    if (each->member == member) return each.get();
  }
  return nullptr;
}

void CenterChecker::Committed(const std::string& server, const std::string& database, Epoch epoch, std::uint64_t value,
                              const TopologyDocument& now, const failover::MemoryDatabases& databases) {
  if (now.writer.empty() || now.epoch <= epoch || now.groups[0].primary == database) return;
  // Another center writes. What was planned has all that was committed before, so that an answer may be late.
  const auto& log = databases.Get(now.groups[0].primary).log;
  const bool has_it = std::ranges::count(log, value, &failover::MemoryDatabases::Entry::value) > 0;
  if (last_kind_ == FailoverKind::kPlanned && has_it) return;
  world_.Fail("TWO: " + server + " acknowledges a write on " + database + " under epoch " +
              std::to_string(epoch.value()) + " while center " + now.writer + " writes under a later one");
}

void CenterChecker::Acknowledged(const Member& member) {
  ++acknowledged_count_;
  longest_pause_ = std::max(longest_pause_, world_.now() - acknowledged_at_);
  acknowledged_at_ = world_.now();
  const Attempt* attempt = Find(member);
  if (attempt == nullptr) {
    return world_.Fail("STALE: a write is answered with version " + std::to_string(member.version.value()) + " of " +
                       NameOf(member.id) + ", which no database has ever written so");
  }
  auto& acks = member_acks_[member.id];
  if (acks.empty() || acks.back().attempt->member.version < member.version) {
    acks.push_back({.at = world_.now(), .attempt = attempt});
  }
  // It says that so it is already, of all that led to it.
  for (; attempt != nullptr; attempt = attempt->before) {
    if (!acknowledged_.insert(attempt->value).second && attempt->member != member) break;
    for (std::size_t i = 0; i < attempt->keys.size(); ++i) {
      auto& holders = holding_acks_[attempt->keys[i]];
      if (holders.empty() || holders.back().change < attempt->changes[i]) {
        holders.push_back({.at = world_.now(), .change = attempt->changes[i]});
      }
    }
  }
}

Version CenterChecker::NewestOf(MemberId id) const {
  const auto acks = member_acks_.find(id);
  return acks == member_acks_.end() ? Version(0) : acks->second.back().attempt->member.version;
}

ReadStart CenterChecker::BeginRead(MemberId id) const {
  const auto acks = member_acks_.find(id);
  return {.at = world_.now(), .member_acks = acks == member_acks_.end() ? 0 : acks->second.size()};
}

ReadStart CenterChecker::BeginRead(const IdentityKey& key) const {
  const auto acks = holding_acks_.find(key);
  return {.at = world_.now(), .identity_acks = acks == holding_acks_.end() ? 0 : acks->second.size()};
}

std::size_t CenterChecker::AcksBefore(const std::vector<MemberAck>& acks, Instant at) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(acks, at, {}, &MemberAck::at) - acks.begin());
}

bool CenterChecker::IsWeak(const ReadTerms& terms, const MemberAnswer& answer) const {
  return !terms.cache_was_usable && !terms.options.no_cache && answer.source == Source::kReplica;
}

void CenterChecker::CountAnswer(const Result<MemberAnswer>& answer) {
  ++reads_;
  if (!answer) {
    ++answers_[std::string(answer.error().code())];
  } else {
    ++answers_[std::string(SourceName(answer->source)) + (answer->age > Duration(0) ? " with its age" : "")];
  }
}

void CenterChecker::CheckDocument(const MemberDocumentRef& document, MemberId id, std::size_t acks,
                                  const std::string& what) {
  const std::vector<MemberAck>& of_member = member_acks_[id];
  const Attempt* const least = acks == 0 ? nullptr : of_member[acks - 1].attempt;
  if (!document) {
    if (least != nullptr) world_.Fail("STALE: " + what + " is answered that " + NameOf(id) + " does not exist");
    return;
  }
  const std::string version = std::to_string(document->version().value());
  if (least != nullptr && document->version() < least->member.version) {
    return world_.Fail("STALE: " + what + " is answered version " + version + " of " + NameOf(id) + ", when version " +
                       std::to_string(least->member.version.value()) + " had been acknowledged");
  }
  const auto is_it = [&](const Attempt& each) { return MakeMemberDocument(each.member)->json() == document->json(); };
  if (least != nullptr && document->version() == least->member.version) {
    if (!is_it(*least)) {
      world_.Fail("STALE: " + what + " is answered another version " + version + " of " + NameOf(id) +
                  " than the one that had been acknowledged");
    }
    return;
  }
  const auto& known = attempts_[id][document->version()];
  if (std::ranges::none_of(known, [&](const auto& each) { return is_it(*each); })) {
    world_.Fail("STALE: " + what + " is answered a version " + version + " of " + NameOf(id) +
                " that no database has ever written so");
  }
}

void CenterChecker::EndRead(MemberId id, const ReadStart& start, const ReadTerms& terms,
                            const Result<MemberAnswer>& answer) {
  CountAnswer(answer);
  if (!answer) return;
  std::size_t acks = start.member_acks;
  const bool is_weak = IsWeak(terms, *answer);
  if (is_weak) acks = std::min(acks, AcksBefore(member_acks_[id], world_.now() - answer->age));
  const std::string what = std::string("a read of ") + (is_weak ? "a copy" : std::string(SourceName(answer->source)));
  CheckDocument(answer->member, id, acks, what);
  if (answer->member && answer->member->version() < terms.options.min_version) {
    world_.Fail("STALE: " + what + " is answered below the version that it asks for");
  }
}

void CenterChecker::EndRead(const IdentityKey& key, const ReadStart& start, const ReadTerms& terms,
                            const Result<MemberAnswer>& answer) {
  CountAnswer(answer);
  if (!answer) return;
  const std::vector<Holding>& holdings = holdings_[key];
  const std::vector<HoldingAck>& acks = holding_acks_[key];
  std::size_t count = start.identity_acks;
  const bool is_weak = IsWeak(terms, *answer);
  if (is_weak) {
    const auto later = std::ranges::lower_bound(acks, world_.now() - answer->age, {}, &HoldingAck::at);
    count = std::min(count, static_cast<std::size_t>(later - acks.begin()));
  }
  // Whoever held it then, or came to hold it since.
  const std::size_t first = count == 0 ? 0 : acks[count - 1].change;
  const MemberId holder = answer->member ? answer->member->id() : MemberId(0);
  const bool may_be_nobody = holder == MemberId(0) && count == 0;
  const bool is_right =
      may_be_nobody || std::ranges::any_of(holdings.begin() + static_cast<std::ptrdiff_t>(first), holdings.end(),
                                           [&](const Holding& each) { return each.holder == holder; });
  const std::string what = std::string(SourceName(answer->source)) + (is_weak ? ", a copy that says its age," : "");
  if (!is_right) {
    world_.Fail("STALE: " + what + " answers that " + (holder == MemberId(0) ? std::string("nobody") : NameOf(holder)) +
                " holds " + NameOf(key) + ", which was acknowledged to be otherwise");
  } else if (answer->member && !answer->member->Holds(key)) {
    world_.Fail("STALE: " + what + " answers " + NameOf(holder) + " for " + NameOf(key) + ", which it does not list");
  }
}

void CenterChecker::CheckRows(const std::string& database, const GroupRows& rows) {
  std::map<IdentityKey, MemberId> holders;
  for (const auto& [id, member] : rows.members) {
    for (const Identity& identity : member.identities) {
      const auto [known, is_new] = holders.emplace(identity.key, id);
      if (!is_new) {
        world_.Fail("IDENTITY: " + database + " shows " + NameOf(identity.key) + " with " + NameOf(id) + " and " +
                    NameOf(known->second));
      }
      const auto row = rows.lookups.find(identity.key);
      if (row == rows.lookups.end() || row->second.member_id != id) {
        world_.Fail("IDENTITY: " + database + " has no lookup row of " + NameOf(identity.key) + " for " + NameOf(id));
      }
    }
  }
}

void CenterChecker::TopologyChanged(const TopologyDocument& before, const TopologyDocument& after) {
  if (before.failover && !after.failover) last_kind_ = before.failover->kind;
  if (!before.failover && after.failover) ++failovers_;
}

void CenterChecker::Promoted(const std::string& database, std::int64_t revision, const TopologyDocument& document,
                             Log log) {
  if (document.failover) {
    // A late order of the one before, which this one's first order will undo.
    if (revision < document.failover->begin_revision) return;
    std::string& promoted = promoted_[document.failover->begin_revision];
    if (!promoted.empty() && promoted != database) {
      return world_.Fail("TWO: " + promoted + " and " + database + " are promoted in one failover");
    }
    promoted = database;
  } else if (document.groups[0].primary != database) {
    // A late order of one that was undone: nobody writes there.
    if (!document.failovers.empty() && document.failovers.back().undone) return;
    return world_.Fail("TWO: " + database + " is promoted after the failover");
  }
  CheckLog(database, log);
}

void CenterChecker::CheckLog(const std::string& primary, Log log) {
  std::set<std::uint64_t> has;
  for (const auto& entry : log) has.insert(entry.value);
  for (const std::uint64_t value : acknowledged_) {
    if (has.contains(value)) continue;
    return world_.Fail("LOST: commit " + std::to_string(value) + " was acknowledged, and " + primary +
                       ", which is the primary, does not have it");
  }
}

}  // namespace muster::sim
