#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"

// How the other subcommands talk to a lab's supervisor: over a Unix socket in its directory, mode 0600, one connection
// a request, one line of JSON each way.
//
//   {"verb":"kill","arguments":["mariadb-a1"]}
//   {"code":"OK","message":"","data":"…"}          data: JSON as text
//   {"code":"NOT_FOUND","message":"the lab has no …","data":""}
namespace muster::lab {

inline constexpr std::size_t kControlLineBytesMax = 256 << 10;

struct ControlRequest {
  std::string verb = {};
  std::vector<std::string> arguments = {};
  friend bool operator==(const ControlRequest&, const ControlRequest&) = default;
};

// With the line feed.
std::string RenderRequest(const ControlRequest& request);
std::string RenderReply(const Result<std::string>& reply);
// INVALID_ARGUMENT; and of a reply, the error that it tells of.
Result<ControlRequest> ParseRequest(std::string_view line);
Result<std::string> ParseReply(std::string_view line);

// Answers requests, a few at a time, each on a thread of its own; all have ended with this object. Who is silent for
// five seconds is cut off.
class ControlServer {
 public:
  using Handler = std::function<Result<std::string>(const ControlRequest&)>;
  static constexpr int kRequestsAtATime = 16;

  static Result<std::unique_ptr<ControlServer>> Start(const std::string& directory, Handler handler, Logger& logger);
  virtual ~ControlServer() = default;
};

// One request to the lab that runs in a directory. NOT_FOUND: none does. DEADLINE_EXCEEDED: it did not answer within
// `patience`.
Result<std::string> AskLab(const std::string& directory, const ControlRequest& request, Duration patience);

}  // namespace muster::lab
