#include "api/http_connection_stream.h"

#include <charconv>
#include <utility>

#include "api/http_loop.h"
#include "api/http_response.h"

// Answers that go on: how they begin in their turn, are fed as far as the client takes them, and end.

namespace muster {

bool HttpConnection::Streaming::HasRoom() {
  if (!is_live_) return true;  // and it will be told that it is over
  const std::size_t unsent = connection_.output_.unsent_bytes();
  const bool has_room = unsent < connection_.loop_.output_bytes_max() && (unsent == 0 || !connection_.loop_.crowded());
  if (!has_room) connection_.wants_room_ = true;
  return has_room;
}

void HttpConnection::Streaming::Write(std::string_view bytes) {
  if (!is_live_ || bytes.empty()) return;
  std::string& output = connection_.output_.Continue(sequence_);
  if (chunks_) {
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, bytes.size(), 16).ptr;
    output.append(digits, end).append("\r\n").append(bytes).append("\r\n");
  } else {
    output.append(bytes);
  }
  connection_.OnOutput();
}

void HttpConnection::Streaming::End() {
  if (!is_live_) return;
  is_live_ = false;
  is_over_ = true;
  connection_.wants_room_ = false;
  if (chunks_) {
    connection_.output_.Continue(sequence_).append("0\r\n\r\n");
    connection_.output_.Finish(sequence_);
  } else {
    connection_.cut_ = true;
  }
  connection_.OnOutput();
}

void HttpConnection::Streaming::Begin() {
  is_live_ = true;
  connection_.output_.Continue(sequence_).append(head_);
  std::string().swap(head_);
  source_->OnBegin(*this);
  if (connection_.client_ended_) return End();
  if (is_live_ && connection_.loop_.draining()) source_->OnDrain();
}

void HttpConnection::Stream(const HttpExchange::Ticket& ticket, const HttpExchange::Reply& head,
                            std::unique_ptr<HttpSource> source) {
  if (!is_open()) return;
  held_bytes_ -= ticket.held_bytes;
  const Instant now = loop_.ReadClock();
  const HttpResponseFrame frame{.date_line = loop_.date_line(),
                                .head = ticket.head,
                                .says_close = ticket.sequence == last_sequence_ || !ticket.takes_chunks,
                                .streams = true,
                                .chunks = ticket.takes_chunks};
  loop_.metrics().CountAnswer(head.status, now - ticket.began);
  if (ticket.head) {
    output_.Answer(ticket.sequence, [&](std::string& text) { AppendHttpResponse(text, head, frame); });
  } else {
    std::string text;
    AppendHttpResponse(text, head, frame);
    streams_.push_back(std::make_unique<Streaming>(*this, ticket, std::move(text), std::move(source)));
    in_turn_ = true;
  }
  BeginStreams();
  OnOutput();
}

bool HttpConnection::HasStreamRoom() const { return output_.unsent_bytes() < loop_.output_bytes_max() / 2; }

// One that ends at once lets the next one begin.
void HttpConnection::BeginStreams() {
  for (bool found = true; found;) {
    found = false;
    for (std::size_t i = 0; i < streams_.size() && !found; ++i) {
      if (!streams_[i]->is_due()) continue;
      found = true;
      streams_[i]->Begin();
    }
  }
}

void HttpConnection::FeedStreams() {
  if (!wants_room_ || !HasStreamRoom()) return;
  wants_room_ = false;
  for (const auto& stream : streams_) {
    if (stream->is_live()) return stream->source().OnRoom();
  }
}

void HttpConnection::DrainStreams() {
  for (const auto& stream : streams_) {
    if (stream->is_live()) return stream->source().OnDrain();
  }
}

void HttpConnection::EndStreams() {
  for (const auto& stream : streams_) stream->End();
}

void HttpConnection::ForgetStreams() {
  if (streams_.empty()) return;
  std::erase_if(streams_, [](const auto& stream) { return stream->is_over(); });
  BeginStreams();
}

}  // namespace muster
