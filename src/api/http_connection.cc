#include "api/http_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "api/http_loop.h"
#include "api/http_response.h"
#include "base/check.h"

namespace muster {
namespace {

// How long and how much a client may go on sending after its last answer, so that it reads that answer before a reset.
constexpr Duration kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kLingerBytesMax = 16 << 20;

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
  return output_.under_way() < loop_.pipeline_max() && output_.bytes() < loop_.output_bytes_max();
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
  UpdateInterest();
  UpdateDeadline();
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

void HttpConnection::End() {
  if (!lingers_ || client_ended_ || shutdown(socket_, SHUT_WR) != 0) return Close();
  lingering_ = true;
  ReleaseInput();
  UpdateInterest();
  UpdateDeadline();
}

void HttpConnection::Discard() {
  const std::span<char> buffer = loop_.input_buffer();
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) discarded_bytes_ += static_cast<std::size_t>(count);
  if (count <= 0 || discarded_bytes_ > kLingerBytesMax) Close();
}

void HttpConnection::UpdateInterest() {
  const AsioEventLoop::Interest wanted{.read = lingering_ || (!ended_ && !client_ended_ && has_room()),
                                       .write = blocked_};
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.events().ChangeInterest(socket_, *this, interest_);
}

void HttpConnection::UpdateDeadline() {
  const auto wanted = [this] {
    if (lingering_) return Wait::kLinger;
    if (!output_.empty() && blocked_) return Wait::kWrite;
    if (mid_request() && !ended_) return reader_.in_body() ? Wait::kBody : Wait::kHead;
    return output_.under_way() > 0 ? Wait::kAnswers : Wait::kIdle;
  }();
  if (wanted == wait_) return;
  wait_ = wanted;
  switch (wait_) {
    case Wait::kNothing:
    case Wait::kAnswers:
      // What is still scheduled finds nothing to do.
      return;
    case Wait::kIdle:
      return loop_.Schedule(*this, loop_.options().idle_timeout_ms);
    case Wait::kHead:
      return loop_.Schedule(*this, loop_.options().header_timeout_ms);
    case Wait::kBody:
      return loop_.Schedule(*this, loop_.options().body_timeout_ms);
    case Wait::kWrite:
      return loop_.Schedule(*this, loop_.options().write_timeout_ms);
    case Wait::kLinger:
      return loop_.Schedule(*this, std::chrono::duration_cast<std::chrono::milliseconds>(kLingerTime).count());
  }
}

void HttpConnection::OnTimer(Instant) {
  switch (wait_) {
    case Wait::kNothing:
    case Wait::kAnswers:
      return;
    case Wait::kHead:
      Reject({.status = 408, .detail = "the head of the request did not arrive in time"});
      return Settle(true);
    case Wait::kBody:
      Reject({.status = 408, .detail = "the body of the request did not arrive in time"});
      return Settle(true);
    case Wait::kIdle:
    case Wait::kWrite:
    case Wait::kLinger:
      return Close();
  }
}

void HttpConnection::Drain() {
  if (lingering_ || ended_) return;
  if (output_.under_way() > 0) {
    ended_ = true;
    lingers_ = !input_.empty();
    last_sequence_ = output_.begun() - 1;
    ReleaseInput();
    return Settle(true);
  }
  if (mid_request()) return;
  // A request may lie in the socket, sent before the client could know.
  Read();
  if (!is_open() || ended_ || mid_request()) return;
  ended_ = true;
  lingers_ = !input_.empty();
  Settle(true);
}

void HttpConnection::ReleaseInput() { loop_.buffers().Give(std::exchange(input_, {})); }

void HttpConnection::Close() {
  if (!is_open()) return;
  loop_.wheel().Cancel(*this);
  output_.Drop();
  ReleaseInput();
  reader_.Forget();
  close(std::exchange(socket_, -1));
  loop_.OnClosed(*this);
}

}  // namespace muster
