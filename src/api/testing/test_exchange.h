#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "api/http.h"
#include "base/event_loop.h"

// HTTP exchanges without a network: a loop that the test drives, and answers that stay where they were sent.
namespace muster::testing {

// Post comes from any thread, RunUntil belongs to the test's.
class TestLoop final : public EventLoop {
 public:
  void Post(Work work) override {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    arrived_.notify_one();
  }
  void Defer(Work work) override { Post(std::move(work)); }

  // Works until `done`; fails the test after ten seconds.
  void RunUntil(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      std::unique_lock lock(mutex_);
      if (!arrived_.wait_until(lock, deadline, [this] { return !queue_.empty(); })) {
        FAIL() << "nothing happened for ten seconds";
      }
      Work work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Work> queue_;
};

struct Response : HttpStream {
  virtual ~Response() = default;

  bool answered = false;
  bool abandoned = false;
  int status = 0;
  std::string content_type;
  std::string headers;
  std::string body;
  std::size_t held = 0;             // what the handler held for it, in all
  std::size_t hold_max = SIZE_MAX;  // beyond, the server has no room

  // Of a stream, whose pieces are in `body`.
  std::shared_ptr<HttpSource> source;
  std::size_t room = SIZE_MAX;  // of body
  bool ended = false;

  bool HasRoom() override { return body.size() < room; }
  void Write(std::string_view bytes) override { body.append(bytes); }
  void End() override { ended = true; }

  // The value of a header; empty when absent.
  std::string Header(std::string_view name) const {
    const std::string all = "\r\n" + headers;
    const std::string begin = "\r\n" + std::string(name) + ": ";
    const std::size_t at = all.find(begin);
    if (at == std::string::npos) return "";
    return all.substr(at + begin.size(), all.find("\r\n", at + begin.size()) - at - begin.size());
  }
};

class TestSink final : public HttpExchange::Sink {
 public:
  TestSink(EventLoop& loop, std::shared_ptr<Response> response) : loop_(loop), response_(std::move(response)) {}
  EventLoop& loop() override { return loop_; }
  void Answer(const HttpExchange::Ticket&, const HttpExchange::Reply& reply) override {
    EXPECT_FALSE(response_->answered) << "answered twice";
    response_->answered = true;
    response_->status = reply.status;
    response_->content_type = reply.content_type;
    response_->headers = reply.extra_headers;
    response_->body = reply.body;
  }
  // The stream goes on in the response, which a test drives.
  void Stream(const HttpExchange::Ticket&, const HttpExchange::Reply& head,
              std::unique_ptr<HttpSource> source) override {
    response_->status = head.status;
    response_->content_type = head.content_type;
    response_->headers = head.extra_headers;
    response_->source = std::move(source);
    response_->source->OnBegin(*response_);
  }
  Result<void> Hold(std::size_t bytes, std::size_t more) override {
    if (bytes > response_->hold_max) return Fail(Reason::kOverloaded, "no room");
    response_->held += more;
    return {};
  }
  void Abandon(const HttpExchange::Ticket&) override { response_->abandoned = true; }

 private:
  EventLoop& loop_;
  const std::shared_ptr<Response> response_;
};

}  // namespace muster::testing
