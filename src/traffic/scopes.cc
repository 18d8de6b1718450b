#include "traffic/scopes.h"

#include <array>
#include <utility>

#include "base/check.h"
#include "base/options.h"

namespace muster {
namespace {

constexpr std::array<std::pair<Scope, std::string_view>, 5> kNames = {{
    {Scope::kMembersRead, "members.read"},
    {Scope::kMembersWrite, "members.write"},
    {Scope::kPersonalRead, "personal.read"},
    {Scope::kMembersImport, "members.import"},
    {Scope::kAdmin, "admin"},
}};

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  names.reserve(kNames.size());
  for (const auto& [scope, name] : kNames) names.emplace_back(name);
  return names;
}

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

}  // namespace

std::string_view ScopeName(Scope scope) {
  for (const auto& [known, name] : kNames) {
    if (known == scope) return name;
  }
  MUSTER_UNREACHABLE("a Scope without a name");
}

std::optional<Scope> ParseScope(std::string_view name) {
  for (const auto& [scope, known] : kNames) {
    if (known == name) return scope;
  }
  return std::nullopt;
}

const std::vector<Scope>& AllScopes() {
  static const std::vector<Scope> kScopes = [] {
    std::vector<Scope> scopes;
    scopes.reserve(kNames.size());
    for (const auto& [scope, name] : kNames) scopes.push_back(scope);
    return scopes;
  }();
  return kScopes;
}

Result<std::vector<std::string>> CheckScopes(const std::vector<std::string>& names) {
  if (names.empty()) return FailField("scopes", "at least one is needed of " + Join(AllNames()));
  std::uint32_t wanted = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::optional<Scope> scope = ParseScope(names[i]);
    if (!scope) {
      const std::string nearest = NearestWord(names[i], AllNames());
      return FailField("scopes[" + std::to_string(i) + "]",
                       "there is no such scope" +
                           (nearest.empty() ? "; there are: " : "; did you mean " + nearest + "? There are: ") +
                           Join(AllNames()));
    }
    wanted |= static_cast<std::uint32_t>(*scope);
  }
  std::vector<std::string> checked;
  for (const auto& [scope, name] : kNames) {
    if ((wanted & static_cast<std::uint32_t>(scope)) != 0) checked.emplace_back(name);
  }
  return checked;
}

}  // namespace muster
