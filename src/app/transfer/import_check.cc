#include "app/transfer/import_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <utility>

#include "app/files.h"

namespace muster {
namespace {

// Empties the lines of `batch` that have these numbers.
void LeaveOut(const std::vector<std::uint64_t>& numbers, LineBatch& batch) {
  std::string text;
  std::string_view rest = batch.text;
  for (std::uint64_t line = batch.first_line; !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (!std::ranges::binary_search(numbers, line)) text += rest.substr(0, end);
    text += rest.substr(end, 1);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  batch.text = std::move(text);
}

Outcome<LineBatch> ReadAgain(const ImportedBatch& batch, int file_descriptor, const std::string& name) {
  LineBatch again{.first_line = batch.first_line,
                  .lines = batch.lines,
                  .end_offset = batch.offset + batch.bytes,
                  .text = std::string(batch.bytes, '\0')};
  for (std::size_t done = 0; done < batch.bytes;) {
    const ssize_t got =
        pread(file_descriptor, again.text.data() + done, batch.bytes - done, static_cast<off_t>(batch.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fails(ExitCode::kFailure, "cannot read " + name + ": " + SystemMessage(errno));
    if (got == 0) return Fails(ExitCode::kFailure, name + " has become shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return again;
}

}  // namespace

Outcome<std::optional<ImportLoss>> FindImportLoss(const ImportState& state, int file_descriptor,
                                                  const std::string& name, BatchSender& sender) {
  for (std::size_t index = 0; index < state.range_starts.size(); ++index) {
    MUSTER_ASSIGN(const bool knows, sender.Knows(state.range_starts[index]));
    if (!knows) {
      return ImportLoss{.ranges_known = index, .what = "the server's data does not know the numbers of this import"};
    }
  }
  // The newest is the one that is missing first.
  for (const ImportedBatch& earlier : std::views::reverse(state.last_batches)) {
    MUSTER_ASSIGN(LineBatch batch, ReadAgain(earlier, file_descriptor, name));
    LeaveOut(earlier.rejected, batch);
    const std::uint64_t range = (batch.first_line - 1) / state.lines_a_range;
    MUSTER_ASSIGN(const BatchAnswer answer,
                  sender.Send(batch, state.range_starts.at(range), range * state.lines_a_range));
    if (answer.already_in >= earlier.imported) continue;
    return ImportLoss{.ranges_known = state.range_starts.size(),
                      .what = "the server's data lacks " + std::to_string(earlier.imported - answer.already_in) +
                              " of the " + std::to_string(earlier.imported) + " members that were in of lines " +
                              std::to_string(batch.first_line) + " to " +
                              std::to_string(batch.first_line + batch.lines - 1)};
  }
  return std::nullopt;
}

}  // namespace muster
