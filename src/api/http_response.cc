#include "api/http_response.h"

#include <charconv>
#include <chrono>
#include <cstdio>

#include "base/check.h"

namespace muster {
namespace {

// The longest of what is not the caller's: status line, Date, Connection, the names of the other fields, a length.
constexpr std::size_t kFixedBytesMax = 256;

struct StatusLine {
  int status;
  std::string_view line;
};

constexpr std::string_view kVersion = "HTTP/1.1 ";

// Most frequent first.
constexpr StatusLine kStatusLines[] = {
    {200, "HTTP/1.1 200 OK\r\n"},
    {404, "HTTP/1.1 404 Not Found\r\n"},
    {201, "HTTP/1.1 201 Created\r\n"},
    {304, "HTTP/1.1 304 Not Modified\r\n"},
    {410, "HTTP/1.1 410 Gone\r\n"},
    {409, "HTTP/1.1 409 Conflict\r\n"},
    {412, "HTTP/1.1 412 Precondition Failed\r\n"},
    {429, "HTTP/1.1 429 Too Many Requests\r\n"},
    {503, "HTTP/1.1 503 Service Unavailable\r\n"},
    {202, "HTTP/1.1 202 Accepted\r\n"},
    {204, "HTTP/1.1 204 No Content\r\n"},
    {301, "HTTP/1.1 301 Moved Permanently\r\n"},
    {302, "HTTP/1.1 302 Found\r\n"},
    {307, "HTTP/1.1 307 Temporary Redirect\r\n"},
    {308, "HTTP/1.1 308 Permanent Redirect\r\n"},
    {400, "HTTP/1.1 400 Bad Request\r\n"},
    {401, "HTTP/1.1 401 Unauthorized\r\n"},
    {403, "HTTP/1.1 403 Forbidden\r\n"},
    {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
    {406, "HTTP/1.1 406 Not Acceptable\r\n"},
    {408, "HTTP/1.1 408 Request Timeout\r\n"},
    {413, "HTTP/1.1 413 Content Too Large\r\n"},
    {414, "HTTP/1.1 414 URI Too Long\r\n"},
    {415, "HTTP/1.1 415 Unsupported Media Type\r\n"},
    {417, "HTTP/1.1 417 Expectation Failed\r\n"},
    {422, "HTTP/1.1 422 Unprocessable Content\r\n"},
    {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
    {500, "HTTP/1.1 500 Internal Server Error\r\n"},
    {501, "HTTP/1.1 501 Not Implemented\r\n"},
    {502, "HTTP/1.1 502 Bad Gateway\r\n"},
    {504, "HTTP/1.1 504 Gateway Timeout\r\n"},
    {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
};

std::string_view FindStatusLine(int status) {
  for (const StatusLine& known : kStatusLines) {
    if (known.status == status) return known.line;
  }
  return {};
}

char* Put(char* at, std::string_view text) {
  text.copy(at, text.size());  // unlike memcpy, it takes an empty view without an address
  return at + text.size();
}

char* PutNumber(char* at, std::size_t number) { return std::to_chars(at, at + 20, number).ptr; }

char* PutStatusLine(char* at, int status) {
  if (const std::string_view line = FindStatusLine(status); !line.empty()) return Put(at, line);
  at = PutNumber(Put(at, kVersion), static_cast<std::size_t>(status));
  return Put(at, " \r\n");  // the phrase may be empty, its space may not (RFC 9112 section 4)
}

}  // namespace

std::string_view HttpReasonPhrase(int status) {
  const std::string_view line = FindStatusLine(status);
  constexpr std::size_t kBefore = kVersion.size() + 4;
  return line.empty() ? line : line.substr(kBefore, line.size() - kBefore - 2);
}

void HttpDateLine::Make(Instant now) {
  using std::chrono::seconds;
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Timestamp wall = clock_.Now();
  const auto second = std::chrono::floor<seconds>(wall);
  stale_at_ = now + (Timestamp(second + seconds(1)) - wall);

  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(second - day);
  char text[64];
  const int length = std::snprintf(text, sizeof text, "Date: %s, %02u %s %04d %02d:%02d:%02d GMT\r\n",
                                   kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                                   kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                                   static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                                   static_cast<int>(time.seconds().count()));
  MUSTER_CHECK(length > 0 && static_cast<std::size_t>(length) < sizeof text);
  line_.assign(text, static_cast<std::size_t>(length));
}

void AppendHttpResponse(std::string& output, const HttpExchange::Reply& reply, const HttpResponseFrame& frame) {
  MUSTER_CHECK(reply.status >= 200 && reply.status <= 599);
  const bool has_length = reply.status != 204 && reply.status != 304 && !frame.streams;
  const std::string_view body = has_length && !frame.head ? reply.body : std::string_view();
  const std::size_t before = output.size();
  const std::size_t most =
      before + kFixedBytesMax + reply.content_type.size() + reply.extra_headers.size() + body.size();
  if (output.capacity() < most) output.reserve(most > 2 * output.capacity() ? most : 2 * output.capacity());
  output.resize_and_overwrite(most, [&](char* data, std::size_t) {
    char* at = Put(PutStatusLine(data + before, reply.status), frame.date_line);
    if (frame.says_close) {
      at = Put(at, "Connection: close\r\n");
    } else if (frame.says_keep_alive) {
      at = Put(at, "Connection: keep-alive\r\n");
    }
    if (!reply.content_type.empty()) at = Put(Put(Put(at, "Content-Type: "), reply.content_type), "\r\n");
    if (has_length) at = Put(PutNumber(Put(at, "Content-Length: "), reply.body.size()), "\r\n");
    if (frame.chunks) at = Put(at, "Transfer-Encoding: chunked\r\n");
    at = Put(Put(Put(at, reply.extra_headers), "\r\n"), body);
    return static_cast<std::size_t>(at - data);
  });
}

}  // namespace muster
