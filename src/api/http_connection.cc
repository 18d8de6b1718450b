#include "api/http_connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "api/http_loop.h"
#include "api/http_response.h"
#include "base/check.h"

namespace muster {
namespace {

// A request that is not whole yet may hold this much even when all connections together hold too much.
constexpr std::size_t kSmallRequestBytes = 16 << 10;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

HttpConnection::HttpConnection(HttpLoop& loop, int socket)
    : loop_(loop), events_(loop.events()), socket_(socket), reader_(loop.limits()), output_(loop.buffers()) {}

HttpConnection::~HttpConnection() { MUSTER_CHECK(!is_open()); }

void HttpConnection::Start() {
  interest_ = {.read = true};
  if (!loop_.events().Watch(socket_, *this, interest_)) return Close();
  UpdateDeadline();
}

void HttpConnection::Refuse(const HttpRejection& rejection) {
  refused_ = true;
  Start();
  if (!is_open()) return;
  Reject(rejection);
  Settle(true);
}

void HttpConnection::OnReady(Ready ready) {
  if (!is_open()) return;
  if (ready.broken) return Close();
  if (ready.writable) {
    blocked_ = false;
    Settle(true);
  }
  if (ready.readable && is_open()) Read();
}

void HttpConnection::Read() {
  if (lingering_) return Discard();
  if (ended_ || client_ended_) return;
  const std::span<char> buffer = loop_.input_buffer();
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) Close();
    return;
  }
  loop_.ReadClock();
  if (count == 0) {
    client_ended_ = true;
  } else {
    Receive({buffer.data(), static_cast<std::size_t>(count)});
  }
  Settle(false);
}

void HttpConnection::Receive(std::string_view bytes) {
  loop_.metrics().received_bytes.Add(bytes.size());
  if (input_.empty()) {
    const std::size_t taken = TakeRequests(bytes);
    if (taken == bytes.size()) return;
    if (ended_) {
      lingers_ = true;
      return;
    }
    input_ = loop_.buffers().Take();
    input_.append(bytes.substr(taken));
  } else {
    input_.append(bytes);
    TakeKept();
  }
}

void HttpConnection::TakeKept() {
  const std::size_t taken = TakeRequests(input_);
  if (ended_ && taken < input_.size()) lingers_ = true;
  if (ended_ || taken == input_.size()) {
    ReleaseInput();
  } else {
    input_.erase(0, taken);
  }
}

std::size_t HttpConnection::TakeRequests(std::string_view input) {
  std::size_t taken = 0;
  starved_ = false;
  taking_ = true;
  while (!ended_ && !starved_ && has_room()) {
    HttpHead& head = loop_.head();
    HttpRejection rejection;
    std::size_t consumed = 0;
    const HttpParse parse = reader_.Next(input.substr(taken), head, consumed, rejection);
    taken += consumed;
    switch (parse) {
      case HttpParse::kComplete:
        Dispatch(head);
        reader_.Forget();
        starved_ = taken == input.size();
        break;
      case HttpParse::kIncomplete:
        starved_ = true;
        break;
      case HttpParse::kRejected:
        Reject(rejection);
        reader_.Forget();
        break;
    }
  }
  taking_ = false;
  return taken;
}

void HttpConnection::Dispatch(const HttpHead& head) {
  wait_ = Wait::kNothing;
  const HttpExchange::Ticket ticket{.sequence = output_.Begin(),
                                    .began = loop_.now(),
                                    .head = head.request.method == HttpMethod::kHead,
                                    .says_keep_alive = head.keep_alive && head.request.version_minor == 0};
  if (!head.keep_alive || loop_.draining()) {
    ended_ = true;
    last_sequence_ = ticket.sequence;
  }
  loop_.handler().Handle(head.request, HttpExchange(*this, ticket));
}

void HttpConnection::Reject(const HttpRejection& rejection) {
  const HttpExchange::Ticket ticket{.sequence = output_.Begin(), .began = loop_.now()};
  ended_ = true;
  lingers_ = true;
  last_sequence_ = ticket.sequence;
  const std::string body = loop_.handler().DescribeRejection(rejection.status, rejection.detail);
  Answer(ticket, {.status = rejection.status,
                  .content_type = "application/problem+json",
                  .extra_headers = rejection.status == 503 ? "Retry-After: 1\r\n" : "",
                  .body = body});
}

