#include "centers/copy_reader.h"

#include <utility>

#include "store/holder_search.h"

namespace muster::sim {
namespace {

using mariadb::ReadFrom;

std::unexpected<Error> NobodyAnswers() {
  return muster::Fail(Reason::kOverloaded, "no server that could answer is in reach");
}

ReadFrom FromOf(const ReadOptions& options) {
  if (options.no_cache) return ReadFrom::kPrimary;
  return options.prefer_primary ? ReadFrom::kPrimaryFirst : ReadFrom::kNearest;
}

// A search over the rows of one server. The lookup row was read by a statement before, as in a batch.
class RowsSearch final : public HolderSource {
 public:
  RowsSearch(const GroupRows& rows, const std::optional<LookupRow>& lookup) : rows_(rows), lookup_(lookup) {}

  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    if (!is_anew_) return lookup_;
    const auto row = rows_.lookups.find(key);
    return row == rows_.lookups.end() ? std::nullopt : std::optional(row->second);
  }
  Result<Owner> ReadOwner(MemberId id) override {
    const auto member = rows_.members.find(id);
    if (member == rows_.members.end()) return Owner{};
    return Owner{.document = MakeMemberDocument(member->second), .heir = {}};
  }
  bool SharesSnapshot(const IdentityKey& /*key*/, MemberId /*id*/) const override { return false; }
  void BeginAnew() override { is_anew_ = true; }

 private:
  const GroupRows& rows_;
  const std::optional<LookupRow> lookup_;
  bool is_anew_ = false;
};

}  // namespace

void CopyReader::Get(MemberId id, const ReadOptions& options, MemberReply reply) {
  BeginRound(std::make_shared<Reading>(
      Reading{.id = id, .key = {}, .options = options, .reply = std::move(reply), .from = FromOf(options)}));
}

void CopyReader::Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) {
  BeginRound(std::make_shared<Reading>(Reading{.is_resolve = true,
                                               .id = {},
                                               .key = key,
                                               .options = options,
                                               .reply = std::move(reply),
                                               .from = FromOf(options)}));
}

void CopyReader::BeginRound(const ReadingRef& reading) {
  ++reading->rounds;
  reading->candidates = mariadb::CandidatesOf(places_.Now(), reading->from, lag_max_, world_.now(), reading->excluded);
  reading->next = 0;
  Ask(reading);
}

void CopyReader::Ask(const ReadingRef& reading) {
  if (reading->next >= reading->candidates.size()) {
    // What the round before has left says more.
    if (reading->left) return reading->reply(*std::move(reading->left));
    return reading->reply(NobodyAnswers());
  }
  const std::string database = DatabaseAt(reading->candidates[reading->next].copy.endpoint);
  const auto read_rows = [this, reading, database] { ReadRows(reading, database); };
  const auto confirm = [this, reading, database] { Confirm(reading, database); };
  if (!reading->is_resolve) return Visit(reading, database, read_rows, confirm);
  Visit(
      reading, database,
      [this, reading, database] {
        const auto& lookups = group_.Visible(database).lookups;
        const auto row = lookups.find(reading->key);
        reading->lookup = row == lookups.end() ? std::nullopt : std::optional(row->second);
      },
      [this, reading, database, read_rows, confirm] { Visit(reading, database, read_rows, confirm); });
}

void CopyReader::ReadRows(const ReadingRef& reading, const std::string& database) {
  const GroupRows& rows = group_.Visible(database);
  if (reading->is_resolve) {
    RowsSearch search(rows, reading->lookup);
    reading->found = FindHolder(reading->key, search);
    return;
  }
  const auto member = rows.members.find(reading->id);
  reading->found = member == rows.members.end() ? MemberDocumentRef() : MakeMemberDocument(member->second);
}

void CopyReader::Visit(const ReadingRef& reading, const std::string& database, std::move_only_function<void()> work,
                       std::move_only_function<void()> then) {
  const bool is_last = reading->next + 1 == reading->candidates.size();
  const Instant until = world_.now() + (is_last ? kLastPatience : kPatience);
  const auto give_up = [this, reading, until] {
    life_.After(std::max(until - world_.now(), Duration(0)), [this, reading] {
      ++reading->next;
      Ask(reading);
    });
  };
  if (!life_.Acts() || !group_.Reaches(place_, database)) return give_up();
  world_.scheduler.After(world_.Travel(),
                         [this, database, give_up, until, work = std::move(work), then = std::move(then)]() mutable {
                           if (!group_.Reaches(place_, database)) return give_up();
                           work();
                           const Duration back = world_.Travel();
                           if (world_.now() + back > until) return give_up();
                           life_.After(back, std::move(then));
                         });
}

// A switchover has made it read-only before another one takes writes.
void CopyReader::Confirm(const ReadingRef& reading, const std::string& database) {
  if (!reading->found) {
    ++reading->next;
    return Ask(reading);
  }
  const bool is_primary = reading->candidates[reading->next].is_primary;
  if (!is_primary || world_.IsPlanted(PlantedInCenters::kPrimaryUnconfirmed)) return Judge(reading, false);
  const auto is_writable = std::make_shared<bool>(false);
  Visit(
      reading, database, [this, database, is_writable] { *is_writable = group_.Get(database).is_writable; },
      [this, reading, is_writable] { Judge(reading, !*is_writable); });
}

void CopyReader::Judge(const ReadingRef& reading, bool is_doubtful) {
  const mariadb::ReadCandidate& candidate = reading->candidates[reading->next];
  const bool says_age = !world_.IsPlanted(PlantedInCenters::kAgeUnsaid) &&
                        !(candidate.is_primary && world_.IsPlanted(PlantedInCenters::kPrimaryUnconfirmed));
  const mariadb::Serving serving{.is_primary = candidate.is_primary,
                                 .is_doubtful = is_doubtful,
                                 .is_durable = candidate.copy.is_durable,
                                 .has_all_before = says_age ? candidate.copy.has_all_before : Instant::max()};
  mariadb::ReadVerdict verdict =
      mariadb::JudgeRead(reading->from, reading->options, *reading->found, serving, world_.clock);
  if (verdict.is_final || reading->rounds >= kRoundsMax) return reading->reply(std::move(verdict.answer));
  reading->left = std::move(verdict.answer);
  reading->excluded.push_back(candidate.copy.endpoint);
  BeginRound(reading);
}

}  // namespace muster::sim
