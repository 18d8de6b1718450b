#pragma once

#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "app/cli/terminal.h"

namespace muster {

// Answers of the API as a person reads them.
Outcome<std::string> RenderMember(const Terminal& terminal, std::string_view json);
// A line a member, of a page of a search.
Outcome<std::string> RenderMembers(const Terminal& terminal, std::string_view json);
Outcome<std::string> RenderHistory(const Terminal& terminal, std::string_view json);
// Where an answer of several pages goes on; empty at its end.
std::string NextPageToken(std::string_view json);
Outcome<std::string> RenderCaller(const Terminal& terminal, std::string_view json);
Outcome<std::string> RenderCallers(const Terminal& terminal, std::string_view json);
Outcome<std::string> RenderRoutes(const Terminal& terminal, std::string_view json);

}  // namespace muster
