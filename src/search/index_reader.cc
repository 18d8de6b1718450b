#include "search/index_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "search/index_record.h"

namespace muster {
namespace {

constexpr std::string_view kColumns = "SELECT id, version, created, updated, born, document FROM member ";
constexpr const char* kOrderColumns[] = {"created", "updated", "born"};

std::size_t OrderIndex(SearchField field) {
  switch (field) {
    case SearchField::kCreateTime:
      return 0;
    case SearchField::kUpdateTime:
      return 1;
    case SearchField::kBirthDate:
      return 2;
    default:
      MUSTER_UNREACHABLE("a field without an order");
  }
}

// Negated, as the columns are; total over all numbers.
std::int64_t Negative(std::int64_t number) { return number == INT64_MIN ? INT64_MAX : -number; }

// Ends the statements of a page however it is left.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ResetAtEnd(const ResetAtEnd&) = delete;
  ~ResetAtEnd() { statement_.Reset(); }

 private:
  Statement& statement_;
};

}  // namespace

bool IndexReader::Work::Add(const SearchKey& key) {
  if (page.hits.size() == query.limit) {
    page.next = page.hits.back();
    return true;
  }
  page.hits.push_back(key);
  return false;
}

Result<std::unique_ptr<IndexReader>> IndexReader::Open(const std::string& path, const SearchBounds& bounds,
                                                       const Clock& clock) {
  MUSTER_ASSIGN(Database database, Database::Open(path, Database::Mode::kRead));
  std::unique_ptr<IndexReader> reader(new IndexReader(std::move(database), bounds, clock));
  MUSTER_TRY(reader->Prepare());
  return reader;
}

Result<void> IndexReader::Prepare() {
  // Mapped, so that a row that is in the machine's page cache is read without a system call.
  MUSTER_TRY(database_.Execute("PRAGMA mmap_size = 68719476736; PRAGMA cache_size = -2048"));
  const std::string columns(kColumns);
  MUSTER_ASSIGN(begin_, database_.Prepare("BEGIN"));
  MUSTER_ASSIGN(end_, database_.Prepare("COMMIT"));
  MUSTER_ASSIGN(select_, database_.Prepare(columns + "WHERE id = ?1"));
  MUSTER_ASSIGN(scan_ids_[0], database_.Prepare(columns + "WHERE id >= ?1 AND id <= ?2 ORDER BY id"));
  MUSTER_ASSIGN(scan_ids_[1], database_.Prepare(columns + "WHERE id >= ?1 AND id <= ?2 ORDER BY id DESC"));
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string column(kOrderColumns[i]);
    std::string same = columns;
    same.append("WHERE ").append(column).append(" = ?1 AND id ");
    std::string range = columns;
    range.append("WHERE ")
        .append(column)
        .append(" >= ?1 AND ")
        .append(column)
        .append(" <= ?2 ORDER BY ")
        .append(column);
    MUSTER_ASSIGN(scans_[i].same[0], database_.Prepare(same + "> ?2 ORDER BY id"));
    MUSTER_ASSIGN(scans_[i].same[1], database_.Prepare(same + "< ?2 ORDER BY id DESC"));
    MUSTER_ASSIGN(scans_[i].behind[0], database_.Prepare(range + ", id"));
    MUSTER_ASSIGN(scans_[i].behind[1], database_.Prepare(range + " DESC, id DESC"));
  }
  return {};
}

Result<MemberSearch::Page> IndexReader::Search(const MemberSearch::Query& query) {
  MUSTER_CHECK(query.limit > 0);
  MUSTER_ASSIGN(const IndexPlan plan, MakeIndexPlan(query.filter, query.order));
  // One snapshot for all statements of the page.
  MUSTER_TRY(begin_.Run());
  Result<MemberSearch::Page> page = Run(query, plan);
  MUSTER_TRY(end_.Run());
  return page;
}

Result<MemberSearch::Page> IndexReader::Run(const MemberSearch::Query& query, const IndexPlan& plan) {
  Work work{.query = query, .plan = plan, .budget = {bounds_.examined_max, query.deadline, clock_}, .page = {}};
  work.page.hits.reserve(std::min<std::size_t>(query.limit, 1000));
  const Result<void> found = Find(work);
  examined_ += work.budget.spent();
  MUSTER_TRY(found);
  if (work.budget.is_late()) {
    return Fail(Reason::kDeadlineExceeded,
                "the deadline passed while the index was searched; allow more time, or add a comparison that fewer "
                "members pass");
  }
  return std::move(work.page);
}

Result<void> IndexReader::Find(Work& work) {
  const bool has_source = work.plan.source.has_value();
  if (work.query.order.field == SearchField::kId) return has_source ? WalkSource(work) : WalkIds(work);
  if (has_source) {
    MUSTER_ASSIGN(const bool is_sorted, SortSource(work));
    if (is_sorted) return {};
  }
  return WalkOrder(work);
}

