#include "store/mariadb/group_reader.h"

#include <algorithm>
#include <utility>

namespace muster::mariadb {
namespace {

// When whoever is refused may ask again.
constexpr std::int64_t kAskAgainMs = 500;

// A call that took so much of its time was not answered; one that failed sooner was.
bool IsMostOf(Duration spent, Duration patience) { return spent * 5 >= patience * 4; }

// What is said of a copy of which nothing is known: it has been out of sight of its primary since this process began.
constexpr Duration kAgeUnknown = std::chrono::hours(24);

std::unexpected<Error> NobodyHas(Version asked, const MemberDocumentRef& found) {
  if (!found) {
    return Fail(Reason::kStale, "nobody that can be asked knows of version " + std::to_string(asked.value()) +
                                    ", and something older is not answered; try again in a moment");
  }
  return Fail(Reason::kStale, "the member has version " + std::to_string(found->version().value()) +
                                  ", below the version asked for; no source has a newer one");
}

std::unexpected<Error> NotSureOfThePrimary() {
  Error error{
      Reason::kOverloaded,
      "it cannot be made sure just now which server is the primary; try again in a moment, or without no-cache"};
  error.retry_after_ms = 500;
  return std::unexpected(std::move(error));
}

Duration AgeOf(const Serving& serving, Instant now) {
  if (serving.has_all_before >= now) return Duration(0);
  if (serving.has_all_before == Instant::min()) return kAgeUnknown;
  return std::min(kAgeUnknown, now - serving.has_all_before);
}

Version LeastOf(const ReadOptions& options, bool is_exact) {
  return is_exact ? options.min_version : std::max(options.min_version, options.floor);
}

std::unexpected<Error> AnsweredTooLate() {
  return Fail(Reason::kDeadlineExceeded, "the deadline passed before the store had answered; allow more time");
}

}  // namespace

std::vector<ReadCandidate> CandidatesOf(const GroupPlacement& placement, ReadFrom from, Duration lag_max, Instant now,
                                        std::span<const Endpoint> excluded) {
  std::vector<ReadCandidate> candidates;
  const auto add = [&](const GroupPlacement::Copy& copy) {
    const bool is_there =
        std::ranges::any_of(candidates, [&](const ReadCandidate& each) { return each.copy.endpoint == copy.endpoint; });
    if (is_there || std::ranges::count(excluded, copy.endpoint) > 0) return;
    candidates.push_back({.copy = copy, .is_primary = placement.primary == copy.endpoint});
  };
  if (from == ReadFrom::kNearest) {
    for (const GroupPlacement::Copy& copy : placement.copies) {
      const bool is_known = copy.has_all_before != Instant::min();
      if (copy.is_durable && is_known && copy.has_all_before >= now - lag_max) add(copy);
    }
  }
  if (placement.primary) add({.endpoint = *placement.primary, .has_all_before = placement.sole_until});
  if (from != ReadFrom::kPrimary) {
    for (const GroupPlacement::Copy& copy : placement.copies) add(copy);
  }
  return candidates;
}

ReadVerdict JudgeRead(ReadFrom from, const ReadOptions& options, const MemberDocumentRef& found, const Serving& serving,
                      const Clock& clock) {
  if (serving.is_doubtful) return {.answer = NotSureOfThePrimary(), .is_final = false};
  const Duration age = AgeOf(serving, clock.Monotonic());
  const bool is_exact = serving.is_primary && age == Duration(0);
  if (from == ReadFrom::kPrimary && !is_exact) return {.answer = NotSureOfThePrimary()};
  const Version least = LeastOf(options, is_exact);
  if ((found ? found->version() : Version(0)) < least) {
    return {.answer = NobodyHas(least, found), .is_final = is_exact};
  }
  if (options.deadline.Passed(clock)) return {.answer = AnsweredTooLate()};
  return {.answer = MemberAnswer{.member = found,
                                 .source = is_exact ? Source::kPrimary : Source::kReplica,
                                 .age = age,
                                 .may_be_kept = serving.is_durable}};
}

GroupReader::GroupReader(SessionSettings settings, const ReadTimes& times, const Clock& clock, ServerWatch& watch)
    : settings_(std::move(settings)), times_(times), clock_(clock), watch_(watch) {}

void GroupReader::BeginRound(ReadFrom from) {
  placement_ = settings_.place.Now();
  next_ = 0;
  answered_.clear();
  serving_ = {};
  primary_that_answered_.reset();
  candidates_ = CandidatesOf(*placement_, from, times_.lag_max, clock_.Monotonic(), excluded_);
  // Connections to what is no longer named.
  std::erase_if(servers_, [&](const auto& server) {
    return placement_->primary != server->endpoint && std::ranges::none_of(placement_->copies, [&](const auto& copy) {
             return copy.endpoint == server->endpoint;
           });
  });
}

void GroupReader::ExcludeThoseThatAnswered() {
  excluded_.insert(excluded_.end(), answered_.begin(), answered_.end());
  answered_.clear();
}

bool GroupReader::PutOff() {
  if (candidates_[next_].is_put_off) return false;
  candidates_[next_].is_put_off = true;
  std::rotate(candidates_.begin() + static_cast<std::ptrdiff_t>(next_),
              candidates_.begin() + static_cast<std::ptrdiff_t>(next_) + 1, candidates_.end());
  return true;
}

GroupReader::Server& GroupReader::ServerOf(const Endpoint& endpoint) {
  const auto found = std::ranges::find_if(servers_, [&](const auto& server) { return server->endpoint == endpoint; });
  if (found != servers_.end()) return **found;
  return *servers_.emplace_back(std::make_unique<Server>(endpoint));
}

Duration GroupReader::PatienceWith(const Candidate& candidate) const {
  return &candidate == &candidates_.back() ? times_.last_patience : times_.patience;
}

Result<void> GroupReader::Connect(Server& server, const Candidate& candidate) const {
  const Duration patience = PatienceWith(candidate);
  if (!server.connection) {
    Timeouts timeouts = settings_.timeouts;
    timeouts.call = patience;
    MUSTER_ASSIGN(server.connection, OpenServer(settings_, server.endpoint, Use::kRead, timeouts));
  }
  server.connection->SetCallTimeout(patience);
  return {};
}

bool GroupReader::WasSilent(const Candidate& candidate, Instant begun) const {
  return IsMostOf(clock_.Monotonic() - begun, PatienceWith(candidate));
}

void GroupReader::NoteFailure(Server& server, const Candidate& candidate, Instant begun) {
  if (WasSilent(candidate, begun)) watch_.NoteSilent(server.endpoint.Name(), clock_.Monotonic());
  if (server.connection && server.connection->is_lost()) server.Disconnect();
}

void GroupReader::NoteAnswer(const Candidate& candidate) {
  watch_.NoteAnswer(candidate.copy.endpoint.Name());
  if (std::ranges::count(answered_, candidate.copy.endpoint) > 0) return;
  answered_.push_back(candidate.copy.endpoint);
  if (candidate.is_primary) primary_that_answered_ = candidate.copy.endpoint;
  serving_.Add({.is_primary = candidate.is_primary,
                .is_doubtful = false,
                .is_durable = candidate.copy.is_durable,
                .has_all_before = candidate.copy.has_all_before});
}

// A switchover has made it read-only before another one takes writes: one that is not, now that all has been read, was
// the primary then.
void GroupReader::ConfirmPrimary() {
  if (!primary_that_answered_ || !settings_.place.moves()) return;
  Server& server = ServerOf(*primary_that_answered_);
  const auto read_only = server.connection ? server.connection->ReadInteger("SELECT @@GLOBAL.read_only")
                                           : Result<std::int64_t>(std::unexpected(NobodyToAsk()));
  if (read_only && *read_only == 0) return;
  if (server.connection && server.connection->is_lost()) server.Disconnect();
  serving_.is_doubtful = true;
}

// Rows of shards that have left are deleted once, after this was written down: a copy has it before it lacks them.
void GroupReader::ConfirmRows(std::int64_t map_revision) {
  if (!settings_.place.moves()) return;
  for (const Endpoint& endpoint : answered_) {
    Server& server = ServerOf(endpoint);
    const auto cleaned = server.connection
                             ? server.connection->ReadInteger("SELECT cleaned_revision FROM fence WHERE id = 1")
                             : Result<std::int64_t>(std::unexpected(NobodyToAsk()));
    if (cleaned && *cleaned <= map_revision) continue;
    if (server.connection && server.connection->is_lost()) server.Disconnect();
    serving_.is_doubtful = true;
  }
}

Error GroupReader::NobodyToAsk() const {
  Error error{Reason::kOverloaded, "group " + (placement_ ? placement_->name : std::string()) +
                                       ": none of the servers that could answer is in reach just now; try again in a "
                                       "moment, and if that lasts see whether they run and answer"};
  error.retry_after_ms = kAskAgainMs;
  return error;
}

}  // namespace muster::mariadb
