#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/mariadb/transaction.h"

// How a change comes from the outbox of its group into the stream, which lies in the first group (relay.h: by whom, and
// why it cannot come twice). Each function is one transaction, and may run again.
namespace muster::mariadb {

// A row of an outbox, as it is stored.
struct OutboxRow {
  std::int64_t sequence = 0;
  std::int64_t member_id = 0;
  std::int64_t version = 0;
  std::int64_t type = 0;
  std::int64_t time = 0;
};

// How many rows of an outbox are taken at once.
inline constexpr std::size_t kOutboxRowsMax = 1024;

// In a group: deletes the rows that were copied last, and answers the oldest of the others.
Result<std::vector<OutboxRow>> CollectOutbox(Transaction& transaction, const std::vector<std::int64_t>& copied);

// For how long a relay that says nothing keeps its place, by the first group's clock, and how often it says something.
inline constexpr Duration kRelayLease = std::chrono::seconds(3);
inline constexpr Duration kRelayRenewal = std::chrono::seconds(1);

// In the first group, as the rest: a new term for `holder`, unless another one's lease holds.
struct RelayTerm {
  std::int64_t number = 0;
  std::map<std::uint32_t, std::vector<std::int64_t>> copied;  // by group: sequences that may still be in its outbox
};
Result<std::optional<RelayTerm>> TakeRelay(Transaction& transaction, const std::string& holder);

// Gives the rows of each group the next positions, in their order; renews the lease. Groups in `emptied` have nothing
// in their outboxes any more that was copied. Answers the last position, or none: another term has begun.
struct GroupRows {
  std::uint32_t group = 0;
  std::vector<OutboxRow> rows;
};
Result<std::optional<std::int64_t>> AppendToStream(Transaction& transaction, std::int64_t term,
                                                   const std::vector<GroupRows>& batch,
                                                   const std::vector<std::uint32_t>& emptied);

// Ends the lease, so that another one need not wait for its end.
Result<void> LeaveRelay(Transaction& transaction, std::int64_t term);

// As ChangeKeeper says, of the whole stream: a bounded number of its oldest changes, but neither the newest nor what
// may still be in an outbox.
Result<std::uint64_t> ForgetChanges(Transaction& transaction, Timestamp before, std::int64_t keep_max);

// SQL: the microseconds since 1970 by the server's clock.
inline constexpr std::string_view kServerMicros = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)";

}  // namespace muster::mariadb
