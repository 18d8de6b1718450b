#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "api/api_dependencies.h"
#include "api/grpc.h"
#include "api/grpc_calls.h"

namespace muster {

// grpc.health.v1.HealthCheckResponse.ServingStatus.
enum class HealthStatus : std::uint8_t { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

// grpc.health.v1.Health of one loop: the server as a whole ("") and muster.v1.MemberService are SERVING while every
// readiness check passes.
class GrpcHealth {
 public:
  using Readiness = std::function<std::vector<ReadinessCheck>()>;
  GrpcHealth(GrpcCalls& calls, Readiness readiness, const Clock& clock);
  ~GrpcHealth();

  // Of a HealthCheckRequest. NOT_FOUND, INVALID_ARGUMENT.
  Result<HealthStatus> Check(std::string_view message) const;
  std::unique_ptr<GrpcSource> Watch(const GrpcRequest& request, GrpcStream& stream);
  // Tells watchers what has changed; looks once a second.
  void Tick();

 private:
  class Watcher;

  HealthStatus Current() const;

  GrpcCalls& calls_;
  const Readiness readiness_;
  const Clock& clock_;
  Instant next_look_;
  std::unordered_set<Watcher*> watchers_;  // each a stream under way; a hundred thousand may end at once
};

}  // namespace muster
