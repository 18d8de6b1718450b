#include "api/http_response.h"

#include <gtest/gtest.h>

#include <string>

namespace muster {
namespace {

std::string TextOf(const HttpExchange::Reply& reply, const HttpResponseFrame& frame = {}) {
  std::string output;
  AppendHttpResponse(output, reply, frame);
  return output;
}

TEST(HttpResponseTest, HasStatusFieldsAndBody) {
  EXPECT_EQ(TextOf({.status = 201,
                    .content_type = "application/json",
                    .extra_headers = "Location: /v1/members/1\r\nETag: \"1\"\r\n",
                    .body = "{}"},
                   {.date_line = "Date: x\r\n"}),
            "HTTP/1.1 201 Created\r\nDate: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "Location: /v1/members/1\r\nETag: \"1\"\r\n\r\n{}");
}

TEST(HttpResponseTest, AppendsToWhatIsThere) {
  std::string output = "before";
  for (int i = 0; i < 3; ++i) AppendHttpResponse(output, {.status = 404}, {});
  const std::string one = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(output, "before" + one + one + one);
}

TEST(HttpResponseTest, SaysWhatBecomesOfTheConnection) {
  const HttpExchange::Reply reply{.status = 200};
  EXPECT_EQ(TextOf(reply, {.says_close = true}), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(TextOf(reply, {.says_keep_alive = true}),
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(TextOf(reply, {.says_close = true, .says_keep_alive = true}),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponseTest, ToHeadHasTheLengthAlone) {
  EXPECT_EQ(TextOf({.status = 200, .content_type = "text/plain", .body = "hello"}, {.head = true}),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
}

TEST(HttpResponseTest, WithoutContentHasNoLength) {
  for (const int status : {204, 304}) {
    EXPECT_EQ(
        TextOf({.status = status, .content_type = {}, .extra_headers = "ETag: \"1\"\r\n", .body = "dropped"}),
        "HTTP/1.1 " + std::to_string(status) + " " + std::string(HttpReasonPhrase(status)) + "\r\nETag: \"1\"\r\n\r\n");
  }
}

TEST(HttpResponseTest, AnUnknownStatusHasNoPhrase) {
  EXPECT_EQ(HttpReasonPhrase(299), "");
  EXPECT_EQ(TextOf({.status = 299}), "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponseTest, TakesLargeParts) {
  const std::string type(10'000, 't');
  const std::string extra = "X: " + std::string(100'000, 'x') + "\r\n";
  const std::string body(1'000'000, 'b');
  EXPECT_EQ(TextOf({.status = 200, .content_type = type, .extra_headers = extra, .body = body}),
            "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: 1000000\r\n" + extra + "\r\n" + body);
}

TEST(HttpDateLineTest, IsTheWallClocksSecond) {
  // RFC 9110 section 5.6.7's own example.
  ManualClock clock{Timestamp(std::chrono::seconds(784'111'777))};
  HttpDateLine line(clock);
  EXPECT_EQ(line.At(clock.Monotonic()), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  clock.Advance(std::chrono::microseconds(999'999));
  EXPECT_EQ(line.At(clock.Monotonic()), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  clock.Advance(std::chrono::microseconds(1));
  EXPECT_EQ(line.At(clock.Monotonic()), "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
  clock.Advance(std::chrono::hours(24 * 40) + std::chrono::hours(15) + std::chrono::minutes(11));
  EXPECT_EQ(line.At(clock.Monotonic()), "Date: Sat, 17 Dec 1994 00:00:38 GMT\r\n");
}

}  // namespace
}  // namespace muster
