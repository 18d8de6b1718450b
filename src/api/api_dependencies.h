#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/deadlines.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "domain/identity_catalog.h"
#include "domain/keyring.h"
#include "domain/ports/member_archive.h"
#include "domain/ports/member_merger.h"
#include "domain/ports/member_search.h"
#include "domain/ports/member_writer.h"
#include "traffic/callers.h"

namespace muster {

class ChangeHub;
class KeysUnderWay;

// What GET /v1/server answers.
struct ServerInfo {
  std::string version;      // "0.1.0"
  std::string center = {};  // empty when there is only one
  std::int64_t epoch = 0;
  std::string admin_address = {};  // "127.0.0.1:7402"; empty until the admin port listens
  std::string grpc_address = {};   // "127.0.0.1:7401"; empty until gRPC is served
  std::string installation = {};   // a name that differs between installations and stays for ever
};

// One thing that must work before reads and writes do.
struct ReadinessCheck {
  std::string name;  // "store"
  bool ready = false;
  std::string detail = {};  // what is wrong and what to do; empty when ready
};

// What the HTTP handlers stand on. Everything outlives the handlers and is thread-safe: each loop has handlers of its
// own.
struct ApiDependencies {
  MemberWriter* writer = nullptr;
  MemberMerger* merger = nullptr;
  MemberArchive* archive = nullptr;
  MemberSearch* search = nullptr;  // null: members are not searched
  ChangeHub* changes = nullptr;    // null: changes are not streamed
  CallerDirectory* callers = nullptr;
  const IdentityCatalog* catalog = nullptr;
  const Keyring* keyring = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  Logger* logger = nullptr;
  MetricRegistry* metrics = nullptr;
  KeysUnderWay* keys_under_way = nullptr;
  Duration deadline_default = kDeadlineDefault;            // of requests that have none
  std::function<std::vector<ReadinessCheck>()> readiness;  // cheap: it runs on a loop
  std::function<ServerInfo()> server;
};

}  // namespace muster
