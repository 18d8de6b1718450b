#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "api/query.h"
#include "base/result.h"
#include "domain/ids.h"
#include "domain/ports/change_feed.h"

namespace muster {

// Where a stream of changes begins.
struct ChangeFrom {
  enum class Kind : std::uint8_t { kLatest, kEarliest, kAfter };
  Kind kind = Kind::kLatest;
  std::int64_t position = 0;   // of kAfter
  const char* field = "from";  // what said so, for a refusal; a literal
};

// Which changes a stream shows.
struct ChangeFilter {
  std::uint32_t types = 0;        // bit n: the ChangeType n; 0: all
  std::vector<MemberId> members;  // sorted; none: all

  bool PassesAll() const { return types == 0 && members.empty(); }
  bool Passes(const ChangeEvent& event) const;
};

// A muster.v1.WatchChangesRequest.
struct WatchRequest {
  static constexpr std::size_t kMembersMax = 100;

  ChangeFrom from;
  ChangeFilter filter;
};

// From a query with lists whose items have commas between them; `last_event_id`, unless it is empty, wins over "from".
// INVALID_ARGUMENT names the parameter.
Result<WatchRequest> ReadWatchQuery(QueryParameters& parameters, std::string_view query,
                                    std::string_view last_event_id);
// From protobuf's wire format.
Result<WatchRequest> ReadWatchMessage(std::string_view message);

}  // namespace muster
