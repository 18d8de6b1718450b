#include "search/index_writer.h"

#include <algorithm>
#include <iterator>

#include "search/index_record.h"
#include "search/index_terms.h"

namespace muster {

Result<std::unique_ptr<IndexWriter>> IndexWriter::Open(const std::string& path, const std::string& installation,
                                                       std::int64_t cache_bytes) {
  MUSTER_ASSIGN(Database database, OpenIndexFile(path, installation, cache_bytes));
  std::unique_ptr<IndexWriter> writer(new IndexWriter(std::move(database)));
  MUSTER_TRY(writer->Prepare());
  return writer;
}

Result<void> IndexWriter::Prepare() {
  MUSTER_ASSIGN(state_, ReadIndexState(database_));
  MUSTER_ASSIGN(select_, database_.Prepare("SELECT version, document FROM member WHERE id = ?1"));
  MUSTER_ASSIGN(replace_,
                database_.Prepare("INSERT OR REPLACE INTO member(id, version, created, updated, born, document) "
                                  "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
  MUSTER_ASSIGN(insert_posting_, database_.Prepare("INSERT OR IGNORE INTO posting(term, id) VALUES(?1, ?2)"));
  MUSTER_ASSIGN(delete_posting_, database_.Prepare("DELETE FROM posting WHERE term = ?1 AND id = ?2"));
  return {};
}

Result<void> IndexWriter::Begin() {
  added_.clear();
  removed_.clear();
  if (database_.InTransaction()) MUSTER_TRY(database_.Execute("ROLLBACK"));
  return database_.Execute("BEGIN IMMEDIATE");
}

Result<void> IndexWriter::Add(std::span<const Member> members) {
  for (const Member& member : members) {
    MUSTER_TRY(AddOne(MakeSearchDocument(member)));
  }
  return {};
}

Result<void> IndexWriter::Commit(const IndexState& state) {
  MUSTER_TRY(ChangePostings(delete_posting_, removed_));
  MUSTER_TRY(ChangePostings(insert_posting_, added_));
  MUSTER_TRY(WriteIndexState(database_, state));
  MUSTER_TRY(database_.Execute("COMMIT"));
  state_ = state;
  return {};
}

Result<void> IndexWriter::AddOne(const SearchDocument& document) {
  std::vector<std::int64_t> before;
  MUSTER_ASSIGN(const bool found, select_.Bind(1, document.id.value()).Step());
  if (found) {
    if (select_.Integer(0) >= document.version.value()) {
      select_.Reset();
      return {};
    }
    SearchDocument old{.id = document.id};
    const Result<void> decoded = DecodeDocument(select_.Blob(1), old);
    select_.Reset();
    MUSTER_TRY(decoded);
    before = TermsOf(old);
  }
  const std::vector<std::int64_t> after = TermsOf(document);
  std::vector<std::int64_t> changed;
  std::ranges::set_difference(before, after, std::back_inserter(changed));
  for (const std::int64_t term : changed) removed_.push_back({term, document.id});
  changed.clear();
  std::ranges::set_difference(after, before, std::back_inserter(changed));
  for (const std::int64_t term : changed) added_.push_back({term, document.id});

  EncodeDocument(document, record_);
  return replace_.Bind(1, document.id.value())
      .Bind(2, document.version.value())
      .Bind(3, -document.create_time.time_since_epoch().count())
      .Bind(4, -document.update_time.time_since_epoch().count())
      .Bind(5, -document.birth_day)
      .BindBlob(6, record_)
      .Run();
}

Result<void> IndexWriter::ChangePostings(Statement& change, std::vector<Posting>& postings) {
  std::ranges::sort(postings);
  for (const Posting& posting : postings) {
    MUSTER_TRY(change.Bind(1, posting.term).Bind(2, posting.id.value()).Run());
  }
  return {};
}

}  // namespace muster
