#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/http_answer.h"
#include "bench/http_request.h"
#include "bench/load_channel.h"
#include "bench/socket_transport.h"

namespace muster {

// HTTP/1.1: answers come in the order of requests, so one that is late holds up those behind it.
class HttpChannel final : public LoadChannel {
 public:
  // At most `depth` requests under way.
  HttpChannel(std::shared_ptr<const HttpRequestWriter> writer, std::uint32_t depth)
      : writer_(std::move(writer)), ring_(depth) {}

  void Begin(std::string& out) override;
  bool has_room() const override { return count_ < ring_.size(); }
  std::size_t under_way() const override { return count_; }
  void Append(std::string& out, const LoadCall& call, UnderWay request) override;
  bool Take(std::string_view input, BenchTime now, std::string& out, LoadAnswerSink& sink) override;
  bool GiveUpLate(BenchTime latest, BenchTime now, std::string& out, LoadAnswerSink& sink) override;
  UnderWay Drop() override;

 private:
  const std::shared_ptr<const HttpRequestWriter> writer_;
  HttpAnswerReader reader_;
  std::vector<UnderWay> ring_;  // oldest first
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::string code_;
};

// `depth` of the options: requests that are pipelined on each connection.
Result<std::unique_ptr<LoadTransport>> MakeHttpTransport(SocketTransport::Options options);

}  // namespace muster
