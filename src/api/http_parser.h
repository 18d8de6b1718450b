#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/http.h"

namespace muster {

struct HttpLimits {
  std::size_t target_bytes_max = 8 << 10;
  std::size_t header_bytes_max = 16 << 10;  // all header lines together, with the empty one
  std::size_t body_bytes_max = 1 << 20;
};

inline constexpr std::size_t kHttpHeadersMax = 100;
inline constexpr std::size_t kHttpMethodBytesMax = 32;
inline constexpr int kHttpEmptyLinesMax = 2;  // tolerated before a request line (RFC 9112 section 2.2)

// A request's head, and how its body is framed.
struct HttpHead {
  HttpRequest request;  // without its body
  std::array<HttpHeader, kHttpHeadersMax> fields;
  std::size_t size = 0;  // of the head, with empty lines before it and the one that ends it
  bool chunked = false;
  std::size_t content_length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
};

enum class HttpParse : std::uint8_t {
  kComplete,
  kIncomplete,
  kRejected,
  kPostponed,  // of HttpRequestReader alone
};

// Reads the head at the start of `input` (RFC 9112, where a recipient may be strict or lenient: strict). Has no memory:
// on kIncomplete it is called again with more. Every check depends on what stands before it alone, so that an input
// is refused with the same words however it was cut into pieces. On kComplete `head` has views into `input`; on
// kRejected `head.request` has the method if that was read, the headers if all were, and nothing else.
//
// 400 malformed, or framed in a way that two parsers could read differently (request smuggling) · 413 a declared body
// above the bound · 414 · 415 a Content-Encoding · 417 an expectation other than 100-continue · 431 · 501 a transfer
// coding other than chunked · 505 a version other than 1.x.
HttpParse ParseHttpHead(std::string_view input, const HttpLimits& limits, HttpHead& head, HttpRejection& rejection);

}  // namespace muster
