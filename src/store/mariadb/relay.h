#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/result.h"
#include "store/change_wakes.h"
#include "store/mariadb/change_feed.h"
#include "store/mariadb/group.h"
#include "store/mariadb/stream.h"

namespace muster::mariadb {

// Brings what is committed in any group into the one stream of changes. Every process has a relay; one at a time leads
// and copies, the others look now and then whether the stream has grown and whether somebody still leads.
//
//                 nobody's lease holds: take a term
//     FOLLOWS ───────────────────────────────────────► LEADS ──► stop: ends its lease
//        ▲                                                │
//        └── another term, or an append that failed ──────┘
//
//   a leader's turn with a group:   collect ─────────────────────► append ────────────────────────────────► collect …
//                                   in the group: delete what      in the first group, under its term: the
//                                   was copied last, read on       next positions, in one commit
//
// Why an event that can be read stays at its position, why nothing is ever added before it, and why none comes twice:
//
// * Positions are given by appends alone. An append locks the relay's row, takes the positions behind the last one and
//   raises it, in one transaction of one database. So appends are one after another, whoever makes them; a reader sees
//   those up to some moment, each whole. This needs neither the term nor any clock.
// * A change that is in the stream is copied a second time only by who reads it in its outbox after it was appended, or
//   before and appends after that. Within a term there is one leader, with one append at a time; it collects from a
//   group only with the deletion, in the same transaction, of what it copied from there last, and throws away what it
//   read when that commit is not acknowledged. Whoever begins a term reads in `copied` which rows those are: an append
//   writes them with the positions. A leader of an earlier term, however late it goes on, appends nothing: the append
//   compares the term under the same lock under which terms begin. What it may still do is to delete rows that were
//   copied, which are gone or about to go; numbers of an outbox are never given twice (AUTO_INCREMENT is durable).
// * An append without an answer may still be committed. Its session keeps the relay's row locked until it is decided,
// so
//   the next term waits for that, and then sees what became of it.
// * Versions of a member rise: the row of a later one has a higher sequence and was inserted after the commit of the
//   earlier one, so whoever sees it sees the earlier one, too, and takes it first.
//
// A leader that crashes, stands still or loses its connection is followed after its lease (kRelayLease); a transaction
// that it left open is rolled back by the server (Session). A group that is down keeps its changes until it is back,
// and they come then; the others go on. When the first group is down the stream stands still, and the outboxes grow.
//
// Between groups the order is that of the copying: of two members in two groups, the one whose change was answered
// first may come second when both were changed at about the same moment.
//
// Owns one thread, and one of each lane. Start and Stop are called once each, by the owner.
class ChangeRelay {
 public:
  struct Dependencies {
    Random& random;
    Logger& logger;
    MetricRegistry& metrics;
  };
  // `lanes`: one for each group, in their order, used by nobody else. `poll`: how soon it is noticed what other
  // processes commit, and by those that follow, what was appended.
  ChangeRelay(std::vector<std::unique_ptr<Group>> lanes, StreamFeed& feed, ChangeWakes& wakes, Duration poll,
              const Dependencies& dependencies);
  ~ChangeRelay();  // stops
  ChangeRelay(const ChangeRelay&) = delete;

  Result<void> Start();
  void Stop();

  // This process has committed something in that group. Quick, from any thread.
  void Nudge(std::uint32_t group);

  bool leads() const { return leads_.load(); }

 private:
  using Collected = Result<std::vector<OutboxRow>>;
  // One group, as the leader sees it.
  struct Source {
    explicit Source(std::unique_ptr<Group> own_lane) : lane(std::move(own_lane)) {}

    const std::unique_ptr<Group> lane;
    std::atomic<bool> is_nudged{false};
    std::optional<Collected> answer;  // under mutex_: to what is asked

    // Of the relay's thread.
    bool is_asked = false;
    std::int64_t asked_in_term = 0;
    std::vector<std::int64_t> copied;  // may still be in the outbox
    bool is_noted = false;             // `copied` of the first group has a row for it
    std::vector<OutboxRow> rows;       // collected, and not appended yet
    Instant ask_at = Instant::min();   // in any case
    Instant rest_until = Instant::min();
  };

  void Run();
  void Follow();
  void Lead();
  void Begin(RelayTerm term);
  void Resign();
  void Ask(Source& source);
  void TakeAnswers();
  void TakeAnswer(Source& source, Collected answer);
  // One append; false when this process does not lead any more.
  bool Append();
  // When there is something to be done next.
  Instant NextDue() const;
  void Tell(std::int64_t last);
  // Runs work on the lane of the first group and waits for its end, which comes within the group's time-outs.
  template <typename T>
  Result<T> RunInFirst(std::function<Result<T>(Transaction&)> work);
  // Until then, a nudge or an answer, when it leads, or the end; false: the relay is to stop.
  bool WaitUntil(Instant until);
  void NoteFailure(const Error& error);

  const SystemClock clock_;  // of pauses alone
  Logger& logger_;
  StreamFeed& feed_;
  ChangeWakes& wakes_;
  const Duration poll_;
  const std::string holder_;
  Counter& appended_;
  Counter& appends_;
  Counter& terms_;
  std::vector<std::unique_ptr<Source>> sources_;

  // Of the relay's thread.
  std::int64_t term_ = 0;
  std::int64_t told_ = 0;  // subscribers know of everything up to here
  Instant renew_at_ = Instant::min();
  std::size_t first_source_ = 0;  // whose rows are taken first
  bool is_failing_ = false;

  std::atomic<bool> leads_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_woken_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace muster::mariadb
