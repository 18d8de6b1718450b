#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "domain/change.h"
#include "domain/member.h"
#include "key_watch.h"
#include "move_watch.h"
#include "store/memory_shard_store.h"

namespace muster::sim {

// Watches every commit and every answer, and says when one cannot be right:
//
//   * an identity is held by two members; a version does not follow the one before; a call commits twice;
//   * an identity stays with its member and is not verified any more, or the history calls verifying it a bind;
//   * a member takes what another one has not been marked to give, or gives otherwise than it was marked; an unmerge
//   gives back something else than what was brought and has stayed (move_watch.h);
//   * an answered or read member never was so during the call; or lacks what the call was to do;
//   * a call that said "nothing was written" was committed, then or later;
//   * resolve answers a member that did not hold the identity at any moment of the call, or misses one that did all
//   along;
//   * a call with a key is done once more, or answered otherwise than the first one, or refused for what the first one
//   did; or done with other content; while the first answer is to be kept (key_watch.h);
//   * IDENTITY_TAKEN without another holder; OVERLOADED in calm weather, where everybody can finish;
//   * at the end, lookup rows and members do not agree, or the history does not tell how a member came to be.
class Checker {
 public:
  explicit Checker(bool calm) : calm_(calm) {}

  Moment now() const { return moment_; }
  bool Knows(MemberId id) const { return states_.contains(id); }
  std::optional<MemberId> HolderOf(const IdentityKey& key) const;
  std::optional<Version> VersionOf(MemberId id) const;

  // Whom the member was merged into, when it is.
  std::optional<MemberId> SurvivorOf(MemberId id) const;

  // All that one transaction wrote: it becomes true at one moment.
  struct Commit {
    std::uint32_t database = 0;
    Duration at{0};
    std::vector<MemberWrite> writes = {};
    std::vector<Member> marks = {};  // members of which it changed the mark alone
    KeptAnswers kept = {};
  };
  void Committed(const Commit& commit);
  void Began(const Call& call) { keys_.Began(call); }
  void Answered(const Call& call, const Result<Member>& answer, Duration now);
  void Resolved(const Call& call, const Result<std::optional<MemberId>>& answer);
  void Read(const Call& call, const Result<std::optional<Member>>& answer);
  // After everything has ended and the sweeper has walked: compares the rows with each other and with what was watched.
  void CheckEnd(MemoryShardStore& shards);

  // The first thing that went wrong.
  const std::optional<std::string>& failure() const { return failure_; }
  std::uint64_t commits() const { return moment_; }
  std::uint64_t replays() const { return keys_.replays(); }
  // How often each reason was answered; "OK" for successes.
  const std::map<std::string, std::uint64_t>& answers() const { return answers_; }

 private:
  struct Holding {
    MemberId member_id;
    Moment from;  // the first moment at which it holds
    Moment to;    // the first moment at which it does not any more
  };
  struct State {
    Member member;
    Moment from;
    Moment to;
  };

  void Fail(const std::string& what) {
    if (!failure_) failure_ = what;
  }
  const State* StateAt(MemberId id, Version version) const;
  void CheckSuccess(const Call& call, const Member& answer);
  void CheckRefusal(const Call& call, const Error& error);
  bool WasRight(const Call& call, Reason refusal, Moment before) const;
  bool WasAlways(MemberId id, Moment from, Moment before, const std::function<bool(const Member&)>& so) const;
  bool Held(const IdentityKey& key, Moment began, const std::function<bool(MemberId)>& by,
            Moment before = kStill) const;
  bool WasFree(const IdentityKey& key, Moment began) const;
  void CheckChange(const State* before, const MemberWrite& write);
  void NoteReleased(const Member& before, const Member& after);
  void NoteBound(const Member* before, const MemberWrite& write);
  void NoteMoves(const std::vector<MemberWrite>& writes);

  static constexpr Moment kStill = ~Moment{0};

  const bool calm_;
  Moment moment_ = 0;
  std::map<MemberId, std::vector<State>> states_;
  std::map<IdentityKey, std::vector<Holding>> holdings_;
  std::set<std::string> committed_;                             // requests
  std::map<std::pair<std::string, MemberId>, int> commits_by_;  // request and member
  MoveWatch moves_;
  KeyWatch keys_;
  std::set<std::string> refused_;
  std::map<std::string, std::uint64_t> answers_;
  std::optional<std::string> failure_;
};

}  // namespace muster::sim
