#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "api/admin_api.h"
#include "api/api_dependencies.h"
#include "api/grpc_server.h"
#include "api/http_server.h"
#include "api/idempotency.h"
#include "app/cli/exit_code.h"
#include "app/server/member_directory.h"
#include "app/server/server_options.h"
#include "base/log.h"

namespace muster {

// A directory with its ports: the callers', over HTTP and over gRPC, and the administrators'.
class Server {
 public:
  // Listens on all. When it returns, all answer. Errors are those of HttpServer::Start: they name the port and what
  // to do, and STATE_CONFLICT is a port in use. All arguments outlive it. A directory has one server in its life, also
  // when that one did not start: its metrics and route trees remember it.
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, MemberDirectory& directory,
                                               Logger& logger);
  ~Server();  // stops

  std::string http_address() const { return http_->address(); }
  std::string grpc_address() const { return grpc_->address(); }
  std::string admin_address() const { return admin_->address(); }

  // Not ready any more, accepts nothing, answers what is under way, ends. Idempotent.
  void Stop();

 private:
  Server(MemberDirectory& directory, Logger& logger) : directory_(directory), logger_(logger) {}
  AdminApiDependencies MakeAdminDependencies(const ServerOptions& options);
  Result<void> Listen(const ServerOptions& options);
  std::vector<ReadinessCheck> CheckReadiness() const;

  MemberDirectory& directory_;
  Logger& logger_;
  // Both ports answer. Before, and when one of them could not listen, there are no route trees to show.
  std::atomic<bool> serving_ = false;
  std::atomic<bool> draining_ = false;
  KeysUnderWay keys_under_way_;
  std::mutex info_mutex_;
  std::string admin_address_;  // guarded by info_mutex_
  std::string grpc_address_;   // guarded by info_mutex_
  // The admin port shows the route trees, which live in the handlers of the others: it goes first.
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<HttpServer> admin_;
};

// <data>/endpoints.json: where a running server listens. Written when it is ready, removed when it ends.
Outcome<void> WriteEndpoints(const std::string& data_directory, const Server& server);
Outcome<void> RemoveEndpoints(const std::string& data_directory);

}  // namespace muster
