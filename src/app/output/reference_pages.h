#pragma once

#include <string>

#include "app/cli/exit_code.h"

namespace muster {

// The generated pages of docs/reference, as Markdown.
std::string OptionsReference();
std::string ErrorsReference();
std::string ExitCodesReference();
std::string FindingsReference();
// Composes a whole server in a temporary directory, so that every metric is registered.
Outcome<std::string> MetricsReference();

}  // namespace muster
