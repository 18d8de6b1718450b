#pragma once

#include <string>
#include <string_view>

#include "app/cli/exit_code.h"

namespace muster {

enum class OutputFormat { kTable, kJson, kYaml };

// JSON text indented by two spaces, order kept, with a line feed at the end. Fails on text that is not JSON.
Outcome<std::string> IndentJson(std::string_view json);

// The same data as YAML 1.2: block style, order kept. Strings that YAML would read as something else are quoted, so
// that a reader gets what the JSON says ("no", "1", "2026-01-02" stay strings).
Outcome<std::string> JsonToYaml(std::string_view json);

}  // namespace muster
