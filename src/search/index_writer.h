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
  // Brings in `members` and remembers `state`, both or none. Of a member that the index has in the same or a higher
  // version nothing is done.
  Result<void> Apply(std::span<const Member> members, const IndexState& state);

 private:
  explicit IndexWriter(Database database) : database_(std::move(database)) {}
  Result<void> Prepare();
  Result<void> ApplyAll(std::span<const Member> members, const IndexState& state);
  Result<void> ApplyOne(const SearchDocument& document);
  Result<void> ChangePostings(Statement& change, std::span<const std::int64_t> terms, MemberId id);

  Database database_;
  IndexState state_;
  Statement select_, replace_, insert_posting_, delete_posting_;
  std::string record_;
};

}  // namespace muster
