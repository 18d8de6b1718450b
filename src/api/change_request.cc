#include "api/change_request.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "api/proto_reader.h"
#include "domain/change.h"

namespace muster {

namespace {

constexpr std::array<std::string_view, 3> kWatchParameters = {"from", "types", "memberIds"};

constexpr const char* kTypesHelp = "must be names of change types, such as REGISTERED or IDENTITY_BOUND";

constexpr const char* kMembersHelp =
    "must be ids of members, whole numbers from 1 to 9223372036854775807, at most 100 of them";

// Calls `take` with each part between commas until it answers false; whether it never did. An empty list has none.
template <typename Take>
bool ForEachItem(std::string_view list, Take take) {
  if (list.empty()) return true;
  for (;;) {
    const std::size_t comma = list.find(',');
    if (!take(list.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

bool AddType(ChangeFilter& filter, std::optional<ChangeType> type) {
  if (!type) return false;
  filter.types |= std::uint32_t{1} << static_cast<unsigned>(*type);
  return true;
}

bool AddMember(ChangeFilter& filter, std::optional<std::int64_t> id) {
  if (!id || *id <= 0 || filter.members.size() == WatchRequest::kMembersMax) return false;
  filter.members.emplace_back(*id);
  return true;
}

std::optional<ChangeType> TypeOfNumber(std::int64_t number) {
  const bool is_known =
      number >= static_cast<int>(ChangeType::kRegistered) && number <= static_cast<int>(ChangeType::kImported);
  return is_known ? std::optional(static_cast<ChangeType>(number)) : std::nullopt;
}

Result<ChangeFrom> ParseFrom(std::string_view text, const char* field) {
  if (text.empty() || text == "latest") return ChangeFrom{.field = field};
  if (text == "earliest") return ChangeFrom{.kind = ChangeFrom::Kind::kEarliest, .field = field};
  if (const auto position = ParseDecimal(text)) {
    return ChangeFrom{.kind = ChangeFrom::Kind::kAfter, .position = *position, .field = field};
  }
  return FailField(field, "must be a position that a stream gave, \"earliest\" or \"latest\"");
}

// A field of numbers, packed or one by one.
template <typename Take>
bool TakeNumbers(const ProtoReader& reader, Take take) {
  if (reader.type() == WireType::kVarint) return take(reader.number());
  std::string_view packed = reader.bytes();
  while (!packed.empty()) {
    std::int64_t number = 0;
    if (!TakeVarint(packed, number) || !take(number)) return false;
  }
  return true;
}

}  // namespace

bool ChangeFilter::Passes(const ChangeEvent& event) const {
  if (types != 0 && (types >> static_cast<unsigned>(event.type) & 1) == 0) return false;
  return members.empty() || std::ranges::binary_search(members, event.member_id);
}

Result<WatchRequest> ReadWatchQuery(QueryParameters& parameters, std::string_view query,
                                    std::string_view last_event_id) {
  MUSTER_TRY(parameters.Parse(query, kWatchParameters));
  WatchRequest request;
  ChangeFilter& filter = request.filter;
  MUSTER_ASSIGN(request.from, ParseFrom(parameters.Find("from").value_or(""), "from"));
  if (!last_event_id.empty()) {
    MUSTER_ASSIGN(request.from, ParseFrom(last_event_id, "Last-Event-ID"));
  }
  if (const auto types = parameters.Find("types")) {
    const auto add = [&](std::string_view name) { return AddType(filter, ParseChangeType(name)); };
    if (!ForEachItem(*types, add)) return FailField("types", kTypesHelp);
  }
  if (const auto ids = parameters.Find("memberIds")) {
    const auto add = [&](std::string_view id) { return AddMember(filter, ParseDecimal(id)); };
    if (!ForEachItem(*ids, add)) return FailField("memberIds", kMembersHelp);
  }
  std::ranges::sort(filter.members);
  return request;
}

Result<WatchRequest> ReadWatchMessage(std::string_view message) {
  WatchRequest request;
  ChangeFilter& filter = request.filter;
  ProtoReader reader(message);
  while (reader.Next()) {
    const bool is_numbers = reader.type() == WireType::kVarint || reader.type() == WireType::kBytes;
    if (reader.Is(1, WireType::kBytes)) {
      MUSTER_ASSIGN(request.from, ParseFrom(reader.bytes(), "from"));
    } else if (reader.field() == 2 && is_numbers) {
      const auto add = [&](std::int64_t number) { return AddType(filter, TypeOfNumber(number)); };
      if (!TakeNumbers(reader, add)) return FailField("types", kTypesHelp);
    } else if (reader.field() == 3 && is_numbers) {
      const auto add = [&](std::int64_t number) { return AddMember(filter, number); };
      if (!TakeNumbers(reader, add)) return FailField("memberIds", kMembersHelp);
    }
  }
  if (reader.malformed()) return Fail(Reason::kInvalidArgument, "the message is no muster.v1.WatchChangesRequest");
  std::ranges::sort(filter.members);
  return request;
}

}  // namespace muster
