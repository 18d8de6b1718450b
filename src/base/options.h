#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace muster {

enum class OptionType : std::uint8_t { kInteger, kBytes, kDuration, kString, kBoolean, kStrings, kTables };

// "integer", "bytes", "duration", "string", "boolean", "list of strings", "tables".
std::string_view OptionTypeName(OptionType type);

// One configurable option, declared once by the module that reads it.
struct OptionSpec {
  std::string name = {};  // dotted, as in TOML: "cache.near.bytes"
  OptionType type = OptionType::kString;
  std::string help = {};  // one sentence
  std::string default_text = {};
  std::string bounds = {};               // "1 to 4096", "one of logfmt, json"; empty when any value of the type will do
  bool restart = true;                   // a change needs a restart
  std::vector<OptionSpec> columns = {};  // of kTables: the options of one table
};

// "cache.near.bytes" in the environment: "MUSTER_CACHE__NEAR__BYTES".
std::string EnvironmentName(std::string_view option);

struct OptionBounds {
  std::int64_t min = INT64_MIN;
  std::int64_t max = INT64_MAX;
};

// One table of a repeated one ([[identity.kinds]]), as the file gives it.
struct OptionTable {
  struct Cell {
    std::string name;
    std::variant<std::string, std::vector<std::string>> value;
    std::string source;
  };
  std::vector<Cell> cells;
};

// Options bound to the fields of the structs that modules read them from. The field's value when it is declared is the
// default. Whatever sets an option later wins, so sources are applied in the order file, environment, flags.
//
// Names are dotted lower-case words ([a-z][a-z0-9_]*, no double underscore); none may be a section of another. A secret
// is never an option: its file is, and the name ends in "_file". Declaring against these rules aborts. Not thread-safe.
class OptionRegistry {
 public:
  OptionRegistry() = default;

  void AddInteger(std::string name, std::int64_t* target, std::string help, OptionBounds bounds, bool restart = true);
  // Bytes with an optional KiB, MiB, GiB; never negative.
  void AddBytes(std::string name, std::int64_t* target, std::string help, OptionBounds bounds, bool restart = true);
  // Milliseconds in the target; text as "250ms", "10s", "5m", "24h"; never negative.
  void AddDuration(std::string name, std::int64_t* target_ms, std::string help, OptionBounds bounds,
                   bool restart = true);
  // UTF-8 without control characters; one of `choices` when there are any.
  void AddString(std::string name, std::string* target, std::string help, std::vector<std::string> choices = {},
                 bool restart = true);
  // "true" or "false".
  void AddBoolean(std::string name, bool* target, std::string help, bool restart = true);
  // As text, separated by commas.
  void AddStrings(std::string name, std::vector<std::string>* target, std::string help, bool restart = true);

  // Tables that a file may repeat, [[name]]; each becomes a Row. `declare` adds the options of one row, bound to its
  // fields, whose values in Row{} are the defaults. The first table given replaces all rows of the default. Only a file
  // can set them.
  //   options.AddTables<KindRow>("identity.kinds", &kinds, "The kinds of identity.",
  //                              [](OptionRegistry& row_options, KindRow& row) {
  //                                row_options.AddString("name", &row.name, "What callers call it.");
  //                              });
  template <typename Row>
  void AddTables(std::string name, std::vector<Row>* target, std::string help,
                 std::function<void(OptionRegistry&, Row&)> declare, bool restart = true) {
    Row sample{};
    OptionRegistry columns;
    declare(columns, sample);
    AddTablesOf(
        std::move(name), std::move(help), columns, restart, [target] { return target->size(); },
        [target, declare = std::move(declare)](const std::string& path, const std::vector<OptionTable>& tables) {
          std::vector<Row> rows(tables.size());
          for (std::size_t i = 0; i < tables.size(); ++i) {
            OptionRegistry row_options(path + "[" + std::to_string(i) + "].");
            declare(row_options, rows[i]);
            if (auto set = row_options.SetCells(tables[i]); !set) return set;
          }
          *target = std::move(rows);
          return Result<void>();
        });
  }

  // Sets one option from text, as the environment, a flag or a TOML scalar gives it. `source` is shown by `config
  // explain` ("muster.toml:12", "environment MUSTER_A__B", "--http") and begins every error. Unknown names answer
  // INVALID_ARGUMENT with the nearest known one. After an error the option has its old value.
  Result<void> Set(std::string_view name, std::string_view text, std::string_view source);
  Result<void> SetList(std::string_view name, std::vector<std::string> values, std::string_view source);
  Result<void> SetTables(std::string_view name, const std::vector<OptionTable>& tables, std::string_view source);

  // Null when there is no such option.
  const OptionSpec* Find(std::string_view name) const;

  struct Current {
    const OptionSpec* spec;
    std::string text;
    std::string source;  // "default" unless set
  };
  std::vector<Current> Explain() const;  // sorted by name

 private:
  struct Entry {
    OptionSpec spec = {};
    std::function<std::string()> show = {};
    // What is wrong with the value, without names; null where the type is not set this way.
    std::function<Result<void>(std::string_view)> set = {};
    std::function<Result<void>(std::vector<std::string>)> set_list = {};
    std::function<Result<void>(const std::string&, const std::vector<OptionTable>&)> set_tables = {};
    std::string source = "default";
  };

  explicit OptionRegistry(std::string path) : path_(std::move(path)) {}
  void Add(Entry entry);
  void AddNumber(OptionSpec spec, std::int64_t* target, OptionBounds bounds,
                 std::function<Result<std::int64_t>(std::string_view)> parse,
                 std::function<std::string(std::int64_t)> show);
  void AddTablesOf(std::string name, std::string help, const OptionRegistry& columns, bool restart,
                   std::function<std::size_t()> count,
                   std::function<Result<void>(const std::string&, const std::vector<OptionTable>&)> set);
  Result<void> SetCells(const OptionTable& table);
  Result<Entry*> FindEntry(std::string_view name, std::string_view source);
  Result<void> Refuse(std::string_view name, std::string_view source, std::string_view what) const;

  std::map<std::string, Entry, std::less<>> entries_;
  std::string path_;  // what messages put before names: "identity.kinds[0]." for the options of a row
};

// The known word nearest to a mistyped one by edit distance, or empty when nothing is near. For "did you mean …?".
std::string NearestWord(std::string_view word, const std::vector<std::string>& known);

}  // namespace muster
