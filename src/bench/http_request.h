#pragma once

#include <string>
#include <string_view>

#include "bench/load_call.h"

namespace muster {

// Writes calls as HTTP/1.1 requests of the member API (docs/guide.md). What all requests share is made once.
class HttpRequestWriter {
 public:
  // `host` is that of the Host header; without a `key` no Authorization is sent.
  HttpRequestWriter(std::string_view host, std::string_view key);

  void Append(std::string& out, const LoadCall& call) const;

 private:
  void AppendWithBody(std::string& out, std::string_view body) const;
  void AppendMemberVerb(std::string& out, const LoadCall& call, std::string_view body) const;

  std::string tail_;       // from behind the target to the end of a head without a body
  std::string body_tail_;  // the same up to the length of the body
};

// Appends `text` with everything but unreserved characters (RFC 3986) as %XX.
void AppendEscaped(std::string& out, std::string_view text);

}  // namespace muster
