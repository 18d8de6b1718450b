#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "search/index_plan.h"
#include "store/sqlite_database.h"

namespace muster {

// How much a page may look at, rows and jumps to a row, and until when. Without it a page of a rare combination would
// take as long as there are members.
class SearchBudget {
 public:
  // So often the clock is looked at: between two looks little time passes, and a look is much cheaper than the rows.
  static constexpr std::size_t kRowsPerLook = 64;

  SearchBudget(std::size_t rows, Deadline deadline, const Clock& clock)
      : rows_(rows), left_(rows), deadline_(deadline), clock_(clock) {}

  // False when there is nothing left. Once the deadline has passed there is nothing.
  bool Spend() {
    if (left_ == 0) return false;
    --left_;
    if (++spent_ % kRowsPerLook == 0 && deadline_.Passed(clock_)) {
      is_late_ = true;
      left_ = 0;
    }
    return true;
  }
  // There is as much as in the beginning, unless it is late.
  void Renew() {
    if (!is_late_) left_ = rows_;
  }

  std::size_t left() const { return left_; }
  std::size_t spent() const { return spent_; }
  bool is_late() const { return is_late_; }

 private:
  const std::size_t rows_;
  std::size_t left_;
  std::size_t spent_ = 0;
  bool is_late_ = false;
  const Deadline deadline_;
  const Clock& clock_;
};

// Statements over the postings, prepared once and lent to cursors. Used by one thread.
class PostingStatements {
 public:
  explicit PostingStatements(Database& database) : database_(database) {}
  // ?1 the term, ?2 the id from which on; gives ids, rising or falling.
  Result<Statement> Take(bool descending);
  void GiveBack(Statement statement, bool descending);

 private:
  static constexpr std::size_t kKeptMax = 64;
  Database& database_;
  std::vector<Statement> idle_[2];
};

// Walks through the members of a source in the order of their ids. To go backwards ids are negated, so that places
// always rise.
class PostingCursor {
 public:
  static constexpr std::int64_t kEnd = INT64_MAX;
  struct Place {
    std::int64_t at = kEnd;
    bool is_hit = true;  // false: the budget is spent, and all before `at` has been told
  };

  virtual ~PostingCursor() = default;
  // The first member at or behind `from`, which never falls from call to call.
  virtual Result<Place> Seek(std::int64_t from, SearchBudget& budget) = 0;
};
// `statements` outlives it.
Result<std::unique_ptr<PostingCursor>> MakePostingCursor(const TermSource& source, bool descending,
                                                         PostingStatements& statements);

}  // namespace muster
