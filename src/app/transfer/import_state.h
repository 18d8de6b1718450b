#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/exit_code.h"

namespace muster {

// What tells one input from another: equal content goes on, wherever it lies and whenever it was written, and nothing
// else does. All of it counts, as lines behind the answered ones may have been sent too, under numbers that are theirs.
struct InputFingerprint {
  std::uint64_t size = 0;
  std::string hash;
  friend bool operator==(const InputFingerprint&, const InputFingerprint&) = default;
};
// Reads an open regular file to its end; its position does not move.
Outcome<InputFingerprint> FingerprintOf(int file_descriptor, const std::string& name);

// How many batches an import is ahead of the first one that has no answer, at most.
inline constexpr std::size_t kImportAheadMax = 64;
// How many batches it remembers to look for a loss (import_check.h).
inline constexpr std::size_t kBatchesRemembered = kImportAheadMax + 1;

// A batch that brought members in.
struct ImportedBatch {
  std::uint64_t offset = 0;  // in the input
  std::uint64_t bytes = 0;
  std::uint64_t first_line = 1;
  std::uint64_t lines = 0;
  std::uint64_t imported = 0;
  std::vector<std::uint64_t> rejected = {};  // line numbers, ascending
  friend bool operator==(const ImportedBatch&, const ImportedBatch&) = default;
};

// How far an import has come: everything it needs to go on after any interruption. Lines that it sent but that are not
// in here are sent again, under the same numbers, which the server makes exact.
struct ImportState {
  InputFingerprint input;
  std::string installation;                // of the server
  std::string rejects_file;                // empty: none is written
  std::vector<std::int64_t> range_starts;  // of the 1st, 2nd, … lines_a_range lines
  std::uint64_t lines_a_range = 0;
  // Everything before this is answered.
  std::uint64_t offset = 0;
  std::uint64_t lines = 0;
  std::uint64_t imported = 0;
  std::uint64_t rejected = 0;
  std::uint64_t rejects_bytes = 0;  // of the reject file
  // The last of those before that place, oldest first, at most kBatchesRemembered.
  std::vector<ImportedBatch> last_batches;

  void Remember(const ImportedBatch& batch);
  // To the beginning of the input, under the same numbers.
  void Rewind();
  friend bool operator==(const ImportState&, const ImportState&) = default;
};

// <FILE>.muster-import, beside the input.
std::string ImportStatePath(const std::string& input);
// None when there is no such file.
Outcome<std::optional<ImportState>> LoadImportState(const std::string& path);
// Durable, atomic.
Outcome<void> SaveImportState(const std::string& path, const ImportState& state);

}  // namespace muster
