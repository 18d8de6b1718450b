#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "domain/ports/change_feed.h"
#include "store/sqlite_database.h"

namespace muster {

// The file of the search index, <data>/search.db: a projection that can be thrown away at any time.
//
//   member    one row a member: its version, the orders, and its document (index_record.h). created, updated and born
//   are
//             the negatives of the times and of the day, so that going forward is newest first and then by rising ids.
//   posting   (term, member) for each term of each member (index_terms.h)
//   meta      IndexState, and whose data it is

// Of what the file holds: another one is thrown away.
inline constexpr std::int64_t kIndexVersion = 1;

// How far the file follows the changes.
struct IndexState {
  bool is_built = false;
  std::int64_t position = 0;     // of the change feed: every change up to it is in the file, once it is built
  std::int64_t build_after = 0;  // members up to this id were read while it is being built
  std::int64_t built = 0;        // how many those were
  std::optional<ChangeEvent> last =
      std::nullopt;  // the event at the highest position that was applied: to know the feed again

  friend bool operator==(const IndexState&, const IndexState&) = default;
};

// Opens the index of this installation for writing, made anew and empty when there is none, or one of another
// installation or version. `cache_bytes` is its page cache. INTERNAL, WRITES_UNAVAILABLE as Database.
Result<Database> OpenIndexFile(const std::string& path, const std::string& installation, std::int64_t cache_bytes);
// Deletes it. No connection may be open.
Result<void> RemoveIndexFile(const std::string& path);

Result<IndexState> ReadIndexState(Database& database);
// In the transaction that is under way.
Result<void> WriteIndexState(Database& database, const IndexState& state);

}  // namespace muster
