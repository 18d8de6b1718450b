#include "routing/routes.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/options.h"
#include "routing/cache_route.h"
#include "routing/center_route.h"
#include "routing/coalesce_route.h"
#include "routing/tracked_route.h"

namespace muster {
namespace {

constexpr std::array<std::string_view, 2> kPolicies = {"cache", "coalesce"};

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsWordCharacter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

template <typename Map>
std::vector<std::string> Names(const Map& map) {
  std::vector<std::string> names;
  names.reserve(map.size());
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

std::string List(const std::vector<std::string>& words) {
  if (words.empty()) return "none";
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

// Recursive descent; builds from the leaves up, so that children arrive by constructor.
class Builder {
 public:
  Builder(std::string_view text, const RouteParts& parts) : text_(text), parts_(parts) {}

  Result<std::unique_ptr<MemberReader>> Build() {
    MUSTER_ASSIGN(auto route, Route(0));
    SkipSpace();
    if (at_ != text_.size()) return FailAt(at_, "nothing may follow the route");
    return route;
  }

 private:
  struct Word {
    std::string_view text;
    std::size_t at;
  };

  std::unexpected<Error> FailAt(std::size_t at, std::string_view what) const {
    return FailField("routes", "column " + std::to_string(at + 1) + ": " + std::string(what));
  }

  std::unexpected<Error> FailUnknown(const Word& word, std::string_view what,
                                     const std::vector<std::string>& known) const {
    const std::string nearest = NearestWord(word.text, known);
    const std::string guess = nearest.empty() ? "; there are: " : "; did you mean " + nearest + "? There are: ";
    return FailAt(word.at,
                  "there is no " + std::string(what) + " \"" + std::string(word.text) + "\"" + guess + List(known));
  }

  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }

  bool Take(char c) {
    SkipSpace();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Result<void> Expect(char c, std::string_view where) {
    if (Take(c)) return {};
    return FailAt(at_, std::string("'") + c + "' is wanted " + std::string(where));
  }

  Result<Word> NextWord(std::string_view wanted) {
    SkipSpace();
    const std::size_t begin = at_;
    while (at_ < text_.size() && IsWordCharacter(text_[at_])) ++at_;
    if (at_ == begin) return FailAt(begin, std::string(wanted) + " is wanted here");
    return Word{text_.substr(begin, at_ - begin), begin};
  }

  Result<std::unique_ptr<MemberReader>> Route(std::size_t depth) {
    MUSTER_ASSIGN(const Word word, NextWord("a source or a policy"));
    if (depth == kRouteDepthMax) {
      return FailAt(word.at, "routes may be nested " + std::to_string(kRouteDepthMax) + " deep at most");
    }
    if (!Take('(')) return Source(word);
    if (word.text == "cache") return Cache(depth);
    if (word.text == "coalesce") return Coalesce(depth);
    return FailUnknown(word, "policy", {kPolicies.begin(), kPolicies.end()});
  }

  Result<std::unique_ptr<MemberReader>> Source(const Word& word) {
    const auto source = parts_.sources.find(word.text);
    if (source != parts_.sources.end()) return source->second();
    if (std::ranges::find(kPolicies, word.text) != kPolicies.end()) {
      return FailAt(word.at + word.text.size(), "'(' is wanted after the policy " + std::string(word.text));
    }
    return FailUnknown(word, "source", Names(parts_.sources));
  }

  Result<std::unique_ptr<MemberReader>> Cache(std::size_t depth) {
    MUSTER_ASSIGN(const Word word, NextWord("a cache"));
    const auto cache = parts_.caches.find(word.text);
    const auto center = parts_.center_caches.find(word.text);
    const auto tracked = parts_.tracked_caches.find(word.text);
    if (cache == parts_.caches.end() && center == parts_.center_caches.end() &&
        tracked == parts_.tracked_caches.end()) {
      std::vector<std::string> known = Names(parts_.caches);
      std::ranges::copy(Names(parts_.center_caches), std::back_inserter(known));
      std::ranges::copy(Names(parts_.tracked_caches), std::back_inserter(known));
      return FailUnknown(word, "cache", known);
    }
    MUSTER_TRY(Expect(',', "between the cache and what it wraps"));
    MUSTER_ASSIGN(auto child, Route(depth + 1));
    MUSTER_TRY(Expect(')', "at the end of cache(…)"));
    if (cache != parts_.caches.end()) {
      return std::make_unique<CacheRoute>(cache->first, *cache->second, std::move(child));
    }
    if (tracked != parts_.tracked_caches.end()) {
      return std::make_unique<TrackedRoute>(tracked->first, *tracked->second, std::move(child));
    }
    MUSTER_CHECK(parts_.clock != nullptr);
    return std::make_unique<CenterRoute>(center->first, *center->second, *parts_.clock, std::move(child),
                                         RoutePauses{.loop = parts_.loop, .timer = parts_.timer});
  }

  Result<std::unique_ptr<MemberReader>> Coalesce(std::size_t depth) {
    MUSTER_CHECK(parts_.floor != nullptr);
    MUSTER_ASSIGN(auto child, Route(depth + 1));
    MUSTER_TRY(Expect(')', "at the end of coalesce(…)"));
    return std::make_unique<CoalesceRoute>(*parts_.floor, std::move(child));
  }

  const std::string_view text_;
  const RouteParts& parts_;
  std::size_t at_ = 0;
};

void AddInto(RouteDescription& sum, const RouteDescription& tree) {
  MUSTER_CHECK(sum.name == tree.name && sum.counters.size() == tree.counters.size() &&
               sum.children.size() == tree.children.size());
  for (std::size_t i = 0; i < sum.counters.size(); ++i) {
    MUSTER_CHECK(sum.counters[i].first == tree.counters[i].first);
    sum.counters[i].second += tree.counters[i].second;
  }
  for (std::size_t i = 0; i < sum.children.size(); ++i) AddInto(sum.children[i], tree.children[i]);
}

// `first` leads the route's own line, `rest` all others of its part of the tree.
void Render(const RouteDescription& route, const std::string& first, const std::string& rest, std::string& out) {
  out += first + route.name;
  for (const auto& [name, count] : route.counters) out += "  " + name + "=" + std::to_string(count);
  out += '\n';
  if (!route.policy.empty()) out += rest + (route.children.empty() ? "    " : "│   ") + route.policy + '\n';
  for (std::size_t i = 0; i < route.children.size(); ++i) {
    const bool is_last = i + 1 == route.children.size();
    Render(route.children[i], rest + (is_last ? "└─ " : "├─ "), rest + (is_last ? "   " : "│  "), out);
  }
}

}  // namespace

Result<std::unique_ptr<MemberReader>> BuildRoutes(std::string_view expression, const RouteParts& parts) {
  if (expression.size() > kRouteExpressionBytesMax) {
    return FailField("routes", "an expression may have " + std::to_string(kRouteExpressionBytesMax) + " bytes at most");
  }
  return Builder(expression, parts).Build();
}

RouteDescription MergeDescriptions(std::vector<RouteDescription> trees) {
  MUSTER_CHECK(!trees.empty());
  RouteDescription sum = std::move(trees.front());
  for (std::size_t i = 1; i < trees.size(); ++i) AddInto(sum, trees[i]);
  return sum;
}

std::string RenderRoutes(const RouteDescription& root) {
  std::string out;
  Render(root, "", "", out);
  return out;
}

}  // namespace muster
