#include "bench/population.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace muster {
namespace {

std::string_view Text(const simdjson::dom::element& object, const char* name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? text : std::string_view();
}

// The first identity that can be looked up: bound, and not a mask.
void AddIdentity(IdentityList& identities, const simdjson::dom::element& member) {
  simdjson::dom::array all;
  if (member["identities"].get(all) != simdjson::SUCCESS) return;
  for (const simdjson::dom::element identity : all) {
    const std::string_view value = Text(identity, "value");
    const std::string_view state = Text(identity, "state");
    if ((!state.empty() && state != "BOUND") || value.find("***") != std::string_view::npos) continue;
    if (identities.Add(Text(identity, "kind"), Text(identity, "platform"), value)) return;
  }
}

}  // namespace

bool IdentityList::Add(std::string_view kind, std::string_view platform, std::string_view value) {
  const std::size_t begin = texts_.size();
  if (kind.empty() || value.empty() || kind.size() > UINT8_MAX || platform.size() > UINT8_MAX ||
      value.size() > UINT16_MAX || begin + kind.size() + platform.size() + value.size() > kTextBytesMax) {
    return false;
  }
  texts_.append(kind).append(platform).append(value);
  entries_.push_back({.begin = static_cast<std::uint32_t>(begin),
                      .kind_bytes = static_cast<std::uint8_t>(kind.size()),
                      .platform_bytes = static_cast<std::uint8_t>(platform.size()),
                      .value_bytes = static_cast<std::uint16_t>(value.size())});
  return true;
}

IdentityView IdentityList::At(std::size_t index) const {
  const Entry& entry = entries_[index];
  const std::string_view texts = std::string_view(texts_).substr(entry.begin);
  return {.kind = texts.substr(0, entry.kind_bytes),
          .platform = texts.substr(entry.kind_bytes, entry.platform_bytes),
          .value = Pii(texts.substr(std::size_t{entry.kind_bytes} + entry.platform_bytes, entry.value_bytes))};
}

void IdentityList::Append(const IdentityList& other) {
  for (std::size_t i = 0; i < other.size(); ++i) {
    const IdentityView one = other.At(i);
    Add(one.kind, one.platform, one.value.Reveal());
  }
}

void IdentityList::Shuffle(Random& random) {
  for (std::size_t i = entries_.size(); i > 1; --i) std::swap(entries_[i - 1], entries_[random.Below(i)]);
}

void Population::AddCity(std::string_view city) {
  const bool is_plain = city.find_first_of("\"\\") == std::string_view::npos;
  if (city.empty() || !is_plain || cities.size() == kCitiesMax || std::ranges::find(cities, city) != cities.end())
    return;
  cities.emplace_back(city);
}

void Population::Shuffle(Random& random) {
  for (std::size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random.Below(i)]);
  identities.Shuffle(random);
}

Result<std::vector<std::int64_t>> AddMembers(Population& population, std::string_view lines, bool with_identities,
                                             std::size_t members_max, std::uint64_t first_line) {
  simdjson::dom::parser parser;
  std::vector<std::int64_t> ids;
  std::uint64_t number = first_line;
  for (std::size_t at = 0; at < lines.size(); ++number) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    const std::string_view line = lines.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    simdjson::dom::element member;
    std::int64_t id = 0;
    if (parser.parse(line.data(), line.size()).get(member) == simdjson::SUCCESS) {
      const std::string_view digits = Text(member, "id");
      std::from_chars(digits.data(), digits.data() + digits.size(), id);
    }
    if (id <= 0) {
      return Fail(Reason::kInvalidArgument,
                  "line " + std::to_string(number) +
                      " is no member as `muster export` writes them: a JSON object with an \"id\"");
    }
    ids.push_back(id);
    const std::string_view state = Text(member, "state");
    if ((!state.empty() && state != "ACTIVE") || population.members.size() >= members_max) continue;
    population.members.emplace_back(id);
    population.AddCity(Text(member, "city"));
    if (with_identities) AddIdentity(population.identities, member);
  }
  return ids;
}

}  // namespace muster
