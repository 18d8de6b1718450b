#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "app/cli/exit_code.h"
#include "app/client/http_client.h"

namespace muster {

// What an import needs of a server. One for each thread.
class ImportService {
 public:
  virtual ~ImportService() = default;
  // A name for the installation that its data cannot outlive.
  virtual Outcome<std::string> Installation() = 0;
  // POST imports:reserve and members:import. Fail with kUnavailable when there is no answer at all.
  virtual Outcome<HttpReply> Reserve(std::uint64_t lines) = 0;
  virtual Outcome<HttpReply> Send(std::int64_t range_start, std::uint64_t first_line, std::string_view text) = 0;
};

using ImportServiceFactory = std::function<std::unique_ptr<ImportService>()>;

// The service behind an admin port, whose server is `server`.
ImportServiceFactory HttpImportServices(HttpClientOptions server, HttpClientOptions admin);

}  // namespace muster
