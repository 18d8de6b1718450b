#include "routing/coalesce_route.h"

#include <utility>

#include "base/random.h"

namespace muster {

CoalesceRoute::CoalesceRoute(const CommitFloor& floor, std::unique_ptr<MemberReader> child)
    : floor_(floor), child_(std::move(child)) {}

std::size_t CoalesceRoute::SubjectHash::operator()(const Subject& subject) const {
  return Mix64(static_cast<std::uint64_t>(subject.id.value()) ^ subject.key.Hash());
}

void CoalesceRoute::Get(MemberId id, const ReadOptions& options, MemberReply reply) {
  Read({.id = id,
        .min_version = options.min_version,
        .no_cache = options.no_cache,
        .prefer_primary = options.prefer_primary,
        .floor = options.floor},
       options, std::move(reply));
}

void CoalesceRoute::Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) {
  Read({.by_identity = true,
        .key = key,
        .min_version = options.min_version,
        .no_cache = options.no_cache,
        .prefer_primary = options.prefer_primary,
        .floor = options.floor},
       options, std::move(reply));
}

void CoalesceRoute::Read(const Subject& subject, const ReadOptions& options, MemberReply reply) {
  if (const auto under_way = calls_.find(subject); under_way != calls_.end()) {
    Call& call = under_way->second;
    if (call.others.size() + 1 < kReadersMax) {
      joined_.Add();
      call.others.push_back({std::move(reply), floor_.Now(), options.deadline});
      return;
    }
  } else if (calls_.size() < kCallsMax) {
    calls_made_.Add();
    auto& entry =
        *calls_.emplace(subject, Call{.first = std::move(reply), .began = floor_.Now(), .deadline = options.deadline})
             .first;
    AskChild(subject, options, [this, &entry](Result<MemberAnswer> answer) { Complete(entry, std::move(answer)); });
    return;
  }
  alone_.Add();
  AskChild(subject, options, std::move(reply));
}

void CoalesceRoute::AskChild(const Subject& subject, const ReadOptions& options, MemberReply reply) {
  if (subject.by_identity) {
    child_->Resolve(subject.key, options, std::move(reply));
  } else {
    child_->Get(subject.id, options, std::move(reply));
  }
}

void CoalesceRoute::Complete(Calls::value_type& entry, Result<MemberAnswer> answer) {
  const Subject subject = entry.first;
  // Out of the map before anybody hears of it: whoever reads again from a reply starts a call of its own.
  Call call = std::move(calls_.extract(subject).mapped());
  std::vector<Reader> unserved;
  for (Reader& reader : call.others) {
    if (Serves(answer, subject, call, reader)) {
      reader.reply(answer);
    } else {
      unserved.push_back(std::move(reader));
    }
  }
  if (!unserved.empty()) AskAgain(subject, std::move(unserved));
  call.first(std::move(answer));
}

bool CoalesceRoute::Serves(const Result<MemberAnswer>& answer, const Subject& subject, const Call& call,
                           const Reader& reader) const {
  if (!answer && answer.error().reason == Reason::kDeadlineExceeded) return reader.deadline.at() <= call.deadline.at();
  if (!answer) return answer.error().reason != Reason::kStale || reader.joined <= call.began;
  if (answer->as_of >= reader.joined) return true;
  if (!subject.by_identity) return floor_.Allows(subject.id, answer->as_of);
  // The key's own floor does not rise when the member that holds it changes otherwise.
  return floor_.Allows(subject.key, answer->as_of) &&
         (!answer->member || floor_.Allows(answer->member->id(), answer->as_of));
}

void CoalesceRoute::AskAgain(const Subject& subject, std::vector<Reader> readers) {
  asked_again_.Add();
  ReadOptions options{.min_version = subject.min_version,
                      .no_cache = subject.no_cache,
                      .prefer_primary = subject.prefer_primary,
                      .floor = subject.floor};
  options.deadline = readers.front().deadline;
  for (const Reader& reader : readers) {
    if (reader.deadline.at() > options.deadline.at()) options.deadline = reader.deadline;
  }
  AskChild(subject, options, [readers = std::move(readers)](Result<MemberAnswer> answer) mutable {
    for (Reader& reader : readers) reader.reply(answer);
  });
}

RouteDescription CoalesceRoute::Describe() const {
  return {.name = "coalesce",
          .policy = "lets equal reads under way share one",
          .counters = {{"calls", calls_made_.Value()},
                       {"joined", joined_.Value()},
                       {"asked_again", asked_again_.Value()},
                       {"alone", alone_.Value()}},
          .children = {child_->Describe()}};
}

}  // namespace muster
