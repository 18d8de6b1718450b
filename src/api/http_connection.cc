#include "api/http_connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "api/connection_bounds.h"
#include "api/http_connection_stream.h"
#include "api/http_loop.h"
#include "api/http_response.h"
#include "base/check.h"

namespace muster {
namespace {

// How much a connection may answer at a stretch while others wait.
constexpr std::size_t kStretchBytesMax = 256 << 10;

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
  Reject(rejection, {});
  Settle(true);
}

void HttpConnection::OnReady(Ready ready) {
  if (!is_open()) return;
  if (ready.broken) return Close();
  if (ready.writable) {
    blocked_ = false;
    BeginStretch();
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
  BeginStretch();
  if (!blocked_) moved_at_ = loop_.now();  // else taking its answers is what counts
  if (count == 0) {
    client_ended_ = true;
    EndStreams();
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
    input_.assign(bytes.substr(taken));
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
    DropFront(input_, taken);
  }
}

std::size_t HttpConnection::TakeRequests(std::string_view input) {
  std::size_t taken = 0;
  starved_ = false;
  taking_ = true;
  while (!ended_ && !starved_ && has_room() && !has_to_wait() && !is_spent()) {
    HttpHead& head = loop_.head();
    HttpRejection rejection;
    std::size_t consumed = 0;
    const HttpParse parse = reader_.Next(input.substr(taken), head, consumed, rejection, output_.under_way() > 0);
    taken += consumed;
    switch (parse) {
      case HttpParse::kComplete:
        in_turn_ = !IsSafe(head.request.method);
        Dispatch(head);
        reader_.Forget();
        starved_ = taken == input.size();
        break;
      case HttpParse::kIncomplete:
        starved_ = true;
        break;
      case HttpParse::kPostponed:
        in_turn_ = true;
        break;
      case HttpParse::kRejected:
        Reject(rejection, head.request);
        reader_.Forget();
        break;
    }
  }
  taking_ = false;
  return taken;
}

void HttpConnection::Dispatch(HttpHead& head) {
  wait_ = Wait::kNothing;
  const HttpExchange::Ticket ticket{.sequence = output_.Begin(),
                                    .began = loop_.now(),
                                    .head = head.request.method == HttpMethod::kHead,
                                    .says_keep_alive = head.keep_alive && head.request.version_minor == 0,
                                    .takes_chunks = head.request.version_minor > 0};
  if (!head.keep_alive || loop_.draining()) {
    ended_ = true;
    last_sequence_ = ticket.sequence;
    // The client did not know: more of its requests may lie in the socket.
    if (loop_.draining()) lingers_ = true;
  }
  head.request.crowded = loop_.crowded();
  loop_.handler().Handle(head.request, HttpExchange(*this, ticket));
}

void HttpConnection::Reject(const HttpRejection& rejection, const HttpRequest& known) {
  const HttpExchange::Ticket ticket{
      .sequence = output_.Begin(), .began = loop_.now(), .head = known.method == HttpMethod::kHead};
  ended_ = true;
  lingers_ = true;
  last_sequence_ = ticket.sequence;
  loop_.handler().Reject(rejection, known, HttpExchange(*this, ticket));
}

void HttpConnection::Answer(const HttpExchange::Ticket& ticket, const HttpExchange::Reply& reply) {
  if (!is_open()) return;
  held_bytes_ -= ticket.held_bytes;
  const Instant now = loop_.ReadClock();
  output_.Answer(ticket.sequence, [&](std::string& text) {
    AppendHttpResponse(text, reply,
                       {.date_line = loop_.date_line(),
                        .head = ticket.head,
                        .says_close = ticket.sequence == last_sequence_,
                        .says_keep_alive = ticket.says_keep_alive});
  });
  loop_.metrics().CountAnswer(reply.status, now - ticket.began);
  stretch_bytes_ += reply.body.size();
  if (!streams_.empty()) BeginStreams();
  OnOutput();
}

void HttpConnection::OnOutput() {
  if (taking_) return;
  Account();
  if (!std::exchange(marked_, true)) loop_.Mark(*this);
}

Result<void> HttpConnection::Hold(std::size_t bytes, std::size_t more) {
  if (!is_open()) return Fail(Reason::kOverloaded, "the connection is gone");  // and its answer is not worth making
  MUSTER_TRY(loop_.FindRoom(bytes, more));
  held_bytes_ += more;
  Account();
  return {};
}

void HttpConnection::Abandon(const HttpExchange::Ticket& ticket) {
  if (!is_open()) return;
  loop_.handler().Reject({.status = 500, .detail = "the request was dropped without an answer"}, {},
                         HttpExchange(*this, ticket));
}

void HttpConnection::EndTurn() {
  marked_ = false;
  if (!is_open()) return;
  BeginStretch();
  Settle(true);
}

void HttpConnection::Resume() {
  yielded_ = false;
  if (!is_open()) return;
  BeginStretch();
  FeedStreams();
  TakeKept();
  Settle(false);
}

void HttpConnection::BeginStretch() {
  const Instant now = loop_.ReadClock();
  if (yielded_) return;  // Resume begins the next
  stretch_bytes_ = 0;
  stretch_began_ = now;
}

bool HttpConnection::is_spent() const {
  return yielded_ || stretch_bytes_ > kStretchBytesMax || loop_.now() - stretch_began_ > kStretchTimeMax;
}

bool HttpConnection::has_room() const {
  const std::size_t unsent = output_.bytes();
  return held_bytes_ == 0 && output_.under_way() < loop_.pipeline_max() && unsent < loop_.output_bytes_max() &&
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
  ForgetStreams();
  while (true) {
    if (output_.under_way() == 0 && !ended_ && reader_.TakeContinue()) output_.AppendInterim(kContinue);
    if (!output_.empty()) {
      if (output_.under_way() > 0 && !turn_ends) {
        if (!std::exchange(marked_, true)) loop_.Mark(*this);
      } else if (!Flush()) {
        return;
      }
    }
    if (ended_ || starved_ || input_.empty() || !has_room() || has_to_wait()) break;
    if (is_spent()) {
      if (!std::exchange(yielded_, true)) loop_.Yield(*this);
      break;
    }
    TakeKept();
  }
  if (finished()) return End();
  if (cut_ && output_.empty()) return Close();
  if (wants_room_ && HasStreamRoom() && !std::exchange(yielded_, true)) loop_.Yield(*this);
  Account();
  if (loop_.crowded() && mid_request() && !ended_ && input_.size() + reader_.held_bytes() > kSmallRequestBytes) {
    return GiveUp({.status = 503, .detail = "the server holds as much of other requests as it may; try again later"});
  }
  UpdateInterest();
  UpdateDeadline();
}

void HttpConnection::Account() {
  const auto held =
      static_cast<std::int64_t>(input_.size() + reader_.held_bytes() + output_.held_bytes() + held_bytes_);
  if (held == accounted_bytes_) return;
  loop_.Account(held - accounted_bytes_);
  accounted_bytes_ = held;
}

// A request that has not arrived whole is not waited for any more.
void HttpConnection::GiveUp(const HttpRejection& rejection) {
  HttpHead& head = loop_.head();
  reader_.Recall(input_, head);
  Reject(rejection, head.request);
  ReleaseInput();
  reader_.Forget();
  Settle(true);
}

// False when that has closed the connection.
bool HttpConnection::Flush() {
  if (blocked_) return true;
  const std::string_view unsent = output_.unsent();
  const ssize_t count = send(socket_, unsent.data(), unsent.size(), MSG_NOSIGNAL);
  moved_at_ = loop_.now();  // also if the socket took nothing: it is asked when it has room, or for the first time
  if (count >= 0) {
    loop_.metrics().sent_bytes.Add(static_cast<std::size_t>(count));
    output_.Sent(static_cast<std::size_t>(count));
    if (wait_ == Wait::kWrite) wait_ = Wait::kNothing;
  } else if (errno != EAGAIN && errno != EINTR) {
    Close();
    return false;
  }
  blocked_ = !output_.empty();
  if (blocked_) output_.Fit();
  return true;
}

void HttpConnection::UpdateInterest() {
  // Behind a request that has the connection for itself, reading goes on until there is something: most often there is
  // nothing, and asking costs a system call.
  const bool takes_input = has_room() && (!has_to_wait() || input_.empty());
  const AsioEventLoop::Interest wanted{.read = lingering_ || (!ended_ && !client_ended_ && !yielded_ && takes_input),
                                       .write = blocked_};
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.events().ChangeInterest(socket_, *this, interest_);
}

}  // namespace muster
