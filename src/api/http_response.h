#pragma once

#include <string>
#include <string_view>

#include "api/http.h"
#include "base/clock.h"

namespace muster {

// "OK", "Not Found"…; empty for a status without one in the table.
std::string_view HttpReasonPhrase(int status);

// The Date line of answers ("Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"), made once a second.
class HttpDateLine {
 public:
  explicit HttpDateLine(const Clock& clock) : clock_(clock) {}
  std::string_view At(Instant now) {
    if (now >= stale_at_) Make(now);
    return line_;
  }

 private:
  void Make(Instant now);

  const Clock& clock_;
  Instant stale_at_ = Instant::min();
  std::string line_;
};

struct HttpResponseFrame {
  std::string_view date_line = {};
  bool head = false;        // the length of the body, but not the body
  bool says_close = false;  // the last answer of its connection
  bool says_keep_alive = false;
  bool streams = false;  // the body follows
  bool chunks = false;   // as chunks
};

// Appends one answer. Content-Length is there unless the status forbids it (204, 304), so an answer always has an end;
// of a stream it is the last chunk, or the end of the connection.
void AppendHttpResponse(std::string& output, const HttpExchange::Reply& reply, const HttpResponseFrame& frame);

}  // namespace muster
