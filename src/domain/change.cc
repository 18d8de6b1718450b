#include "domain/change.h"

#include <array>
#include <utility>

#include "base/check.h"

namespace muster {

namespace {

constexpr std::array<std::pair<ChangeType, std::string_view>, 8> kTypeNames = {{
    {ChangeType::kRegistered, "REGISTERED"},
    {ChangeType::kUpdated, "UPDATED"},
    {ChangeType::kIdentityBound, "IDENTITY_BOUND"},
    {ChangeType::kIdentityUnbound, "IDENTITY_UNBOUND"},
    {ChangeType::kClosed, "CLOSED"},
    {ChangeType::kMerged, "MERGED"},
    {ChangeType::kUnmerged, "UNMERGED"},
    {ChangeType::kImported, "IMPORTED"},
}};

}  // namespace

std::string_view ChangeTypeName(ChangeType type) {
  for (const auto& [known, name] : kTypeNames) {
    if (known == type) return name;
  }
  MUSTER_UNREACHABLE("a ChangeType without a name");
}

std::optional<ChangeType> ParseChangeType(std::string_view name) {
  for (const auto& [type, known] : kTypeNames) {
    if (known == name) return type;
  }
  return std::nullopt;
}

}  // namespace muster
