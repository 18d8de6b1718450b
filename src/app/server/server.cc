#include "app/server/server.h"

#include <algorithm>
#include <cstdint>
#include <thread>

#include "api/admin_api.h"
#include "api/grpc_api.h"
#include "api/member_api.h"
#include "app/files.h"
#include "app/version.h"
#include "domain/json_writer.h"

namespace muster {

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, MemberDirectory& directory,
                                              Logger& logger) {
  std::unique_ptr<Server> server(new Server(directory, logger));
  MUSTER_TRY(server->Listen(options));
  return server;
}

AdminApiDependencies Server::MakeAdminDependencies(const ServerOptions& options) {
  Centers* const centers = directory_.centers();
  AdminApiDependencies admin_api{.ranges = &directory_.store().import_ranges(),
                                 // Half of the store's queue is left to others.
                                 .import_window = static_cast<std::uint32_t>(std::clamp<std::int64_t>(
                                     options.store_queue_max() / 2, 1, ImportBatch::kWindowMax)),
                                 .routes = [this]() -> Result<RouteDescription> {
                                   if (!serving_)
                                     return Fail(Reason::kOverloaded, "the server is just starting; try again");
                                   return directory_.routes().Describe();
                                 },
                                 .failover = centers ? &centers->failover() : nullptr,
                                 .topology = centers ? &centers->topology() : nullptr,
                                 .freshness = {}};
  if (FreshnessSampler* const freshness = centers ? centers->freshness() : nullptr) {
    admin_api.freshness = [freshness] { return freshness->Report(); };
  }
  return admin_api;
}

Result<void> Server::Listen(const ServerOptions& options) {
  MUSTER_ASSIGN(const auto document, directory_.topology().Read());
  Centers* const centers = directory_.centers();
  const ApiDependencies api{
      .writer = &directory_.writer(),
      .merger = &directory_.merger(),
      .archive = &directory_.store().archive(),
      .search = directory_.search(),
      .changes = &directory_.changes(),
      .callers = &directory_.callers(),
      .catalog = &directory_.catalog(),
      .keyring = &directory_.keyring(),
      .clock = &directory_.clock(),
      .random = &directory_.random(),
      .logger = &logger_,
      .metrics = &directory_.metrics(),
      .keys_under_way = &keys_under_way_,
      .deadline_default = options.deadlines.when_absent(),
      .readiness = [this] { return CheckReadiness(); },
      .server =
          [this, centers, epoch = document->epoch.value()] {
            std::lock_guard lock(info_mutex_);
            return ServerInfo{.version = std::string(GetBuildInfo().version),
                              .center = centers ? centers->center() : "",
                              .epoch = centers ? centers->watcher().snapshot()->epoch.value() : epoch,
                              .admin_address = admin_address_,
                              .grpc_address = grpc_address_,
                              .installation = directory_.installation()};
          },
  };
  const AdminApiDependencies admin_api = MakeAdminDependencies(options);
  const HttpServer::HandlerFactory make_admin_api =
      [api, admin_api](SocketLoop& loop) -> Result<std::unique_ptr<HttpHandler>> {
    return MakeAdminApi(loop, api, admin_api);
  };
  MUSTER_ASSIGN(admin_, HttpServer::Start(options.admin, make_admin_api, directory_.clock(), logger_,
                                          directory_.metrics(), "admin"));
  {
    std::lock_guard lock(info_mutex_);
    admin_address_ = admin_->address();
  }
  const GrpcServer::HandlerFactory make_grpc_api = [this,
                                                    api](SocketLoop& loop) -> Result<std::unique_ptr<GrpcHandler>> {
    MUSTER_ASSIGN(auto tree, directory_.routes().Grow(loop));
    return MakeGrpcApi(loop, std::move(tree), api);
  };
  MUSTER_ASSIGN(grpc_,
                GrpcServer::Start(options.grpc, make_grpc_api, directory_.clock(), logger_, directory_.metrics()));
  {
    std::lock_guard lock(info_mutex_);
    grpc_address_ = grpc_->address();
  }
  const HttpServer::HandlerFactory make_member_api = [this,
                                                      api](SocketLoop& loop) -> Result<std::unique_ptr<HttpHandler>> {
    MUSTER_ASSIGN(auto tree, directory_.routes().Grow(loop));
    return MakeMemberApi(loop, std::move(tree), api);
  };
  MUSTER_ASSIGN(http_, HttpServer::Start(options.http, make_member_api, directory_.clock(), logger_,
                                         directory_.metrics(), "http"));
  serving_ = true;
  return {};
}

std::vector<ReadinessCheck> Server::CheckReadiness() const {
  const Result<void> store = directory_.store().Health();
  Centers* const centers = directory_.centers();
  const Result<void> topology = centers ? centers->watcher().Health() : Result<void>();
  return {{.name = "store", .ready = store.has_value(), .detail = store ? "" : store.error().message},
          {.name = "topology", .ready = topology.has_value(), .detail = topology ? "" : topology.error().message},
          {.name = "lifecycle",
           .ready = serving_ && !draining_,
           .detail = draining_   ? "this server is shutting down; use another"
                     : !serving_ ? "this server is just starting"
                                 : ""}};
}

void Server::Stop() {
  draining_ = true;
  // It asks the loops that are about to end.
  if (Centers* const centers = directory_.centers(); centers && centers->freshness()) centers->freshness()->Stop();
  {
    // All at once: a stop takes as long as the longest of them, and none takes calls while another one waits.
    const std::jthread grpc([this] {
      if (grpc_) grpc_->Drain();
    });
    const std::jthread admin([this] {
      if (admin_) admin_->Drain();
    });
    if (http_) http_->Drain();
  }
  admin_.reset();
  grpc_.reset();
  http_.reset();
}

Server::~Server() { Stop(); }

namespace {
std::string EndpointsPath(const std::string& data_directory) { return data_directory + "/endpoints.json"; }
}  // namespace

Outcome<void> WriteEndpoints(const std::string& data_directory, const Server& server) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject();
  json.Key("http").String(server.http_address());
  json.Key("grpc").String(server.grpc_address());
  json.Key("admin").String(server.admin_address());
  json.EndObject();
  return WriteFileDurably(EndpointsPath(data_directory), text + "\n", 0600);
}

Outcome<void> RemoveEndpoints(const std::string& data_directory) {
  return RemoveFileDurably(EndpointsPath(data_directory));
}

}  // namespace muster
