#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace muster {

// One server-sent event.
struct ServerSentEvent {
  std::string_view name;  // of `event:`; empty for most
  std::string_view data;
};

// Reads server-sent events as their bytes come (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far
// as muster's own streams use them: lines end with \n, and data has one line.
class EventStreamReader {
 public:
  static constexpr std::size_t kLineBytesMax = 64 << 10;

  // False: a line is too long, so this is no stream of events; nothing more may be given. `take` is called for each
  // event; when it answers false the rest of `bytes` is not looked at.
  bool Read(std::string_view bytes, const std::function<bool(const ServerSentEvent&)>& take);
  // The connection is another: what was not whole is forgotten.
  void Reset();
  // Where to go on: the last id that came whole, with or without an event.
  const std::string& last_id() const { return last_id_; }

 private:
  bool TakeLine(std::string_view line, const std::function<bool(const ServerSentEvent&)>& take);

  std::string partial_;
  std::string id_, name_, data_;  // of the event that is being read
  std::string last_id_;
};

}  // namespace muster
