#pragma once

#include <chrono>
#include <string>

#include "app/cli/exit_code.h"
#include "app/client/http_client.h"

namespace muster {

// Where a client command goes, as the user gave it; empty means not given.
struct TargetChoice {
  std::string server = {};
  std::string key_file = {};
  std::chrono::milliseconds timeout{10'000};
};

// The directory in which a server without a configuration keeps its data, and in which client commands look for its
// address and its administrator's key.
inline constexpr const char* kDefaultDataDirectory = "muster-data";

// The address: --server, MUSTER_SERVER, ./muster-data/endpoints.json. The key: --key-file, MUSTER_KEY_FILE,
// ./muster-data/admin.key; the last is only sent to this machine, under whichever of its addresses. A server of
// endpoints.json that listens on all addresses is reached on the loopback one. Reads the files; talks to nobody.
// `environment` looks a variable up and answers empty when it is not set.
struct Environment {
  std::string server;    // MUSTER_SERVER
  std::string key_file;  // MUSTER_KEY_FILE
};
Environment ReadEnvironment();
Outcome<HttpClientOptions> ResolveTarget(const TargetChoice& choice, const Environment& environment,
                                         const std::string& data_directory);

// The same for the admin port of that server, which it is asked for (GET /v1/server). One that is open to all addresses
// is reached where the server is.
Outcome<HttpClientOptions> ResolveAdminTarget(const HttpClientOptions& server);

// Where the same server answers gRPC, as "http://host:port": `given` by the user, else as the server says when it is
// asked.
Outcome<std::string> ResolveGrpcUrl(const std::string& given, const HttpClientOptions& server);

// "http://host:port" of what users write: "host:port", "http://host:port/".
std::string NormaliseServerUrl(const std::string& text);

}  // namespace muster
