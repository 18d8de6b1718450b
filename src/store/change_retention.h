#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "store/sqlite_database.h"

namespace muster {

// What one file has forgotten of the change stream; its history keeps all.
struct ForgottenChanges {
  std::int64_t to = 0;  // the position of the newest one
  std::int64_t count = 0;
};
// Kept in the file's meta table with the deletion.
Result<ForgottenChanges> ReadForgottenChanges(Database& database);

// Forgets the oldest changes of a file. Part of the file's transaction.
class ChangeRetention {
 public:
  Result<void> Prepare(Database& database);

  // Finds the oldest changes, `limit` at most, that were made before `before` or have a position up to `surplus`; one
  // that is neither ends them. Never the file's newest, `newest`, which carries its counts. None: `count` is 0.
  Result<ForgottenChanges> Find(Timestamp before, std::int64_t surplus, std::int64_t newest, std::int64_t limit);
  // Deletes what was found.
  Result<void> Forget(const ForgottenChanges& found);

 private:
  Statement select_oldest_, delete_oldest_, count_forgotten_, note_forgotten_;
};

}  // namespace muster
