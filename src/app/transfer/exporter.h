#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "app/cli/exit_code.h"
#include "app/client/http_client.h"

namespace muster {

// All members of a server in the order of their ids, as it writes them (JSON Lines). `write` takes the bytes of one
// page, `progressed` how many members there were so far. Answers how many there were. Members that are registered
// meanwhile may or may not be among them.
Outcome<std::uint64_t> RunExport(HttpClient& admin, const std::function<Outcome<void>(std::string_view)>& write,
                                 const std::function<void(std::uint64_t)>& progressed);

}  // namespace muster
