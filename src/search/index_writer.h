#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/member.h"
#include "domain/search_fields.h"
#include "search/index_file.h"
#include "store/sqlite_database.h"

namespace muster {

// Brings members into the index's file. Used by one thread at a time.
class IndexWriter {
 public:
  static Result<std::unique_ptr<IndexWriter>> Open(const std::string& path, const std::string& installation,
                                                   std::int64_t cache_bytes);

  const IndexState& state() const { return state_; }
  // One transaction: Begin, Add as often as need be, Commit, which remembers `state` with the members; or none of it,
  // when any of them fails, and the next Begin clears it away. A member is added once in a transaction. Of one that the
  // index has in the same or a higher version nothing is done.
  Result<void> Begin();
  Result<void> Add(std::span<const Member> members);
  Result<void> Commit(const IndexState& state);

 private:
  explicit IndexWriter(Database database) : database_(std::move(database)) {}
  Result<void> Prepare();
  struct Posting {
    std::int64_t term;
    MemberId id;
    friend auto operator<=>(const Posting&, const Posting&) = default;
  };

  Result<void> AddOne(const SearchDocument& document);
  static Result<void> ChangePostings(Statement& change, std::vector<Posting>& postings);

  Database database_;
  IndexState state_;
  Statement select_, replace_, insert_posting_, delete_posting_;
  std::string record_;
  // Of the transaction: made in the order of the table, in which neighbours share a page.
  std::vector<Posting> added_, removed_;
};

}  // namespace muster
