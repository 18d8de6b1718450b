#include "app/cli/exit_code.h"

#include <utility>

namespace muster {

const std::vector<ExitCodeDescription>& AllExitCodes() {
  static const std::vector<ExitCodeDescription> kTable = {
      {ExitCode::kOk, "ok", "All was done."},
      {ExitCode::kFailure, "failure",
       "It failed on this machine: a file, a directory, a configuration, a port; `doctor` found damage; `config check` "
       "found "
       "mistakes. The message says which."},
      {ExitCode::kUsage, "usage",
       "The command line is wrong: an unknown word, a missing or malformed value. Nothing was done."},
      {ExitCode::kRejected, "rejected",
       "`import` came to its end, but some lines were rejected; they are listed in the file given with --rejects."},
      {ExitCode::kUnavailable, "unavailable",
       "The server cannot be reached, does not answer in time, or is overloaded. The same command may succeed later; "
       "an "
       "interrupted `import` goes on where it was."},
      {ExitCode::kRefused, "refused",
       "The server refused: the request is not valid, the key is not known or has not the scope, or the member's state "
       "does "
       "not allow it."},
      {ExitCode::kNotFound, "not found",
       "There is no such member, nobody holds the identity, or `bench` found nobody to ask for."},
  };
  return kTable;
}

std::unexpected<Failure> Fails(ExitCode code, std::string message) {
  return std::unexpected(Failure{.code = code, .message = std::move(message)});
}

std::unexpected<Failure> Fails(const Error& error) {
  std::string message = error.message;
  // A single violation is the message already.
  if (error.violations.size() > 1) {
    for (const FieldViolation& violation : error.violations) {
      message +=
          "\n  " + (violation.field.empty() ? violation.description : violation.field + ": " + violation.description);
    }
  }
  return Fails(ExitCode::kFailure, std::move(message));
}

ExitCode ExitCodeOf(Reason reason) {
  switch (reason) {
    case Reason::kMemberNotFound:
    case Reason::kIdentityNotFound:
    case Reason::kNotFound:
      return ExitCode::kNotFound;
    case Reason::kInternal:
      return ExitCode::kFailure;
    default:
      return DescribeReason(reason).retryable ? ExitCode::kUnavailable : ExitCode::kRefused;
  }
}

}  // namespace muster
