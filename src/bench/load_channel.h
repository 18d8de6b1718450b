#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load_call.h"
#include "bench/transport.h"

namespace muster {

// One connection of a benchmark as its protocol sees it: bytes out for calls, answers out of bytes. It knows no socket
// and no clock; SocketTransport has both.
class LoadChannel {
 public:
  struct UnderWay {
    std::uint32_t token = 0;
    BenchTime sent{};
  };

  virtual ~LoadChannel() = default;

  // A connection has been made: forgets the one before it, of which nothing may be under way, and appends its greeting.
  virtual void Begin(std::string& out) = 0;

  // Whether Append may be called.
  virtual bool has_room() const = 0;
  virtual std::size_t under_way() const = 0;
  virtual void Append(std::string& out, const LoadCall& call, UnderWay request) = 0;

  // Reads what has arrived; gives answers to the sink and appends what the protocol answers by itself. False: the
  // connection is of no use any more.
  virtual bool Take(std::string_view input, BenchTime now, std::string& out, LoadAnswerSink& sink) = 0;
  // Gives up what was sent at `latest` or before. False: that takes the whole connection.
  virtual bool GiveUpLate(BenchTime latest, BenchTime now, std::string& out, LoadAnswerSink& sink) = 0;
  // One of those under way, which will not be answered: the connection has ended.
  virtual UnderWay Drop() = 0;

 protected:
  static LoadAnswer TimedOut(const UnderWay& request, BenchTime now) {
    return {
        .token = request.token, .kind = LoadAnswer::Kind::kTimedOut, .is_success = false, .code = "timeout", .at = now};
  }
};

}  // namespace muster
