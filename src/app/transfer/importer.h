#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "app/cli/exit_code.h"
#include "app/transfer/batch_reader.h"
#include "app/transfer/batch_sender.h"
#include "app/transfer/import_service.h"
#include "base/clock.h"

namespace muster {

struct ImportOptions {
  std::string input;         // a file, or "-" for standard input, which cannot be resumed
  std::string rejects_file;  // empty: none
  int connections = 4;       // batches under way
  BatchLimits limits;
  RetryPolicy retry;
  Duration save_every = std::chrono::seconds(1);
};

struct ImportSummary {
  std::uint64_t lines = 0;
  std::uint64_t imported = 0;
  std::uint64_t rejected = 0;
  std::uint64_t resumed_lines = 0;  // of them done by an earlier run
};

struct ImportEvents {
  // Where an interrupted import goes on; once, before anything is sent.
  std::function<void(std::uint64_t lines)> resumed = [](std::uint64_t) {};
  // How far it is: a fraction below zero is not known. Called one at a time, from any thread.
  std::function<void(std::uint64_t lines, double fraction)> progressed = [](std::uint64_t, double) {};
  std::function<void(const Reject&)> rejected = [](const Reject&) {};
};

// Imports all lines of an input, several batches at a time, and leaves a state file beside a regular input until the
// end, so that the same call after any interruption goes on and ends as if there had been none. Failures keep the
// state; kUnavailable when the server was gone for too long. Fails when the server's data lost what it had answered to
// an earlier run; where its numbers allow it, the next run sends everything again.
Outcome<ImportSummary> RunImport(const ImportOptions& options, const ImportServiceFactory& services, const Clock& clock,
                                 const ImportEvents& events);

}  // namespace muster
