#include "api/grpc_health.h"

#include <algorithm>
#include <optional>
#include <string>

#include "api/grpc_stream_call.h"
#include "api/proto_reader.h"
#include "base/check.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

constexpr Duration kLookInterval = std::chrono::seconds(1);

// The service that a HealthCheckRequest names; nullopt when it is malformed.
std::optional<std::string_view> ServiceOf(std::string_view message) {
  std::string_view service;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.Is(1, WireType::kBytes)) service = reader.bytes();
  }
  if (reader.malformed()) return std::nullopt;
  return service;
}

bool IsKnown(std::string_view service) { return service.empty() || service == "muster.v1.MemberService"; }

Error Malformed() {
  return {.reason = Reason::kInvalidArgument, .message = "the message is no grpc.health.v1.HealthCheckRequest"};
}

}  // namespace

// One stream of statuses: the latest one that its client does not know yet waits for room.
class GrpcHealth::Watcher final : public GrpcSource {
 public:
  Watcher(GrpcHealth& health, const GrpcRequest& request, GrpcStream& stream)
      : health_(health), call_(health.calls_, Rpc::kWatchHealth, request.metadata, stream) {
    health_.watchers_.insert(this);
  }
  ~Watcher() override { health_.watchers_.erase(this); }

  void OnMessage(std::string_view message) override {
    const auto service = ServiceOf(message);
    if (!service) return call_.Fail(Malformed());
    if (asked_) return call_.Fail({.reason = Reason::kInvalidArgument, .message = "Watch takes one request"});
    asked_ = true;
    is_known_ = IsKnown(*service);
    Show(is_known_ ? health_.Current() : HealthStatus::kServiceUnknown);
  }
  void OnClientEnd() override {
    if (!asked_) call_.Fail(Malformed());
  }
  void OnRoom() override { Show(latest_); }
  bool AwaitsMessage() const override { return !asked_; }
  void OnFault(const Error& error) override { call_.Fail(error); }
  void OnDrain() override {
    Show(HealthStatus::kNotServing);
    call_.End();
  }
  void Show(HealthStatus status) {
    latest_ = status;
    if (!asked_ || shown_ == status) return;
    std::string message;
    ProtoWriter(message).Number(1, static_cast<std::int64_t>(status));
    if (call_.Write(message)) shown_ = status;
  }
  bool is_known() const { return is_known_; }

 private:
  GrpcHealth& health_;
  GrpcStreamCall call_;
  bool asked_ = false;
  bool is_known_ = false;
  HealthStatus latest_ = HealthStatus::kUnknown;
  HealthStatus shown_ = HealthStatus::kUnknown;
};

GrpcHealth::GrpcHealth(GrpcCalls& calls, Readiness readiness, const Clock& clock)
    : calls_(calls), readiness_(std::move(readiness)), clock_(clock), next_look_(clock.Monotonic()) {}

GrpcHealth::~GrpcHealth() { MUSTER_CHECK(watchers_.empty()); }

Result<HealthStatus> GrpcHealth::Check(std::string_view message) const {
  const auto service = ServiceOf(message);
  if (!service) return Fail(Malformed());
  if (!IsKnown(*service)) {
    return Fail(Reason::kNotFound, "this server has no such service; ask for muster.v1.MemberService or for none");
  }
  return Current();
}

HealthStatus GrpcHealth::Current() const {
  return std::ranges::all_of(readiness_(), &ReadinessCheck::ready) ? HealthStatus::kServing : HealthStatus::kNotServing;
}

std::unique_ptr<GrpcSource> GrpcHealth::Watch(const GrpcRequest& request, GrpcStream& stream) {
  return std::make_unique<Watcher>(*this, request, stream);
}

void GrpcHealth::Tick() {
  if (watchers_.empty() || clock_.Monotonic() < next_look_) return;
  next_look_ = clock_.Monotonic() + kLookInterval;
  const HealthStatus status = Current();
  for (Watcher* watcher : watchers_) {
    if (watcher->is_known()) watcher->Show(status);
  }
}

}  // namespace muster
