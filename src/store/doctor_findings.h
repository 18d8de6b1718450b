#pragma once

#include <span>
#include <string_view>

namespace muster {

// What the doctor can find: a closed table, from which docs/reference/findings.md is generated.
struct FindingKind {
  std::string_view code;
  bool is_damage;  // false: harmless, repaired by the sweeper or the next write
  std::string_view meaning;
};

std::span<const FindingKind> AllFindingKinds();
// Aborts when there is no such code.
const FindingKind& FindingKindOf(std::string_view code);

}  // namespace muster
