#include "topology/failover/gtid_position.h"

#include <algorithm>
#include <charconv>

namespace muster::failover {
namespace {

// The number at the start of `text`, which is cut off with the separator behind it.
template <typename Number>
bool TakeNumber(std::string_view& text, char separator, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (separator == '\0') return text.empty();
  if (!text.starts_with(separator)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

GtidPosition GtidPosition::Of(std::uint32_t domain, std::uint32_t server, std::uint64_t number) {
  GtidPosition position;
  position.domains_[domain] = {.server = server, .number = number};
  return position;
}

Result<GtidPosition> GtidPosition::Parse(std::string_view text) {
  GtidPosition position;
  const std::unexpected<Error> refused =
      Fail(Reason::kInternal, "\"" + std::string(text.substr(0, 80)) + "\" is no position of a log, as in \"0-1-17\"");
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string_view one = rest.substr(0, comma);
    while (one.starts_with(' ') || one.starts_with('\n')) one.remove_prefix(1);
    std::uint32_t domain = 0;
    Last last;
    if (!TakeNumber(one, '-', domain) || !TakeNumber(one, '-', last.server) || !TakeNumber(one, '\0', last.number) ||
        !position.domains_.emplace(domain, last).second || position.domains_.size() > kDomainsMax) {
      return refused;
    }
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return position;
}

std::string GtidPosition::Text() const {
  std::string text;
  for (const auto& [domain, last] : domains_) {
    if (!text.empty()) text += ',';
    text += std::to_string(domain) + "-" + std::to_string(last.server) + "-" + std::to_string(last.number);
  }
  return text;
}

bool GtidPosition::Covers(const GtidPosition& other) const {
  return std::ranges::all_of(other.domains_, [&](const auto& each) {
    const auto found = domains_.find(each.first);
    return found != domains_.end() && found->second.number >= each.second.number;
  });
}

std::uint64_t GtidPosition::Total() const {
  std::uint64_t total = 0;
  for (const auto& [domain, last] : domains_) total += last.number;
  return total;
}

bool GtidPosition::Contradicts(const GtidPosition& other) const {
  return std::ranges::any_of(other.domains_, [&](const auto& each) {
    const auto found = domains_.find(each.first);
    return found != domains_.end() && found->second.number == each.second.number &&
           found->second.server != each.second.server;
  });
}

bool GtidPosition::HasSameServer(const GtidPosition& other) const {
  return std::ranges::any_of(other.domains_, [&](const auto& each) {
    const auto found = domains_.find(each.first);
    return found != domains_.end() && found->second.server == each.second.server;
  });
}

void GtidPosition::Raise(const GtidPosition& other) {
  for (const auto& [domain, last] : other.domains_) {
    const auto [found, is_new] = domains_.emplace(domain, last);
    if (!is_new && found->second.number < last.number) found->second = last;
  }
}

}  // namespace muster::failover
