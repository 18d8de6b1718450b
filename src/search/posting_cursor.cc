#include "search/posting_cursor.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

// One term. Members that lie close are stepped to, since a step costs a fifth of a jump.
class TermCursor final : public PostingCursor {
 public:
  TermCursor(Statement statement, std::int64_t term, bool descending, PostingStatements& statements)
      : statements_(statements), statement_(std::move(statement)), term_(term), descending_(descending) {}
  ~TermCursor() override {
    statement_.Reset();
    statements_.GiveBack(std::move(statement_), descending_);
  }

  Result<Place> Seek(std::int64_t from, SearchBudget& budget) override {
    for (int steps = 0; is_begun_ && current_ < from && steps < kStepsMax; ++steps) MUSTER_TRY(Step(budget));
    if (!is_begun_ || current_ < from) {
      statement_.Reset();
      statement_.Bind(1, term_).Bind(2, descending_ ? -from : from);
      is_begun_ = true;
      MUSTER_TRY(Step(budget));
    }
    return Place{.at = current_};
  }

 private:
  static constexpr int kStepsMax = 4;

  // A row that is not paid for is read all the same; whoever combines cursors stops then.
  Result<void> Step(SearchBudget& budget) {
    budget.Spend();
    MUSTER_ASSIGN(const bool found, statement_.Step());
    current_ = !found ? kEnd : descending_ ? -statement_.Integer(0) : statement_.Integer(0);
    return {};
  }

  PostingStatements& statements_;
  Statement statement_;
  const std::int64_t term_;
  const bool descending_;
  bool is_begun_ = false;
  std::int64_t current_ = 0;
};

class AllCursor final : public PostingCursor {
 public:
  explicit AllCursor(std::vector<std::unique_ptr<PostingCursor>> children) : children_(std::move(children)) {}

  // Whoever is behind is sent to where the first of all is, until all are at one place.
  Result<Place> Seek(std::int64_t from, SearchBudget& budget) override {
    std::int64_t at = from;
    for (std::size_t agreed = 0, next = 0; agreed < children_.size(); next = (next + 1) % children_.size()) {
      if (budget.left() == 0) return Place{.at = at, .is_hit = false};
      MUSTER_ASSIGN(const Place place, children_[next]->Seek(at, budget));
      if (!place.is_hit || place.at == kEnd) return place;
      agreed = place.at == at ? agreed + 1 : 1;
      at = place.at;
    }
    return Place{.at = at};
  }

 private:
  std::vector<std::unique_ptr<PostingCursor>> children_;
};

class AnyCursor final : public PostingCursor {
 public:
  explicit AnyCursor(std::vector<std::unique_ptr<PostingCursor>> children)
      : children_(std::move(children)), places_(children_.size(), Place{.at = INT64_MIN}) {}

  Result<Place> Seek(std::int64_t from, SearchBudget& budget) override {
    Place first;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (places_[i].at < from || !places_[i].is_hit) {
        MUSTER_ASSIGN(places_[i], children_[i]->Seek(from, budget));
      }
      // At the same place a hit counts.
      if (std::pair(places_[i].at, !places_[i].is_hit) < std::pair(first.at, !first.is_hit)) first = places_[i];
    }
    return first;
  }

 private:
  std::vector<std::unique_ptr<PostingCursor>> children_;
  std::vector<Place> places_;
};

}  // namespace

Result<Statement> PostingStatements::Take(bool descending) {
  std::vector<Statement>& idle = idle_[descending ? 1 : 0];
  if (idle.empty()) {
    return database_.Prepare(descending ? "SELECT id FROM posting WHERE term = ?1 AND id <= ?2 ORDER BY id DESC"
                                        : "SELECT id FROM posting WHERE term = ?1 AND id >= ?2 ORDER BY id");
  }
  Statement statement = std::move(idle.back());
  idle.pop_back();
  return statement;
}

void PostingStatements::GiveBack(Statement statement, bool descending) {
  std::vector<Statement>& idle = idle_[descending ? 1 : 0];
  if (idle.size() < kKeptMax) idle.push_back(std::move(statement));
}

Result<std::unique_ptr<PostingCursor>> MakePostingCursor(const TermSource& source, bool descending,
                                                         PostingStatements& statements) {
  if (source.kind == TermSource::Kind::kTerm) {
    MUSTER_ASSIGN(Statement statement, statements.Take(descending));
    return std::make_unique<TermCursor>(std::move(statement), source.term, descending, statements);
  }
  std::vector<std::unique_ptr<PostingCursor>> children;
  children.reserve(source.children.size());
  for (const TermSource& child : source.children) {
    MUSTER_ASSIGN(children.emplace_back(), MakePostingCursor(child, descending, statements));
  }
  if (source.kind == TermSource::Kind::kAll) return std::make_unique<AllCursor>(std::move(children));
  return std::make_unique<AnyCursor>(std::move(children));
}

}  // namespace muster