Result<void> IndexReader::WalkSource(Work& work) {
  const bool descending = work.query.order.descending;
  MUSTER_ASSIGN(const auto cursor, MakePostingCursor(*work.plan.source, descending, postings_));
  // Places rise: to go backwards ids are negated.
  const auto place_of = [descending](std::int64_t id) { return descending ? -id : id; };
  const std::int64_t first = std::max<std::int64_t>(work.plan.min, 1);
  const std::int64_t last = work.plan.max;
  std::int64_t from = descending ? -last : first;
  if (work.query.after) from = std::max(from, place_of(work.query.after->id.value()) + 1);
  const std::int64_t end = descending ? -first : last;
  while (from <= end) {
    MUSTER_ASSIGN(const PostingCursor::Place place, cursor->Seek(from, work.budget));
    if (place.at == PostingCursor::kEnd || place.at > end) return {};
    const MemberId id(place_of(place.at));
    const bool is_paid = place.is_hit && work.budget.Spend();
    if (!is_paid) {
      // Everything before this place was looked at.
      const std::int64_t before = place_of(place.at - 1);
      work.page.next = SearchKey{before, MemberId(before)};
      return {};
    }
    bool matches = work.plan.source_decides;
    if (!matches) {
      MUSTER_ASSIGN(const auto document, ReadDocument(id));
      matches = document && Matches(work.query.filter, *document);
    }
    if (matches && work.Add({id.value(), id})) return {};
    from = place.at + 1;
  }
  return {};
}

Result<bool> IndexReader::SortSource(Work& work) {
  MUSTER_ASSIGN(const auto cursor, MakePostingCursor(*work.plan.source, false, postings_));
  std::vector<SearchKey> keys;
  std::size_t found = 0;
  for (std::int64_t from = 1;; ++found) {
    MUSTER_ASSIGN(const PostingCursor::Place place, cursor->Seek(from, work.budget));
    if (place.at == PostingCursor::kEnd) break;
    if (!place.is_hit || found == bounds_.sorted_max || work.budget.left() <= bounds_.examined_max / 2) {
      // Had it been known before, nothing would have been spent on it.
      work.budget.Renew();
      return false;
    }
    MUSTER_ASSIGN(const auto document, ReadDocument(MemberId(place.at)));
    from = place.at + 1;
    if (!document || !Matches(work.query.filter, *document)) continue;
    const SearchKey key{SearchValueOf(work.query.order.field, *document), document->id};
    if (!work.query.after || ComesBefore(work.query.order, *work.query.after, key)) keys.push_back(key);
  }
  const std::size_t shown = std::min(keys.size(), work.query.limit + 1);
  const auto middle = keys.begin() + static_cast<std::ptrdiff_t>(shown);
  std::ranges::partial_sort(
      keys, middle, [&](const SearchKey& a, const SearchKey& b) { return ComesBefore(work.query.order, a, b); });
  for (auto key = keys.begin(); key != middle; ++key) {
    if (work.Add(*key)) break;
  }
  return true;
}

Result<void> IndexReader::WalkIds(Work& work) {
  const bool descending = work.query.order.descending;
  std::int64_t min = std::max<std::int64_t>(work.plan.min, 1), max = work.plan.max;
  if (work.query.after) {
    const std::int64_t after = work.query.after->id.value();
    if (descending) {
      max = std::min(max, after - 1);
    } else if (after == INT64_MAX) {
      return {};
    } else {
      min = std::max(min, after + 1);
    }
  }
  Statement& scan = scan_ids_[descending ? 1 : 0];
  scan.Bind(1, min).Bind(2, max);
  MUSTER_TRY(TakeRows(work, scan));
  return {};
}

Result<void> IndexReader::WalkOrder(Work& work) {
  const SearchOrder& order = work.query.order;
  OrderScans& scans = scans_[OrderIndex(order.field)];
  const std::size_t way = order.descending ? 0 : 1;
  // In the negatives that the columns hold.
  std::int64_t min = Negative(work.plan.max), max = Negative(work.plan.min);
  if (work.query.after) {
    const std::int64_t value = Negative(work.query.after->value);
    scans.same[way].Bind(1, value).Bind(2, work.query.after->id.value());
    MUSTER_ASSIGN(const bool is_complete, TakeRows(work, scans.same[way]));
    if (is_complete) return {};
    if (order.descending) {
      if (value == INT64_MAX) return {};
      min = std::max(min, value + 1);
    } else {
      if (value == INT64_MIN) return {};
      max = std::min(max, value - 1);
    }
  }
  scans.behind[way].Bind(1, min).Bind(2, max);
  MUSTER_TRY(TakeRows(work, scans.behind[way]));
  return {};
}

Result<bool> IndexReader::TakeRows(Work& work, Statement& scan) {
  const ResetAtEnd reset(scan);
  for (;;) {
    MUSTER_ASSIGN(const bool found, scan.Step());
    if (!found) return false;
    MUSTER_ASSIGN(const SearchDocument document, DocumentOf(scan));
    const SearchKey key{SearchValueOf(work.query.order.field, document), document.id};
    if (Matches(work.query.filter, document) && work.Add(key)) return true;
    if (work.budget.Spend()) continue;
    // This row was looked at: a page goes on behind it.
    work.page.next = key;
    return true;
  }
}

Result<std::optional<SearchDocument>> IndexReader::ReadDocument(MemberId id) {
  const ResetAtEnd reset(select_);
  MUSTER_ASSIGN(const bool found, select_.Bind(1, id.value()).Step());
  if (!found) return std::optional<SearchDocument>();
  MUSTER_ASSIGN(SearchDocument document, DocumentOf(select_));
  return std::optional(std::move(document));
}

Result<SearchDocument> IndexReader::DocumentOf(const Statement& row) {
  SearchDocument document{.id = MemberId(row.Integer(0)),
                          .version = Version(row.Integer(1)),
                          .birth_day = Negative(row.Integer(4)),
                          .create_time = Timestamp(Duration(Negative(row.Integer(2)))),
                          .update_time = Timestamp(Duration(Negative(row.Integer(3))))};
  MUSTER_TRY(DecodeDocument(row.Blob(5), document));
  return document;
}

}  // namespace muster
