#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster {

// What the process answers its caller with. The numbers are part of the interface; AllExitCodes() describes them.
enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,
  kRejected = 3,
  kUnavailable = 4,
  kRefused = 5,
  kNotFound = 6,
};

struct ExitCodeDescription {
  ExitCode code;
  std::string_view name;
  std::string_view meaning;
};

// The closed list, in order of the numbers. `muster help exit-codes` and the reference page are generated from it.
const std::vector<ExitCodeDescription>& AllExitCodes();

// Why a command ends without having done what it was asked for. `message` says what happened and what to do next, on
// one or more lines without the program's name; it holds no key and no personal value.
struct Failure {
  ExitCode code = ExitCode::kFailure;
  std::string message;
};

template <typename T>
using Outcome = std::expected<T, Failure>;

std::unexpected<Failure> Fails(ExitCode code, std::string message);
// An error of this process's own work: kFailure, its violations on lines of their own.
std::unexpected<Failure> Fails(const Error& error);

// The exit code for an answer of a server with this reason.
ExitCode ExitCodeOf(Reason reason);

}  // namespace muster
