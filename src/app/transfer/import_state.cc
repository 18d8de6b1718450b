#include "app/transfer/import_state.h"

#include <simdjson.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "app/files.h"
#include "base/encoding.h"
#include "domain/json_writer.h"
#include "domain/keyring.h"

namespace muster {
namespace {

constexpr std::size_t kStateBytesMax = std::size_t{16} << 20;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
constexpr std::int64_t kFormat = 2;  // 1 hashed the ends of the input only

// Fills `chunk` from `offset` on, but for the end of the file; answers how much there was.
Outcome<std::size_t> ReadAt(int file_descriptor, std::uint64_t offset, std::string& chunk, const std::string& name) {
  std::size_t done = 0;
  while (done < chunk.size()) {
    const ssize_t got =
        pread(file_descriptor, chunk.data() + done, chunk.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fails(ExitCode::kFailure, "cannot read " + name + ": " + SystemMessage(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

// 64-bit numbers are written as strings, as everywhere in muster's JSON.
template <typename Number>
bool ReadNumber(const simdjson::dom::element& value, Number& number) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

template <typename Number>
bool ReadNumberField(const simdjson::dom::element& root, const char* key, Number& number) {
  simdjson::dom::element value;
  return root[key].get(value) == simdjson::SUCCESS && ReadNumber(value, number);
}

bool ReadText(const simdjson::dom::element& root, const char* key, std::string& text) {
  std::string_view value;
  if (root[key].get(value) != simdjson::SUCCESS) return false;
  text = value;
  return true;
}

bool ParseState(const std::string& text, ImportState& state) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array ranges;
  std::int64_t format = 0;
  if (parser.parse(simdjson::padded_string(text)).get(root) != simdjson::SUCCESS ||
      root["format"].get(format) != simdjson::SUCCESS || format != kFormat ||
      root["rangeStarts"].get(ranges) != simdjson::SUCCESS) {
    return false;
  }
  for (const simdjson::dom::element range : ranges) {
    if (!ReadNumber(range, state.range_starts.emplace_back())) return false;
  }
  return ReadNumberField(root, "inputSize", state.input.size) && ReadText(root, "inputHash", state.input.hash) &&
         ReadText(root, "installation", state.installation) && ReadText(root, "rejectsFile", state.rejects_file) &&
         ReadNumberField(root, "linesARange", state.lines_a_range) && ReadNumberField(root, "offset", state.offset) &&
         ReadNumberField(root, "lines", state.lines) && ReadNumberField(root, "imported", state.imported) &&
         ReadNumberField(root, "rejected", state.rejected) &&
         ReadNumberField(root, "rejectsBytes", state.rejects_bytes);
}

}  // namespace

Outcome<InputFingerprint> FingerprintOf(int file_descriptor, const std::string& name) {
  KeyedHash hash(SecretKey{});
  std::array<std::uint8_t, 32> digest{};
  std::string chunk(kChunkBytes, '\0');
  InputFingerprint fingerprint;
  while (true) {
    MUSTER_ASSIGN(const std::size_t size, ReadAt(file_descriptor, fingerprint.size, chunk, name));
    if (size == 0) break;
    const std::string_view parts[] = {{reinterpret_cast<const char*>(digest.data()), digest.size()},
                                      std::string_view(chunk).substr(0, size)};
    digest = hash.Hash(parts);
    fingerprint.size += size;
  }
  fingerprint.hash = ToHex(digest);
  return fingerprint;
}

std::string ImportStatePath(const std::string& input) { return input + ".muster-import"; }

Outcome<std::optional<ImportState>> LoadImportState(const std::string& path) {
  if (!FileExists(path)) return std::nullopt;
  MUSTER_ASSIGN(const std::string text, ReadSmallFile(path, kStateBytesMax));
  ImportState state;
  if (!ParseState(text, state)) {
    return Fails(
        ExitCode::kFailure,
        path + " is not the state of an import of this version of muster; remove it to start from the beginning");
  }
  return state;
}

Outcome<void> SaveImportState(const std::string& path, const ImportState& state) {
  std::string text;
  JsonWriter json(text);
  const auto number = [&json](const char* key, std::uint64_t value) {
    json.Key(key).Number64(static_cast<std::int64_t>(value));
  };
  json.BeginObject();
  json.Key("format").Number(kFormat);
  number("inputSize", state.input.size);
  json.Key("inputHash").String(state.input.hash);
  json.Key("installation").String(state.installation);
  json.Key("rejectsFile").String(state.rejects_file);
  json.Key("rangeStarts").BeginArray();
  for (const std::int64_t start : state.range_starts) json.Number64(start);
  json.EndArray();
  number("linesARange", state.lines_a_range);
  number("offset", state.offset);
  number("lines", state.lines);
  number("imported", state.imported);
  number("rejected", state.rejected);
  number("rejectsBytes", state.rejects_bytes);
  json.EndObject();
  return WriteFileDurably(path, text + "\n", 0600);
}

}  // namespace muster
