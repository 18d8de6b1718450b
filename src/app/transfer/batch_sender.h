#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "app/transfer/batch_reader.h"
#include "app/transfer/import_service.h"
#include "app/transfer/reject_file.h"
#include "base/clock.h"

namespace muster {

struct RetryPolicy {
  int attempts_max = 10;
  Duration first_delay = std::chrono::milliseconds(100);  // doubled each time
  Duration delay_max = std::chrono::seconds(5);
};

// Lets waits between retries end early. Thread-safe.
class Interruption {
 public:
  void Set();
  bool IsSet();
  // True when it was set meanwhile.
  bool WaitFor(Duration duration);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_set_ = false;
};

struct BatchAnswer {
  std::uint64_t imported = 0;
  std::uint64_t already_in = 0;  // of them, by an earlier sending
  std::vector<Reject> rejects;
};

// Asks until the server has answered. A failure that may pass is tried again after a growing pause, the same lines
// under the same numbers; a batch that is too large for the server's bound is halved, and a line that is too large on
// its own is rejected. Fails with kUnavailable after the last attempt, with kRefused when the server does not let us.
class BatchSender {
 public:
  BatchSender(ImportService& service, const RetryPolicy& policy, Interruption& interruption)
      : service_(service), policy_(policy), interruption_(interruption) {}

  // `lines_before_range`: what to take from line numbers to get their place in the range.
  Outcome<BatchAnswer> Send(const LineBatch& batch, std::int64_t range_start, std::uint64_t lines_before_range);
  // Numbers for so many lines; answers the first one. What is asked for again because an answer was lost is not used.
  Outcome<std::int64_t> Reserve(std::uint64_t lines);
  // Whether the server's data knows that it gave this range of numbers.
  Outcome<bool> Knows(std::int64_t range_start);

 private:
  struct Part {
    std::string_view text;
    std::uint64_t first_line = 1;
    std::uint64_t lines = 0;
  };
  Outcome<void> SendPart(const Part& part, std::int64_t range_start, std::uint64_t lines_before_range,
                         BatchAnswer& answer);
  Outcome<HttpReply> SendWithRetries(const Part& part, std::int64_t range_start, std::uint64_t lines_before_range);
  Outcome<HttpReply> Retry(const std::function<Outcome<HttpReply>()>& send);

  ImportService& service_;
  const RetryPolicy policy_;
  Interruption& interruption_;
};

}  // namespace muster
