#include "app/transfer/import_state.h"

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
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
// 1 hashed the ends of the input only, 2 remembered no batches, 3 none of their rejects.
constexpr std::int64_t kFormat = 4;

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

template <typename Number>
bool ReadNumbers(const simdjson::dom::element& root, const char* key, std::vector<Number>& numbers) {
  simdjson::dom::array array;
  if (root[key].get(array) != simdjson::SUCCESS) return false;
  return std::ranges::all_of(array, [&](const auto& value) { return ReadNumber(value, numbers.emplace_back()); });
}

bool ReadText(const simdjson::dom::element& root, const char* key, std::string& text) {
  std::string_view value;
  if (root[key].get(value) != simdjson::SUCCESS) return false;
  text = value;
  return true;
}

bool ReadBatches(const simdjson::dom::element& root, std::vector<ImportedBatch>& batches) {
  simdjson::dom::array array;
  if (root["lastBatches"].get(array) != simdjson::SUCCESS) return false;
  for (const simdjson::dom::element element : array) {
    ImportedBatch& batch = batches.emplace_back();
    if (!ReadNumberField(element, "offset", batch.offset) || !ReadNumberField(element, "bytes", batch.bytes) ||
        !ReadNumberField(element, "firstLine", batch.first_line) || !ReadNumberField(element, "lines", batch.lines) ||
        !ReadNumberField(element, "imported", batch.imported) || !ReadNumbers(element, "rejected", batch.rejected)) {
      return false;
    }
  }
  return true;
}

// Batches that are of the input, and lines that have numbers.
bool IsConsistent(const ImportState& state) {
  if (state.lines_a_range == 0) return false;
  return std::ranges::all_of(state.last_batches, [&state](const ImportedBatch& batch) {
    return batch.first_line >= 1 && (batch.first_line - 1) / state.lines_a_range < state.range_starts.size() &&
           batch.offset <= state.offset && batch.bytes <= state.offset - batch.offset;
  });
}

bool ParseState(const std::string& text, ImportState& state) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::int64_t format = 0;
  if (parser.parse(simdjson::padded_string(text)).get(root) != simdjson::SUCCESS ||
      root["format"].get(format) != simdjson::SUCCESS || format != kFormat) {
    return false;
  }
  return ReadNumbers(root, "rangeStarts", state.range_starts) && ReadNumberField(root, "inputSize", state.input.size) &&
         ReadText(root, "inputHash", state.input.hash) && ReadText(root, "installation", state.installation) &&
         ReadText(root, "rejectsFile", state.rejects_file) &&
         ReadNumberField(root, "linesARange", state.lines_a_range) && ReadNumberField(root, "offset", state.offset) &&
         ReadNumberField(root, "lines", state.lines) && ReadNumberField(root, "imported", state.imported) &&
         ReadNumberField(root, "rejected", state.rejected) &&
         ReadNumberField(root, "rejectsBytes", state.rejects_bytes) && ReadBatches(root, state.last_batches) &&
         IsConsistent(state);
}

}  // namespace

void ImportState::Remember(const ImportedBatch& batch) {
  if (last_batches.size() == kBatchesRemembered) last_batches.erase(last_batches.begin());
  last_batches.push_back(batch);
}

void ImportState::Rewind() {
  offset = lines = imported = rejected = rejects_bytes = 0;
  last_batches.clear();
}

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
  json.Key("lastBatches").BeginArray();
  for (const ImportedBatch& batch : state.last_batches) {
    json.BeginObject();
    number("offset", batch.offset);
    number("bytes", batch.bytes);
    number("firstLine", batch.first_line);
    number("lines", batch.lines);
    number("imported", batch.imported);
    json.Key("rejected").BeginArray();
    for (const std::uint64_t line : batch.rejected) json.Number64(static_cast<std::int64_t>(line));
    json.EndArray();
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return WriteFileDurably(path, text + "\n", 0600);
}

}  // namespace muster
