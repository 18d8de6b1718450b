#include "app/commands/new_key.h"

#include <simdjson.h>
#include <unistd.h>

#include <filesystem>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/files.h"
#include "app/output/table.h"
#include "domain/json_writer.h"

namespace muster {

Outcome<void> CheckNewKeyFile(const std::string& file) {
  if (file.empty()) return {};
  if (FileExists(file)) return Fails(ExitCode::kFailure, file + " exists already; keys are not written over anything");
  const std::filesystem::path parent = std::filesystem::path(file).parent_path();
  if (!parent.empty() && !FileExists(parent.string()))
    return Fails(ExitCode::kFailure, "there is no directory " + parent.string());
  return {};
}

Outcome<ExitCode> ShowNewKey(std::string_view json, const std::string& file, OutputFormat format) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view key;
  std::string_view key_id;
  if (parser.parse(simdjson::padded_string(json)).get(root) != simdjson::SUCCESS ||
      root["key"].get(key) != simdjson::SUCCESS || root["keyId"].get(key_id) != simdjson::SUCCESS) {
    return Fails(ExitCode::kFailure,
                 "the server made a key but did not answer it as expected; rotate the caller's key");
  }
  std::string shown;
  JsonWriter writer(shown);
  writer.BeginObject();
  if (file.empty()) {
    writer.Key("key").String(key);
  } else {
    if (const auto written = WriteFileDurably(file, std::string(key) + "\n", 0600); !written) {
      return Fails(ExitCode::kFailure,
                   written.error().message + "\nThe key was made and is lost; run `muster callers rotate`.");
    }
    writer.Key("keyFile").String(file);
  }
  writer.Key("keyId").String(key_id);
  writer.EndObject();
  MUSTER_TRY(PrintAs(format, shown, [&](std::string_view) -> Outcome<std::string> {
    return RenderFields(DescribeTerminal(STDOUT_FILENO),
                        {{"key", file.empty() ? std::string(key) : "in " + file}, {"key id", std::string(key_id)}});
  }));
  if (file.empty()) PrintNote("This is the only time the key is shown.");
  return ExitCode::kOk;
}

}  // namespace muster
