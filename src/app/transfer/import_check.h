#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "app/cli/exit_code.h"
#include "app/transfer/batch_sender.h"
#include "app/transfer/import_state.h"

namespace muster {

// What a server's data lacks of what it answered to an earlier run of an import, as it does when it was restored from a
// backup from before.
struct ImportLoss {
  std::size_t ranges_known = 0;  // so many of the state's ranges; no line of the others is in
  std::string what;              // "the server's data …"
};

// Looks for a loss before an import goes on; none when the data has all. Sends the remembered batches again, without
// the lines that were rejected: those that are missing are in afterwards. `file_descriptor` is the input's; its
// position does not move.
//
// The last batches that brought members in are enough. Batches are sent out of order, but never one that is
// kImportAheadMax behind one that has no answer. So if a batch came after the backup, all those do that are so far
// behind it, and the last one is either such a one or near enough to be remembered itself. (An answer that is lost, and
// had lines written that were missing, hides them; it would have to happen to every one of the remembered batches.)
Outcome<std::optional<ImportLoss>> FindImportLoss(const ImportState& state, int file_descriptor,
                                                  const std::string& name, BatchSender& sender);

}  // namespace muster