void HttpConnection::Answer(const HttpExchange::Ticket& ticket, const HttpExchange::Reply& reply) {
  if (!is_open()) return;
  const Instant now = loop_.ReadClock();
  output_.Answer(ticket.sequence, [&](std::string& text) {
    AppendHttpResponse(text, reply,
                       {.date_line = loop_.date_line(),
                        .head = ticket.head,
                        .says_close = ticket.sequence == last_sequence_,
                        .says_keep_alive = ticket.says_keep_alive});
  });
  loop_.metrics().CountAnswer(reply.status, now - ticket.began);
  if (taking_ || marked_) return;
  marked_ = true;
  loop_.Mark(*this);
}

void HttpConnection::Abandon(const HttpExchange::Ticket& ticket) {
  if (!is_open()) return;
  const std::string body = loop_.handler().DescribeRejection(500, "the request was dropped without an answer");
  Answer(ticket, {.status = 500, .content_type = "application/problem+json", .body = body});
}

void HttpConnection::EndTurn() {
  marked_ = false;
  if (is_open()) Settle(true);
}

bool HttpConnection::has_room() const {
  const std::size_t unsent = output_.bytes();
  return output_.under_way() < loop_.pipeline_max() && unsent < loop_.output_bytes_max() &&
         (unsent == 0 || !loop_.crowded());
}

bool HttpConnection::finished() const {
  const bool no_more = ended_ || (client_ended_ && (starved_ || input_.empty()));
  return no_more && output_.under_way() == 0 && output_.empty();
}

// After anything has happened: sends, goes on with input that had to wait, ends, waits for what comes next. While
// answers are missing that the turn may still bring, sending is left to the turn's end: one send for all of them.
void HttpConnection::Settle(bool turn_ends) {
  if (lingering_) return;
  while (true) {
    if (output_.under_way() == 0 && !ended_ && reader_.TakeContinue()) output_.AppendInterim(kContinue);
    if (!output_.empty()) {
      if (output_.under_way() > 0 && !turn_ends) {
        if (!std::exchange(marked_, true)) loop_.Mark(*this);
      } else if (!Flush()) {
        return;
      }
    }
    if (ended_ || starved_ || input_.empty() || !has_room()) break;
    TakeKept();
  }
  if (finished()) return End();
  Account();
  if (loop_.crowded() && mid_request() && !ended_ && input_.size() + reader_.held_bytes() > kSmallRequestBytes) {
    return GiveUp({.status = 503, .detail = "the server holds as much of other requests as it may; try again later"});
  }
  UpdateInterest();
  UpdateDeadline();
}

void HttpConnection::Account() {
  const auto held = static_cast<std::int64_t>(input_.size() + reader_.held_bytes() + output_.bytes());
  if (held == accounted_bytes_) return;
  loop_.Account(held - accounted_bytes_);
  accounted_bytes_ = held;
}

// A request that has not arrived whole is not waited for any more.
void HttpConnection::GiveUp(const HttpRejection& rejection) {
  Reject(rejection);
  ReleaseInput();
  reader_.Forget();
  Settle(true);
}

// False when that has closed the connection.
bool HttpConnection::Flush() {
  if (blocked_) return true;
  const std::string_view unsent = output_.unsent();
  const ssize_t count = send(socket_, unsent.data(), unsent.size(), MSG_NOSIGNAL);
  if (count >= 0) {
    loop_.metrics().sent_bytes.Add(static_cast<std::size_t>(count));
    output_.Sent(static_cast<std::size_t>(count));
    if (wait_ == Wait::kWrite) wait_ = Wait::kNothing;
  } else if (errno != EAGAIN && errno != EINTR) {
    Close();
    return false;
  }
  blocked_ = !output_.empty();
  return true;
}

void HttpConnection::UpdateInterest() {
  const AsioEventLoop::Interest wanted{.read = lingering_ || (!ended_ && !client_ended_ && has_room()),
                                       .write = blocked_};
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.events().ChangeInterest(socket_, *this, interest_);
}

}  // namespace muster
