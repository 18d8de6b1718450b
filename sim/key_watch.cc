#include "key_watch.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace muster::sim {
namespace {

// Whether it is this member that the call answers.
bool Answers(const Call& call, MemberId id) {
  if (call.verb == Verb::kMerge) return id == call.member_id;
  if (call.verb == Verb::kUnmerge) return id == call.source_id;
  return true;
}

Member Plain(Member member) {
  member.move.reset();
  return member;
}

// What the caller takes for the end of it; after any other error he sends the same again.
bool IsFinal(Reason reason) {
  switch (reason) {
    case Reason::kIdentityTaken:
    case Reason::kIdentityNotFound:
    case Reason::kMemberExists:
    case Reason::kMemberNotFound:
    case Reason::kStateConflict:
    case Reason::kVersionMismatch:
    case Reason::kLimitExceeded:
      return true;
    default:
      return false;
  }
}

}  // namespace

void KeyWatch::Began(const Call& call) {
  if (call.idempotency) calls_[call.request_id] = call;
}

void KeyWatch::Committed(std::uint32_t database, const std::vector<MemberWrite>& writes, const KeptAnswers& kept,
                         Moment moment, Duration now, Fault& fault) {
  std::set<RequestHash> done;
  for (const MemberWrite& write : writes) {
    const auto found = calls_.find(write.change.request_id);
    if (found == calls_.end() || !Answers(found->second, write.member.id)) continue;
    const auto& [key, fingerprint] = *found->second.idempotency;
    CheckEffect(found->second, database, now, fault);
    Note(key, {fingerprint, database, Plain(write.member), moment, now});
    done.insert(key);
  }
  // Those that found nothing to change: they come after the last commit.
  for (const auto& [key, answer] : kept) {
    if (done.contains(key)) continue;
    Note(key, {answer.fingerprint, database, Plain(answer.member), moment + 1, now});
  }
}

void KeyWatch::CheckEffect(const Call& call, std::uint32_t database, Duration now, Fault& fault) const {
  const auto found = firsts_.find(call.idempotency->key);
  if (found == firsts_.end()) return;
  for (const First& first : found->second) {
    const bool is_same = first.fingerprint == call.idempotency->fingerprint;
    if (!is_same && first.database != database) continue;
    const Duration forgotten = first.at + kAnswerRetention;
    if (now >= forgotten && call.sent + kKeyedDeadlineMax >= forgotten) continue;
    fault = NameOf(call) + (is_same ? " was done though its key had been answered"
                                    : " was done though its key had been answered to other content");
  }
}

void KeyWatch::Note(const RequestHash& key, First first) { firsts_[key].push_back(std::move(first)); }

// The first answer that binds the call, as long as it is kept.
const KeyWatch::First* KeyWatch::Earlier(const Call& call, Duration now) const {
  const auto found = firsts_.find(call.idempotency->key);
  if (found == firsts_.end()) return nullptr;
  const auto first = std::ranges::find_if(found->second, [&](const First& each) {
    return each.fingerprint == call.idempotency->fingerprint && each.at + kAnswerRetention > now;
  });
  return first == found->second.end() ? nullptr : &*first;
}

void KeyWatch::Succeeded(const Call& call, const Member& answer, Duration now, Fault& fault) {
  if (!call.idempotency) {
    if (call.replayed) fault = NameOf(call) + " has no key, and is said to be answered as before";
    return;
  }
  if (call.replayed) {
    ++replays_;
    const std::vector<First>& firsts = firsts_[call.idempotency->key];
    const bool was_answered = std::ranges::any_of(firsts, [&](const First& each) {
      return each.fingerprint == call.idempotency->fingerprint && each.member == Plain(answer);
    });
    if (!was_answered) fault = NameOf(call) + " was answered otherwise than the first with its key";
    return;
  }
  const First* first = Earlier(call, now);
  if (first != nullptr && first->at < call.sent) {
    fault = NameOf(call) + " was answered anew though its key had been answered";
  }
}

std::optional<Moment> KeyWatch::Refused(const Call& call, const Error& error, Duration now, Fault& fault) const {
  if (!call.idempotency) return std::nullopt;
  if (error.reason == Reason::kIdempotencyMismatch) {
    const auto found = firsts_.find(call.idempotency->key);
    const bool has_other = found != firsts_.end() && std::ranges::any_of(found->second, [&](const First& each) {
                             return each.fingerprint != call.idempotency->fingerprint;
                           });
    if (!has_other) fault = NameOf(call) + " was refused for other content, and there was none";
    return std::nullopt;
  }
  if (!IsFinal(error.reason)) return std::nullopt;
  const First* first = Earlier(call, now);
  if (first == nullptr) return std::nullopt;
  if (first->at < call.sent) {
    fault = NameOf(call) + " was refused with " + std::string(error.code()) + " though its key had been answered";
    return std::nullopt;
  }
  return first->moment;
}

}  // namespace muster::sim
