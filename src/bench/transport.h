#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "bench/load_call.h"

namespace muster {

// Time of a benchmark: nanoseconds since some origin, which all transports of a run share.
using BenchTime = std::chrono::nanoseconds;

// How a request ended.
struct LoadAnswer {
  enum class Kind : std::uint8_t {
    kAnswered,
    kTimedOut,  // given up; it took at least the time-out
    kBroken,    // its connection ended before the answer
  };
  std::uint32_t token = 0;  // of its Send
  Kind kind = Kind::kAnswered;
  bool is_success = false;  // answered, and not with an error
  // Names a failure: "503 OVERLOADED", "NOT_FOUND", "timeout", "connection". Valid during the call.
  std::string_view code;
  BenchTime at{};  // when it was seen
};

class LoadAnswerSink {
 public:
  virtual void OnAnswer(const LoadAnswer& answer) = 0;

 protected:
  ~LoadAnswerSink() = default;
};

// The connections of one thread of a benchmark, over one protocol. Owns no thread: everything happens inside Poll. A
// connection that breaks is opened again, with a bounded back-off, for as long as this lives.
class LoadTransport {
 public:
  enum class State : std::uint8_t {
    kReady,  // Send may be called
    kBusy,   // every connection has as much under way as it may, or is being opened
    kDown,   // no connection, and the last attempts failed
  };

  virtual ~LoadTransport() = default;

  virtual BenchTime Now() const = 0;
  // Opens the connections; returns when all of them are open or `until` has come.
  virtual void Open(BenchTime until) = 0;
  virtual State state() const = 0;
  // Begins a request; `token` comes back with its answer, once, from a later Poll. Only when it is kReady.
  virtual void Send(const LoadCall& call, std::uint32_t token) = 0;
  // Gives the answers that are there to the sink; waits for one, or another change of state, until `until`.
  virtual void Poll(BenchTime until, LoadAnswerSink& sink) = 0;
  // How many requests may be under way at the same time.
  virtual std::uint32_t capacity() const = 0;
};

}  // namespace muster
