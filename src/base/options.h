#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace muster {

// One configurable option, declared once by the module that reads it.
struct OptionSpec {
  std::string name;  // dotted, as in TOML: "cache.near.bytes"; the environment has MUSTER_CACHE__NEAR__BYTES
  std::string type;  // "integer", "bytes", "duration", "string", "boolean", "list of strings"
  std::string help;  // one sentence
  std::string default_text;
  std::string bounds;   // "1 to 4096"; empty when any value of the type will do
  bool restart = true;  // a change needs a restart
  bool is_secret_file = false;
};

struct OptionBounds {
  std::int64_t min = INT64_MIN;
  std::int64_t max = INT64_MAX;
};

// Options bound to the fields of the structs that modules read them from. The field's value when it is declared is the
// default. Later sources override earlier ones: file, environment, flags.
class OptionRegistry {
 public:
  void AddInteger(std::string name, std::int64_t* target, std::string help, OptionBounds bounds, bool restart = true);
  // Bytes with an optional KiB, MiB, GiB.
  void AddBytes(std::string name, std::int64_t* target, std::string help, OptionBounds bounds, bool restart = true);
  // Milliseconds in the target; text as "250ms", "10s", "5m", "24h".
  void AddDuration(std::string name, std::int64_t* target_ms, std::string help, OptionBounds bounds,
                   bool restart = true);
  void AddString(std::string name, std::string* target, std::string help, std::vector<std::string> choices = {},
                 bool restart = true);
  void AddBoolean(std::string name, bool* target, std::string help, bool restart = true);
  void AddStrings(std::string name, std::vector<std::string>* target, std::string help, bool restart = true);

  // Sets one option from text, as the environment, a flag or a TOML scalar gives it. `source` is shown by `config
  // explain`
  // ("muster.toml:12", "environment MUSTER_A__B", "--http"). Unknown names answer INVALID_ARGUMENT with the nearest
  // known one.
  Result<void> Set(std::string_view name, std::string_view text, std::string_view source);
  Result<void> SetList(std::string_view name, std::vector<std::string> values, std::string_view source);

  struct Current {
    const OptionSpec* spec;
    std::string text;
    std::string source;  // "default" unless set
  };
  std::vector<Current> Explain() const;  // sorted by name

 private:
  struct Entry {
    OptionSpec spec;
    std::function<Result<void>(std::string_view)> set;
    std::function<Result<void>(std::vector<std::string>)> set_list;  // null unless a list
    std::function<std::string()> show;
    std::string source = "default";
  };
  void Add(OptionSpec spec, Entry entry);
  Result<Entry*> Find(std::string_view name);

  std::map<std::string, Entry, std::less<>> entries_;
};

// The known word nearest to a mistyped one by edit distance, or empty when nothing is near. For "did you mean …?".
std::string NearestWord(std::string_view word, const std::vector<std::string>& known);

}  // namespace muster
