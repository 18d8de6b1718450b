#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ports/member_reader.h"
#include "store/mariadb/connection.h"
#include "store/mariadb/placement.h"
#include "store/mariadb/server_watch.h"
#include "store/mariadb/session.h"

namespace muster::mariadb {

// Which of a group's servers a read is answered by, in this order. A server is tried when the one before it cannot be
// reached or does not answer in time.
enum class ReadFrom : std::uint8_t {
  kNearest,       // copies whose lag is within the bound, the primary, any copy
  kPrimaryFirst,  // the primary, any copy
  kPrimary,       // the primary
};

struct ReadTimes {
  Duration lag_max = std::chrono::seconds(5);          // of a copy that is asked although the primary could be
  Duration patience = std::chrono::milliseconds(300);  // with a server, when there is another one
  Duration last_patience = std::chrono::seconds(1);    // with the last one
};

// What is known of the rows that a round of reads was given.
struct Serving {
  bool is_primary = true;    // all of them by primaries
  bool is_doubtful = false;  // one of these was the primary no longer: they are to be read again, from others
  bool is_durable = true;
  Instant has_all_before = Instant::max();

  void Add(const Serving& other) {
    is_primary = is_primary && other.is_primary;
    is_doubtful = is_doubtful || other.is_doubtful;
    is_durable = is_durable && other.is_durable;
    has_all_before = std::min(has_all_before, other.has_all_before);
  }
};

// Whom a round of reads may ask.
struct ReadCandidate {
  GroupPlacement::Copy copy;
  bool is_primary = false;
  bool is_put_off = false;  // it is left alone, and there were others
};
// In their order, without those in `excluded`. `lag_max`: see ReadTimes.
std::vector<ReadCandidate> CandidatesOf(const GroupPlacement& placement, ReadFrom from, Duration lag_max, Instant now,
                                        std::span<const Endpoint> excluded);

// What a read is answered by what a round has found. (`as_of` is the caller's.)
struct ReadVerdict {
  Result<MemberAnswer> answer;
  bool is_final = true;  // false: others may have more; the answer is what is left if they have not
};
ReadVerdict JudgeRead(ReadFrom from, const ReadOptions& options, const MemberDocumentRef& found, const Serving& serving,
                      const Clock& clock);

// The connections of one reading thread to the servers of one group, opened when they are needed. A round of reads asks
// one of them; the next one does so when that fails. Not thread-safe.
class GroupReader {
 public:
  // Rows that one statement asks for: the smallest of these that has room; what is left of it repeats the last row,
  // which the server looks at all the same. More than the greatest takes several statements.
  static constexpr std::array<std::size_t, 9> kStatementRows = {1, 2, 4, 8, 16, 32, 64, 128, 256};
  using Statements = std::array<Statement, kStatementRows.size()>;

  struct Server {
    Endpoint endpoint;
    std::unique_ptr<Connection> connection = {};
    Statements lookups = {};
    Statements members = {};
    bool is_placed = true;

    void Disconnect() {
      lookups = {};
      members = {};
      connection.reset();
    }
  };

  GroupReader(SessionSettings settings, const ReadTimes& times, const Clock& clock, ServerWatch& watch);

  // A new round. Excluded servers stay so until BeginAnew.
  void BeginRound(ReadFrom from);
  void BeginAnew() { excluded_.clear(); }
  // Whoever has answered in this round does not in the next ones.
  void ExcludeThoseThatAnswered();

  // Runs `read` on a server, which may be run again, on another one too; those that are left alone come last. The error
  // of the last that was asked.
  template <typename Read>
  Result<void> Run(Read read) {
    Result<void> done = std::unexpected(NobodyToAsk());
    while (next_ < candidates_.size()) {
      const bool may_be_asked = watch_.MayAsk(candidates_[next_].copy.endpoint.Name(), clock_.Monotonic());
      if (!may_be_asked && PutOff()) continue;
      std::optional<ServerWatch::Turn> turn;
      if (!may_be_asked) turn.emplace(watch_);
      if (turn && !turn->is_taken()) return done;
      done = Try(candidates_[next_], read);
      if (done) return done;
      ++next_;
    }
    return done;
  }
  // At the end of a round: whether the primary, if it answered, was the primary until then.
  void ConfirmPrimary();
  // At the end of a round that found less than it asked for: whether the servers that answered still have all rows of
  // what lives here by a map of that revision.
  void ConfirmRows(std::int64_t map_revision);
  const Serving& serving() const { return serving_; }

 private:
  using Candidate = ReadCandidate;

  template <typename Read>
  Result<void> Try(const Candidate& candidate, Read read) {
    Server& server = ServerOf(candidate.copy.endpoint);
    const Instant begun = clock_.Monotonic();
    const bool had_connection = server.connection != nullptr;
    Result<void> done = Connect(server, candidate);
    if (done) done = read(server);
    // A connection that nobody used for a while may have ended meanwhile; that is found at once.
    if (!done && had_connection && server.connection->is_lost() && !WasSilent(candidate, begun)) {
      server.Disconnect();
      done = Connect(server, candidate);
      if (done) done = read(server);
    }
    if (!done) {
      NoteFailure(server, candidate, begun);
    } else {
      NoteAnswer(candidate);
    }
    return done;
  }

  // Has the next one asked after all others; false: that was done already.
  bool PutOff();
  Server& ServerOf(const Endpoint& endpoint);
  Result<void> Connect(Server& server, const Candidate& candidate) const;
  Duration PatienceWith(const Candidate& candidate) const;
  bool WasSilent(const Candidate& candidate, Instant begun) const;
  void NoteFailure(Server& server, const Candidate& candidate, Instant begun);
  void NoteAnswer(const Candidate& candidate);
  Error NobodyToAsk() const;

  const SessionSettings settings_;
  const ReadTimes times_;
  const Clock& clock_;
  ServerWatch& watch_;
  std::vector<std::unique_ptr<Server>> servers_;

  std::shared_ptr<const GroupPlacement> placement_;
  std::vector<Candidate> candidates_;
  std::size_t next_ = 0;  // all before it have failed
  std::vector<Endpoint> answered_;
  std::vector<Endpoint> excluded_;
  Serving serving_;
  std::optional<Endpoint> primary_that_answered_;
};

}  // namespace muster::mariadb
