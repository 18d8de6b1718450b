#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "app/cli/exit_code.h"

namespace muster {

// Some whole lines of an input, as they stand there.
struct LineBatch {
  std::uint64_t first_line = 1;  // its number in the input, from 1
  std::uint64_t lines = 0;
  std::uint64_t end_offset = 0;  // in the input, behind its last byte
  std::string text;              // of a line that is too long only the beginning
  bool is_too_long = false;      // one line that exceeds line_bytes_max
};

struct BatchLimits {
  std::size_t bytes = std::size_t{512} << 10;  // a longer line is a batch of its own
  std::uint64_t lines = 1000;
  // No batch crosses a multiple of it: each range of numbers that the server reserves covers so many lines.
  std::uint64_t lines_a_range = std::uint64_t{1} << 20;
  std::size_t line_bytes_max = std::size_t{16} << 20;
  std::size_t shown_bytes = 1024;  // of a line that is too long
};

// Cuts an input into batches. Takes at most about `line_bytes_max` + `bytes` of memory.
class BatchReader {
 public:
  // Where to begin; the descriptor stands at `offset`.
  struct Position {
    std::uint64_t offset = 0;
    std::uint64_t lines = 0;  // before it
  };
  BatchReader(int file_descriptor, std::string name, Position start, const BatchLimits& limits);

  // The next batch; none at the end of the input. A last line without a line feed is a line. A byte-order mark at the
  // beginning, which editors and spreadsheets put before UTF-8, is skipped; UTF-16 is refused.
  Outcome<std::optional<LineBatch>> Next();

 private:
  // Reads more into the buffer; false at the end of the input.
  Outcome<bool> Fill();
  Outcome<void> SkipMark();
  // Drops the rest of a line that is too long.
  Outcome<void> SkipLine();
  LineBatch Take(std::size_t bytes, std::uint64_t lines);

  const int file_descriptor_;
  const std::string name_;
  const BatchLimits limits_;
  std::uint64_t offset_;
  std::uint64_t lines_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what is not taken yet
  bool at_end_ = false;
};

}  // namespace muster
