#include "domain/shard_set.h"

#include <charconv>
#include <cstddef>
#include <optional>
#include <vector>

namespace muster {
namespace {

// As many at least are written as a range: a shorter one is no shorter than its numbers.
constexpr std::size_t kRangeMin = 3;

std::unexpected<Error> NotShards(std::string_view part) {
  return Fail(Reason::kInvalidArgument, "\"" + std::string(part) +
                                            "\" is no shard and no range of shards: they are numbers from 0 to 1023, "
                                            "as in 0-127,200,512-1022/2");
}

std::optional<std::size_t> ParseNumber(std::string_view text, std::size_t most) {
  std::size_t number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [read_to, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || read_to != end || number > most) return std::nullopt;
  return number;
}

Result<void> AddPart(std::string_view part, ShardSet& shards) {
  const std::size_t slash = part.find('/');
  const std::size_t dash = part.find('-');
  std::optional<std::size_t> step = 1;
  if (slash != std::string_view::npos) {
    step = dash == std::string_view::npos ? std::nullopt : ParseNumber(part.substr(slash + 1), kShardCount - 1);
  }
  const std::string_view range = part.substr(0, slash);
  const auto first = ParseNumber(range.substr(0, dash), kShardCount - 1);
  const auto last = dash == std::string_view::npos ? first : ParseNumber(range.substr(dash + 1), kShardCount - 1);
  if (!first || !last || !step || *step == 0 || *first > *last) return NotShards(part);
  for (std::size_t shard = *first; shard <= *last; shard += *step) shards.set(shard);
  return {};
}

}  // namespace

std::string ShardsText(const ShardSet& shards) {
  std::vector<std::size_t> numbers;
  for (std::size_t shard = 0; shard < shards.size(); ++shard) {
    if (shards[shard]) numbers.push_back(shard);
  }
  std::string text;
  for (std::size_t first = 0; first < numbers.size();) {
    if (!text.empty()) text += ',';
    text += std::to_string(numbers[first]);
    std::size_t end = first + 1;
    const std::size_t step = end < numbers.size() ? numbers[end] - numbers[first] : 0;
    while (end < numbers.size() && numbers[end] - numbers[end - 1] == step) ++end;
    if (end - first < kRangeMin) {
      ++first;
      continue;
    }
    text += '-' + std::to_string(numbers[end - 1]);
    if (step != 1) text += '/' + std::to_string(step);
    first = end;
  }
  return text;
}

Result<ShardSet> ParseShards(std::string_view text) {
  ShardSet shards;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    MUSTER_TRY(AddPart(text.substr(0, comma), shards));
    if (comma == std::string_view::npos) return shards;
    text.remove_prefix(comma + 1);
    if (text.empty()) return NotShards(text);
  }
  return shards;
}

}  // namespace muster
