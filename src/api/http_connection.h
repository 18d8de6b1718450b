#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/asio_event_loop.h"
#include "api/http.h"
#include "api/http_output.h"
#include "api/http_request_reader.h"
#include "api/timer_wheel.h"

namespace muster {

class HttpLoop;

// One client's connection: reads requests, hands them to the loop's handler, sends the answers in order.
//
//            ┌────────────────────────────── more requests ◄───────────────────────────┐
//   serving ─┤ close asked for, rejected, draining, client's end ──► ended: answers    │
//            │                                                       what is under way │
//            └─────────────────────────────────────────────────────────────────────────┘
//   ended, all sent ──┬─ unread input may be there ──► lingering: sends FIN, drops input ──► closed
//                     └─ else ─────────────────────────────────────────────────────────────► closed
//
// Requests are under way together only while all their methods are safe (RFC 9112 section 9.3.2). Any other has the
// connection for itself: it is begun when all before it are answered, and what follows waits for its answer.
//
// A connection that waits for a request holds no buffer. Reading stops while pipeline_max requests or one large answer
// are under way, or output_bytes_max bytes wait, so that the client's socket fills and not this process. One that has
// answered much at a stretch goes on in the loop's next turn. A stream has the connection for itself from when it is
// known to be one; requests behind it wait, and a client that ends its side ends it (http_connection_stream.cc).
// Closing keeps the object until no HttpExchange refers to
// it. One thread.
class HttpConnection final : public HttpExchange::Sink, public SocketWatcher, public TimerWheel::Timer {
 public:
  // Owns `socket`. The loop holds a reference until OnClosed.
  HttpConnection(HttpLoop& loop, int socket);

  void Start();
  // Answers `rejection` without having read anything, and ends.
  void Refuse(const HttpRejection& rejection);
  // Answers what has arrived, and ends.
  void Drain();
  // Closes at once, with whatever is under way.
  void Close();
  // Sends what the turn has answered.
  void EndTurn();
  // Goes on where it had to let others have their turn.
  void Resume();
  // Its client has begun something and not gone on with it since `since`: takes none of its answers, or does not send
  // the rest of its request.
  bool IsStalledSince(Instant since) const;
  std::int64_t accounted_bytes() const { return accounted_bytes_; }
  // Ends a stalled one, so that others have room.
  void Shed();

  bool refused() const { return refused_; }

  EventLoop& loop() override { return events_; }
  void Answer(const HttpExchange::Ticket& ticket, const HttpExchange::Reply& reply) override;
  Result<void> Hold(std::size_t bytes, std::size_t more) override;
  void Stream(const HttpExchange::Ticket& ticket, const HttpExchange::Reply& head,
              std::unique_ptr<HttpSource> source) override;
  void Abandon(const HttpExchange::Ticket& ticket) override;
  void OnReady(Ready ready) override;
  void OnTimer(Instant now) override;

 private:
  friend HttpLoop;

  // What the connection's one timer is for.
  enum class Wait : std::uint8_t { kNothing, kIdle, kHead, kBody, kAnswers, kWrite, kLinger };

  // An answer that goes on, or waits until those before it are sent.
  class Streaming;

  ~HttpConnection() override;

  bool is_open() const { return socket_ >= 0; }
  bool has_room() const;
  // What comes next has to wait for the answers to what came before.
  bool has_to_wait() const { return in_turn_ && output_.under_way() > 0; }
  // Part of a request has arrived, and the rest has not.
  bool mid_request() const { return starved_ && (!input_.empty() || reader_.in_body()); }
  bool finished() const;
  // Has answered what one connection may at a stretch.
  bool is_spent() const;

  void Read();
  void Receive(std::string_view bytes);
  std::size_t TakeRequests(std::string_view input);
  void TakeKept();
  void Dispatch(HttpHead& head);
  void Reject(const HttpRejection& rejection, const HttpRequest& known);
  void GiveUp(const HttpRejection& rejection);
  // Something was answered: it leaves with what else the turn answers.
  void OnOutput();
  bool HasStreamRoom() const;
  void BeginStreams();
  void FeedStreams();
  void DrainStreams();
  // Ends those that go on, whose client listens no more.
  void EndStreams();
  void ForgetStreams();
  void BeginStretch();
  void Settle(bool turn_ends);
  bool Flush();
  void End();
  void Discard();
  void Account();
  void UpdateInterest();
  void UpdateDeadline();
  void ReleaseInput();

  HttpLoop& loop_;  // while open
  EventLoop& events_;
  int socket_;
  AsioEventLoop::Interest interest_;
  Wait wait_ = Wait::kNothing;
  bool refused_ = false;
  bool starved_ = true;   // the reader wants more than there is, rather than has to wait for room
  bool in_turn_ = false;  // no request may be taken beside those that are under way
  bool taking_ = false;   // in TakeRequests: answers need no mark
  bool marked_ = false;   // EndTurn will come
  bool yielded_ = false;  // Resume will come
  bool blocked_ = false;  // the socket takes no more
  bool ended_ = false;    // no further request will be taken
  bool client_ended_ = false;
  bool lingers_ = false;  // the last answer may meet unread input
  bool lingering_ = false;
  bool cut_ = false;                          // a stream without chunks is over: so is the connection
  bool wants_room_ = false;                   // a stream does
  std::uint64_t last_sequence_ = UINT64_MAX;  // the request whose answer says Connection: close
  std::size_t discarded_bytes_ = 0;
  std::size_t held_bytes_ = 0;     // of answers under way
  std::size_t stretch_bytes_ = 0;  // answered in this stretch, which began then
  Instant stretch_began_;
  Instant moved_at_;  // when bytes were last given to the socket, or received while none waited
  std::int64_t accounted_bytes_ = 0;
  HttpRequestReader reader_;
  HttpOutput output_;
  std::vector<std::unique_ptr<Streaming>> streams_;
  std::string input_;                   // received and not consumed; in memory of its own size, not of the pool
  HttpConnection* previous_ = nullptr;  // the loop's list
  HttpConnection* next_ = nullptr;
};

}  // namespace muster
