#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/http_connection.h"

namespace muster {

// One answer that goes on, between its head and its end.
//
//   waits for the answers before it ──► live: what its source writes leaves as it comes ──► over: forgotten by Settle
class HttpConnection::Streaming final : public HttpStream {
 public:
  Streaming(HttpConnection& connection, const HttpExchange::Ticket& ticket, std::string head,
            std::unique_ptr<HttpSource> source)
      : connection_(connection),
        sequence_(ticket.sequence),
        chunks_(ticket.takes_chunks),
        head_(std::move(head)),
        source_(std::move(source)) {}

  bool HasRoom() override;
  void Write(std::string_view bytes) override;
  void End() override;

  // All before it are answered.
  void Begin();
  bool is_due() const { return !is_live_ && !is_over_ && connection_.output_.is_next(sequence_); }
  bool is_live() const { return is_live_; }
  bool is_over() const { return is_over_; }
  HttpSource& source() { return *source_; }

 private:
  HttpConnection& connection_;
  const std::uint64_t sequence_;
  const bool chunks_;
  bool is_live_ = false;
  bool is_over_ = false;
  std::string head_;  // until it is live
  std::unique_ptr<HttpSource> source_;
};

}  // namespace muster
