#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/grpc_outcome.h"
#include "bench/grpc_request.h"
#include "bench/h2_frame.h"
#include "bench/load_channel.h"
#include "bench/socket_transport.h"

namespace muster {

// gRPC over HTTP/2 without TLS, as little of it as unary calls need. Answers come in any order. A server that says
// GOAWAY gets no further calls; one that wants a compression table below HPACK's default is not spoken to.
class GrpcChannel final : public LoadChannel {
 public:
  // At most `streams` calls under way.
  GrpcChannel(std::string_view authority, std::string_view key, std::uint32_t streams);
  ~GrpcChannel() override;
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  void Begin(std::string& out) override;
  bool has_room() const override;
  std::size_t under_way() const override { return calls_.size(); }
  void Append(std::string& out, const LoadCall& call, UnderWay request) override;
  bool Take(std::string_view input, BenchTime now, std::string& out, LoadAnswerSink& sink) override;
  bool GiveUpLate(BenchTime latest, BenchTime now, std::string& out, LoadAnswerSink& sink) override;
  UnderWay Drop() override;

 private:
  struct Call {
    std::uint32_t stream = 0;
    UnderWay request;
  };

  bool TakeFrame(const H2Frame& frame, BenchTime now, std::string& out, LoadAnswerSink& sink);
  bool TakeHeaders(const H2Frame& frame, BenchTime now, LoadAnswerSink& sink);
  bool TakeSettings(std::string_view payload);
  void CountReceived(std::size_t bytes, std::string& out);
  // Answers the call of a stream, if it is under way.
  void Answer(std::uint32_t stream, BenchTime now, LoadAnswerSink& sink, bool is_success, std::string_view code);

  const std::uint32_t streams_;
  GrpcHeadWriter heads_;
  GrpcOutcomeReader outcome_;
  H2FrameReader frames_;
  std::string block_;               // a header block that goes on
  std::uint32_t block_stream_ = 0;  // zero: none does
  bool block_ends_stream_ = false;
  std::vector<Call> calls_;
  std::string message_;
  std::string head_;
  std::uint32_t next_stream_ = 1;
  std::uint32_t streams_allowed_ = 0;  // by the server
  std::int64_t send_window_ = 0;
  std::size_t received_ = 0;  // since the window was renewed
  bool is_leaving_ = false;
};

// `depth` of the options: calls under way on each connection.
Result<std::unique_ptr<LoadTransport>> MakeGrpcTransport(SocketTransport::Options options);

}  // namespace muster
