#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

#include "domain/commit_floor.h"
#include "domain/ports/member_reader.h"
#include "routing/route_counter.h"

namespace muster {

// Lets equal reads that are under way at the same time share one call of its child.
//
//   Get, Resolve   join a call for the same id or identity with the same options but the deadline; else they start one.
//   errors         of a call are the errors of all who share it, but for two. DEADLINE_EXCEEDED: whoever has more time
//                  than the call had asks again. STALE: whoever joined after a commit asks again, as the version that
//                  was missing may be there by now.
//
// A reader who joins must not get an answer from before it came: what was acknowledged until then has to be in it. A
// call's snapshot may be older than the readers that joined it, so each notes the floor's sequence J when it joins, and
// when the answer with its `as_of` A arrives:
//
//   A ≥ J                                        every commit ended by the time of joining is in the snapshot: answered
//   else the floor allows the key, and the       nothing has touched them since A: answered
//   member that is answered, as of A
//   else                                         asks again, together with all others like it
//
// The second call begins after they all came, so its answer is right for all of them: nobody waits for more than two.
//
// Bounds: kCallsMax calls under way and kReadersMax readers of one; a read beyond goes to the child by itself. A call
// without company costs one map entry.
class CoalesceRoute final : public MemberReader {
 public:
  static constexpr std::size_t kCallsMax = 4096;
  static constexpr std::size_t kReadersMax = 1024;

  // `floor` must outlive the route.
  CoalesceRoute(const CommitFloor& floor, std::unique_ptr<MemberReader> child);

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override;
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override;
  RouteDescription Describe() const override;

 private:
  // What reads must have in common to share a call.
  struct Subject {
    bool by_identity = false;
    MemberId id = {};      // unless by identity
    IdentityKey key = {};  // if by identity
    Version min_version = {};
    bool no_cache = false;
    bool prefer_primary = false;
    Version floor{0};
    friend bool operator==(const Subject&, const Subject&) = default;
  };
  struct SubjectHash {
    std::size_t operator()(const Subject& subject) const;
  };
  struct Reader {
    MemberReply reply;
    CommitSequence joined;
    Deadline deadline;
  };
  struct Call {
    MemberReply first;                // who started it
    std::vector<Reader> others = {};  // who joined it
    CommitSequence began;
    Deadline deadline;
  };
  using Calls = std::unordered_map<Subject, Call, SubjectHash>;

  void Read(const Subject& subject, const ReadOptions& options, MemberReply reply);
  void AskChild(const Subject& subject, const ReadOptions& options, MemberReply reply);
  void Complete(Calls::value_type& entry, Result<MemberAnswer> answer);
  bool Serves(const Result<MemberAnswer>& answer, const Subject& subject, const Call& call, const Reader& reader) const;
  void AskAgain(const Subject& subject, std::vector<Reader> readers);

  const CommitFloor& floor_;
  const std::unique_ptr<MemberReader> child_;
  Calls calls_;
  RouteCounter calls_made_, joined_, asked_again_, alone_;
};

}  // namespace muster
