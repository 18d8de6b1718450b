#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "app/cli/exit_code.h"

namespace muster {

struct HttpClientOptions {
  std::string base_url;                       // "http://127.0.0.1:7400", no slash at the end
  std::string key;                            // sent as Authorization: Bearer; empty: none
  std::chrono::milliseconds timeout{10'000};  // of one request, from its beginning to the end of its answer
};

// A request that was answered, with whatever status.
struct HttpReply {
  int status = 0;
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case
  std::string body;

  bool ok() const { return status >= 200 && status < 300; }
};

// One connection to a server, kept alive between requests. Not thread-safe: one for each thread. Follows no redirect
// and uses no proxy, whatever the environment says, so that keys go where they were meant to go.
class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;

  struct Request {
    std::string_view method = "GET";
    std::string path;  // with its query, escaped
    std::string_view body = {};
    std::string_view content_type = "application/json";  // of the body
    std::map<std::string, std::string> headers = {};
    // Sends the body only once the server has agreed to its size; costs a round trip.
    bool expect_continue = false;
  };

  // Fails with kUnavailable when there is no answer: nothing listens, the connection broke, the time is over. `body`
  // must stay where it is during the call.
  Outcome<HttpReply> Send(const Request& request);

  // The same for an answer that goes on: `take` gets the body of a success in pieces, and that of any other answer is
  // in the reply. Ends when the server ends it, when nothing came for the time-out, or when `take` or `goes_on`, which
  // is asked about once a second, answers false.
  Outcome<HttpReply> Stream(const Request& request, const std::function<bool(std::string_view)>& take,
                            const std::function<bool()>& goes_on);

  const std::string& base_url() const { return options_.base_url; }

 private:
  struct State;
  struct HeaderLines;
  void Prepare(const Request& request, HttpReply& reply, HeaderLines& lines);
  // `code` is a CURLcode.
  Outcome<HttpReply> Finish(HttpReply reply, int code);

  HttpClientOptions options_;
  std::unique_ptr<State> state_;
};

// The host that a request to `url` goes to; empty when it is malformed.
std::string HostOfUrl(const std::string& url);
// Whether requests can go there: http or https, and a host.
bool IsHttpUrl(const std::string& url);

// For one piece of a path or a query.
std::string EscapeUrl(std::string_view text);

}  // namespace muster
