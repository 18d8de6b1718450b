#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace muster {

// Shell scripts that complete commands, options and the values of closed lists. Made by walking the commands
// themselves, so there is no list to keep.
std::string BashCompletion(const CLI::App& root);
std::string ZshCompletion(const CLI::App& root);
std::string FishCompletion(const CLI::App& root);

}  // namespace muster
