#include "api/grpc_changes.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string>
#include <utility>

#include "api/change_request.h"
#include "api/grpc_status.h"
#include "api/grpc_stream_call.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

// Longer ones are as good as none.
constexpr Duration kTimeoutMax = std::chrono::hours(24 * 366);

void AppendPosition(ProtoWriter& proto, std::int64_t position) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, position).ptr;
  proto.Text(1, std::string_view(digits, end));
}

class GrpcChangeStream final : public GrpcSource, public ChangeStream {
 public:
  GrpcChangeStream(ChangeStreams& changes, ChangeHub::Place place, Deadline deadline, std::string authorization,
                   std::unique_ptr<GrpcStreamCall> call)
      : ChangeStream(changes, std::move(place), std::move(authorization), deadline),
        changes_(changes),
        call_(std::move(call)) {}

  void OnMessage(std::string_view message) override {
    Result<WatchRequest> asked = ReadWatchMessage(message);
    if (asked && is_asked_) asked = muster::Fail(Reason::kInvalidArgument, "WatchChanges takes one request");
    if (!asked) return FinishWith(&asked.error());
    is_asked_ = true;
    // The stream may be gone when the answer comes.
    changes_.Resolve(asked->from, [&changes = changes_, id = id(),
                                   filter = std::move(asked->filter)](Result<std::int64_t> after) mutable {
      ChangeStream* const stream = changes.Find(id);
      if (stream == nullptr) return;
      if (!after) return stream->FinishWith(&after.error());
      stream->Start(*after, std::move(filter));
    });
  }
  void OnClientEnd() override {
    if (is_asked_) return;
    const Error error{.reason = Reason::kInvalidArgument, .message = "WatchChanges takes one request"};
    FinishWith(&error);
  }
  void OnRoom() override { Pump(); }
  bool AwaitsMessage() const override { return !is_asked_; }
  void OnFault(const Error& error) override { FinishWith(&error); }
  void OnDrain() override { FinishWith(nullptr); }

 private:
  std::size_t Send(std::span<const ChangeEvent> events) override {
    std::size_t sent = 0;
    while (sent < events.size()) {
      const auto piece = events.subspan(sent, std::min(ChangeTexts::kEventsMax, events.size() - sent));
      const ChangeTexts::Run run = changes_.texts().Write(piece);
      for (std::size_t i = 0; i < piece.size(); ++i, ++sent) {
        if (!call_->Write(run[i])) return sent;
      }
    }
    return sent;
  }
  void SendHeartbeat(std::int64_t position) override {
    std::string message;
    ProtoWriter proto(message);
    AppendPosition(proto, position);
    proto.Bool(6, true);
    static_cast<void>(call_->Write(message));  // whoever does not keep up needs none
  }
  void Finish(const Error* error) override {
    if (error == nullptr) return call_->End();
    call_->Fail(*error);
  }

  ChangeStreams& changes_;
  const std::unique_ptr<GrpcStreamCall> call_;
  bool is_asked_ = false;
};

}  // namespace

void AppendChangeMessage(std::string& out, const ChangeEvent& event) {
  ProtoWriter proto(out);
  AppendPosition(proto, event.position);
  proto.Number(2, event.member_id.value());
  proto.Number(3, event.version.value());
  proto.Number(4, static_cast<std::int64_t>(event.type));
  proto.Time(5, event.time);
}

std::unique_ptr<GrpcSource> OpenChanges(GrpcCalls& calls, ChangeStreams* changes, const GrpcRequest& request,
                                        GrpcStream& stream) {
  auto call = std::make_unique<GrpcStreamCall>(calls, Rpc::kWatchChanges, request.metadata, stream);
  const auto refuse = [&call](const Error& error) {
    call->Fail(error);
    return nullptr;
  };
  const Result<void> admitted = call->Admit(request.metadata, Scope::kMembersRead);
  if (!admitted) return refuse(admitted.error());
  if (changes == nullptr) {
    return refuse({.reason = Reason::kNotImplemented, .message = "this server does not stream changes"});
  }
  // Streams have no deadline but one that was asked for.
  Deadline deadline;
  if (!request.metadata.timeout.empty()) {
    const Result<Duration> timeout = ParseGrpcTimeout(request.metadata.timeout, kTimeoutMax);
    if (!timeout) return refuse(timeout.error());
    deadline = changes->After(*timeout);
  }
  Result<ChangeHub::Place> place = changes->TakePlace(call->caller().name);
  if (!place) return refuse(place.error());
  return std::make_unique<GrpcChangeStream>(*changes, *std::move(place), deadline,
                                            std::string(request.metadata.authorization), std::move(call));
}

}  // namespace muster
