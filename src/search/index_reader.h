#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "domain/ports/member_search.h"
#include "search/index_plan.h"
#include "search/posting_cursor.h"

namespace muster {

// What a page costs at most.
struct SearchBounds {
  std::size_t examined_max = 20'000;  // rows looked at for one page; then it ends early, and goes on behind
  std::size_t sorted_max = 2'000;     // members of a source that are sorted in memory, by an order that is not theirs
};

// One connection that answers queries. Used by one thread at a time.
//
// By id, a source is walked through as it stands. By another order its members are sorted, if they are few; if they are
// many, the order's own index is walked through, in which they then stand close.
class IndexReader {
 public:
  static Result<std::unique_ptr<IndexReader>> Open(const std::string& path, const SearchBounds& bounds,
                                                   const Clock& clock);

  // INVALID_ARGUMENT as MemberSearch, DEADLINE_EXCEEDED; all other errors are the file's.
  Result<MemberSearch::Page> Search(const MemberSearch::Query& query);
  // Rows looked at since it was opened.
  std::uint64_t examined() const { return examined_; }

 private:
  // The work on one page.
  struct Work {
    const MemberSearch::Query& query;
    const IndexPlan& plan;
    SearchBudget budget;
    MemberSearch::Page page;

    // Takes a hit; true when the page is complete, which it is once there is one more than it may have.
    bool Add(const SearchKey& key);
  };

  IndexReader(Database database, const SearchBounds& bounds, const Clock& clock)
      : database_(std::move(database)), postings_(database_), bounds_(bounds), clock_(clock) {}
  Result<void> Prepare();
  Result<MemberSearch::Page> Run(const MemberSearch::Query& query, const IndexPlan& plan);
  Result<void> Find(Work& work);
  Result<void> WalkSource(Work& work);
  // False: the source has too many.
  Result<bool> SortSource(Work& work);
  Result<void> WalkIds(Work& work);
  Result<void> WalkOrder(Work& work);
  // Takes the rows of `scan`, whose parameters are bound, until they end; true: the page is complete.
  Result<bool> TakeRows(Work& work, Statement& scan);

  Result<std::optional<SearchDocument>> ReadDocument(MemberId id);
  static Result<SearchDocument> DocumentOf(const Statement& row);

  Database database_;
  PostingStatements postings_;
  const SearchBounds bounds_;
  const Clock& clock_;
  std::uint64_t examined_ = 0;
  Statement begin_, end_, select_;
  Statement scan_ids_[2];  // rising, falling
  // By created, updated and born; each forwards (newest first) and backwards: those of one value, and those behind it.
  struct OrderScans {
    Statement same[2], behind[2];
  };
  OrderScans scans_[3];
};

}  // namespace muster
