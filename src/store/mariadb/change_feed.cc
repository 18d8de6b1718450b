#include "store/mariadb/change_feed.h"

#include <algorithm>

#include "store/mariadb/stream.h"
#include "store/member_codec.h"

namespace muster::mariadb {

Result<std::vector<Connection::Row>> StreamFeed::Ask(const std::string& sql) {
  std::lock_guard lock(mutex_);
  return link_.Run([&](Connection& connection) { return connection.Query(sql); });
}

Result<StreamFeed::Place> StreamFeed::ReadPlace() {
  MUSTER_ASSIGN(const auto rows, Ask("SELECT last_position, forgotten_to, holder, CAST(until_time AS SIGNED) - " +
                                     std::string(kServerMicros) + " FROM relay WHERE id = 1"));
  if (rows.empty()) {
    return Fail(Reason::kInternal, "group " + link_.settings().place.Now()->name +
                                       ": its table relay has no row; the database is damaged: restore all groups "
                                       "from one backup");
  }
  const Duration lease_left(NumberIn(rows[0][3]));
  return Place{.last = NumberIn(rows[0][0]),
               .forgotten_to = NumberIn(rows[0][1]),
               .holder = rows[0][2],
               // More than any lease has: the clock has been set back since.
               .lease_left = lease_left > kRelayLease ? Duration(0) : lease_left};
}

Result<ChangeFeed::Bounds> StreamFeed::ReadBounds() {
  MUSTER_ASSIGN(const Place place, ReadPlace());
  return Bounds{.before_earliest = place.forgotten_to, .latest = place.last};
}

Result<ChangeFeed::Page> StreamFeed::Read(std::int64_t after, std::size_t limit) {
  MUSTER_ASSIGN(const auto rows, Ask("SELECT position, member_id, version, type, time FROM stream WHERE position > " +
                                     std::to_string(after) + " ORDER BY position LIMIT " +
                                     std::to_string(std::min<std::size_t>(limit, 1U << 30))));
  // Asked after they were read: what they lack was forgotten before, with the commit that says so.
  MUSTER_ASSIGN(const Place place, ReadPlace());
  if (after < place.forgotten_to) return FailExpired(after);
  Page page{.events = {}, .next = after};
  page.events.reserve(rows.size());
  for (const Connection::Row& row : rows) {
    ChangeEvent event{.position = NumberIn(row[0]),
                      .member_id = MemberId(NumberIn(row[1])),
                      .version = Version(NumberIn(row[2])),
                      .time = Timestamp(Duration(NumberIn(row[4])))};
    MUSTER_ASSIGN(event.type, DecodeChangeType(event.member_id, NumberIn(row[3])));
    page.events.push_back(event);
  }
  if (!page.events.empty()) page.next = page.events.back().position;
  return page;
}

}  // namespace muster::mariadb
