#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "app/cli/exit_code.h"
#include "app/server/member_directory.h"
#include "domain/ids.h"
#include "domain/synthetic_members.h"

namespace muster {

// Registers the synthetic members 0 to count - 1, many at a time, and answers their ids in that order. `go_on` hears
// how many are in now and then, and ends it early by answering false (fewer ids come back then).
Outcome<std::vector<MemberId>> RegisterSyntheticMembers(MemberDirectory& directory, const SyntheticMembers& synthetic,
                                                        std::uint64_t count,
                                                        const std::function<bool(std::uint64_t done)>& go_on);

}  // namespace muster
