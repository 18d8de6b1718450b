#include "store/change_retention.h"

namespace muster {

Result<ForgottenChanges> ReadForgottenChanges(Database& database) {
  ForgottenChanges forgotten;
  MUSTER_ASSIGN(
      forgotten.to,
      database.ReadInteger(
          "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'changes_forgotten_to'), 0)"));
  MUSTER_ASSIGN(forgotten.count,
                database.ReadInteger(
                    "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'changes_forgotten'), 0)"));
  return forgotten;
}

Result<void> ChangeRetention::Prepare(Database& database) {
  MUSTER_ASSIGN(select_oldest_, database.Prepare("SELECT position, time FROM change ORDER BY position LIMIT ?1"));
  MUSTER_ASSIGN(delete_oldest_, database.Prepare("DELETE FROM change WHERE position <= ?1"));
  MUSTER_ASSIGN(note_forgotten_, database.Prepare("INSERT INTO meta(name, value) VALUES('changes_forgotten_to', ?1) "
                                                  "ON CONFLICT(name) DO UPDATE SET value = ?1"));
  MUSTER_ASSIGN(count_forgotten_, database.Prepare("INSERT INTO meta(name, value) VALUES('changes_forgotten', ?1) "
                                                   "ON CONFLICT(name) DO UPDATE SET value = value + ?1"));
  return {};
}

Result<ForgottenChanges> ChangeRetention::Find(Timestamp before, std::int64_t surplus, std::int64_t newest,
                                               std::int64_t limit) {
  ForgottenChanges found;
  select_oldest_.Bind(1, limit);
  for (;;) {
    const Result<bool> more = select_oldest_.Step();
    if (!more) {
      select_oldest_.Reset();
      return Fail(more.error());
    }
    if (!*more) break;
    const std::int64_t position = select_oldest_.Integer(0);
    const Timestamp time{Duration(select_oldest_.Integer(1))};
    if (position >= newest || (time >= before && position > surplus)) break;
    found = {.to = position, .count = found.count + 1};
  }
  select_oldest_.Reset();
  return found;
}

Result<void> ChangeRetention::Forget(const ForgottenChanges& found) {
  MUSTER_TRY(delete_oldest_.Bind(1, found.to).Run());
  MUSTER_TRY(note_forgotten_.BindText(1, std::to_string(found.to)).Run());
  return count_forgotten_.BindText(1, std::to_string(found.count)).Run();
}

}  // namespace muster
