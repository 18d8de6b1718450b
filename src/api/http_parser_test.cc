#include "api/http_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace muster {
namespace {

struct Parsed {
  HttpParse parse;
  HttpRejection rejection;
  std::unique_ptr<HttpHead> head = std::make_unique<HttpHead>();
};

Parsed Parse(std::string_view input, const HttpLimits& limits = {}) {
  Parsed parsed;
  parsed.parse = ParseHttpHead(input, limits, *parsed.head, parsed.rejection);
  return parsed;
}

// The status of the rejection, or 0.
int RejectionOf(std::string_view input, const HttpLimits& limits = {}) {
  const Parsed parsed = Parse(input, limits);
  return parsed.parse == HttpParse::kRejected ? parsed.rejection.status : 0;
}

TEST(HttpParserTest, ReadsAPlainRequest) {
  const std::string input =
      "GET /v1/members/42?minVersion=7&x=%20+ HTTP/1.1\r\nHost: a:80\r\nX-Two:\t two words \r\nEmpty:\r\n\r\nrest";
  const Parsed parsed = Parse(input);
  ASSERT_EQ(parsed.parse, HttpParse::kComplete);
  const HttpHead& head = *parsed.head;
  EXPECT_EQ(head.request.method, HttpMethod::kGet);
  EXPECT_EQ(head.request.method_name, "GET");
  EXPECT_EQ(head.request.target, "/v1/members/42?minVersion=7&x=%20+");
  EXPECT_EQ(head.request.path, "/v1/members/42");
  EXPECT_EQ(head.request.query, "minVersion=7&x=%20+");
  EXPECT_EQ(head.request.version_minor, 1);
  ASSERT_EQ(head.request.headers.size(), 3U);
  EXPECT_EQ(head.request.Header("x-tWO"), "two words");
  EXPECT_EQ(head.request.Header("empty"), "");
  EXPECT_NE(head.request.Header("empty").data(), nullptr);
  EXPECT_EQ(head.request.Header("absent").data(), nullptr);
  EXPECT_EQ(head.size, input.size() - 4);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.chunked);
  EXPECT_EQ(head.content_length, 0U);
}

TEST(HttpParserTest, ATableOfMethods) {
  const std::vector<std::pair<std::string, HttpMethod>> methods = {
      {"GET", HttpMethod::kGet},         {"HEAD", HttpMethod::kHead},   {"POST", HttpMethod::kPost},
      {"PUT", HttpMethod::kPut},         {"PATCH", HttpMethod::kPatch}, {"DELETE", HttpMethod::kDelete},
      {"OPTIONS", HttpMethod::kOptions}, {"get", HttpMethod::kOther},   {"TRACE", HttpMethod::kOther},
      {"M-SEARCH", HttpMethod::kOther},
  };
  for (const auto& [name, method] : methods) {
    const std::string input = name + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    const Parsed parsed = Parse(input);
    ASSERT_EQ(parsed.parse, HttpParse::kComplete) << name;
    EXPECT_EQ(parsed.head->request.method, method) << name;
    EXPECT_EQ(parsed.head->request.method_name, name);
  }
}

TEST(HttpParserTest, FormsOfTheTarget) {
  struct Case {
    std::string line, path, query;
  };
  const std::vector<Case> cases = {
      {"GET /", "/", ""},
      {"GET /a?", "/a", ""},
      {"GET /a?b?c=/", "/a", "b?c=/"},
      {"GET http://host/a/b?c", "/a/b", "c"},
      {"GET HTTPS://host:443/a", "/a", ""},
      {"GET http://host", "/", ""},
      {"GET http://host?q=1", "/", "q=1"},
      {"OPTIONS *", "*", ""},
      {"GET //double", "//double", ""},
  };
  for (const Case& one : cases) {
    const std::string input = one.line + " HTTP/1.1\r\nHost: a\r\n\r\n";
    const Parsed parsed = Parse(input);
    ASSERT_EQ(parsed.parse, HttpParse::kComplete) << one.line;
    EXPECT_EQ(parsed.head->request.path, one.path) << one.line;
    EXPECT_EQ(parsed.head->request.query, one.query) << one.line;
  }
}

TEST(HttpParserTest, RefusesMalformedRequestLines) {
  const std::vector<std::pair<std::string, int>> lines = {
      {" GET / HTTP/1.1\r\n", 400},
      {"GET  / HTTP/1.1\r\n", 400},
      {"GET / HTTP/1.1 \r\n", 400},
      {"GET /  HTTP/1.1\r\n", 400},
      {"GET\t/ HTTP/1.1\r\n", 400},
      {"GET /\tHTTP/1.1\r\n", 400},
      {"GET /\r\n", 400},         // HTTP/0.9
      {"GET / HTTP/1.1\n", 400},  // bare line feed
      {"GET / HTTP/1.1\rHost: a\r\n", 400},
      {"GET / http/1.1\r\n", 400},
      {"GET / HTTPS/1.1\r\n", 400},
      {"GET / HTTP/1\r\n", 400},
      {"GET / HTTP/1.\r\n", 400},
      {"GET / HTTP/1.12\r\n", 400},
      {"GET / HTTP/x.1\r\n", 400},
      {"GET / HTTP/2.0\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},  // HTTP/2's preface: the target is refused first
      {"GET / HTTP/0.9\r\n", 505},
      {"GET / HTTP/3\r\n", 505},
      {"G@T / HTTP/1.1\r\n", 400},
      {"GET relative HTTP/1.1\r\n", 400},
      {"GET * HTTP/1.1\r\n", 400},
      {"CONNECT host:80 HTTP/1.1\r\n", 400},
      {"GET ftp://host/ HTTP/1.1\r\n", 400},
      {"GET http:///path HTTP/1.1\r\n", 400},
      {"GET http://user@host/ HTTP/1.1\r\n", 400},
      {"GET /a#fragment HTTP/1.1\r\n", 400},
      {"GET /\x7f HTTP/1.1\r\n", 400},
      {"GET /\xc3\xa9 HTTP/1.1\r\n", 400},
      {std::string("GET /\0 HTTP/1.1\r\n", 17), 400},
      {"\x16\x03\x01\x02", 400},  // a TLS client
      {"\n", 400},
      {"\r\n\r\n\r\n", 400},  // more empty lines than are tolerated
      {"\rGET / HTTP/1.1\r\n", 400},
      {std::string(33, 'A'), 400},  // no method is that long
  };
  for (const auto& [line, status] : lines) EXPECT_EQ(RejectionOf(line), status) << ::testing::PrintToString(line);
}

TEST(HttpParserTest, RefusesMalformedHeaderLines) {
  const std::vector<std::string> lines = {
      "Name : value\r\n",  // a space before the colon: proxies have disagreed on it
      "Name\t: value\r\n",   ": value\r\n",
      "No colon\r\n",        "Name\r\n",
      "Na(me: value\r\n",
      " Name: value\r\n",  // white space before the first line
      "A: b\r\n folded\r\n", "A: b\r\n\tfolded\r\n",
      "A: b\nC: d\r\n",      "A: b\rC: d\r\n",
      "A: b\r\r\n",          std::string("A: b\0c\r\n", 8),
      "A: b\x01\r\n",        "A: b\x7f\r\n",
      "A: b\x0b\r\n",        std::string("A\0: b\r\n", 7),
      "\xc3\xa9: b\r\n",
  };
  for (const std::string& line : lines) {
    EXPECT_EQ(RejectionOf("GET / HTTP/1.1\r\n" + line + "Host: a\r\n\r\n"), 400) << ::testing::PrintToString(line);
  }
  EXPECT_EQ(RejectionOf("GET / HTTP/1.1\r\nHost: a\r\nA: caf\xc3\xa9\tau lait\r\n\r\n"), 0);
}

// Every one of these is read in two ways by some pair of parsers (RFC 9112 section 11.2); refusing is the one safe way.
TEST(HttpParserTest, RefusesWhatCouldSmuggleARequest) {
  struct Case {
    std::string fields;
    int status;
  };
  const std::vector<Case> cases = {
      {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
      {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
      {"Content-Length: 5\r\nContent-Length: 5\r\n", 400},
      {"Content-Length: 5\r\ncontent-length: 5\r\n", 400},
      {"Content-Length: 5, 5\r\n", 400},
      {"Content-Length: +5\r\n", 400},
      {"Content-Length: -5\r\n", 400},
      {"Content-Length: 0x5\r\n", 400},
      {"Content-Length: 5 \t\v\r\n", 400},
      {"Content-Length: 5 5\r\n", 400},
      {"Content-Length: 5.0\r\n", 400},
      {"Content-Length:\r\n", 400},
      {"Content-Length: \r\n", 400},
      {"Content-Length: 18446744073709551617\r\n", 413},  // 2^64 + 1
      {"Content-Length: 99999999999999999999999999999999\r\n", 413},
      {"Content-Length : 5\r\n", 400},
      {"Content-Length\r\n : 5\r\n", 400},
      {"Transfer-Encoding: chunked, chunked\r\n", 501},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 501},
      {"Transfer-Encoding: gzip, chunked\r\n", 501},
      {"Transfer-Encoding: chunked, identity\r\n", 501},
      {"Transfer-Encoding: identity\r\n", 501},
      {"Transfer-Encoding: xchunked\r\n", 501},
      {"Transfer-Encoding: chunked;q=1\r\n", 501},
      {"Transfer-Encoding: \"chunked\"\r\n", 501},
      {"Transfer-Encoding:\r\n", 501},
      {"Transfer-Encoding: chunked\v\r\n", 400},
      {"Transfer-Encoding\t: chunked\r\n", 400},
      {"X: y\nTransfer-Encoding: chunked\r\n", 400},
      {"X: y\rTransfer-Encoding: chunked\r\n", 400},
      {"Host: b\r\n", 400},
      {"host: a\r\n", 400},
      {"Content-Encoding: gzip\r\n", 415},
      {"Authorization: Bearer a\r\nauthorization: Bearer b\r\n", 400},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(RejectionOf("POST / HTTP/1.1\r\nHost: a\r\n" + one.fields + "\r\n"), one.status)
        << ::testing::PrintToString(one.fields);
  }
  EXPECT_EQ(RejectionOf("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(HttpParserTest, ReadsTheFraming) {
  const Parsed length = Parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0042\r\n\r\n");
  ASSERT_EQ(length.parse, HttpParse::kComplete);
  EXPECT_EQ(length.head->content_length, 42U);
  EXPECT_FALSE(length.head->chunked);
  const Parsed chunked = Parse("POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING:\tChunked \r\n\r\n");
  ASSERT_EQ(chunked.parse, HttpParse::kComplete);
  EXPECT_TRUE(chunked.head->chunked);
}

TEST(HttpParserTest, NeedsOneHostIn11) {
  EXPECT_EQ(RejectionOf("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(RejectionOf("GET http://a/ HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(RejectionOf("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(RejectionOf("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  for (const char* host : {"a, b", "a b", "a/b", "user@a", "a?b", "a#b", "\xc3\xa9", "a\\b"}) {
    EXPECT_EQ(RejectionOf(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"), 400) << host;
  }
  for (const char* host : {"", "a", "a.example:7400", "[::1]:7400", "127.0.0.1", "xn--fsq.example", "a%20b"}) {
    EXPECT_EQ(RejectionOf(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"), 0) << host;
  }
}

TEST(HttpParserTest, WhetherTheConnectionStays) {
  struct Case {
    std::string version, fields;
    bool keep_alive;
  };
  const std::vector<Case> cases = {
      {"1.1", "", true},
      {"1.9", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "connection: Upgrade, CLOSE\r\n", false},
      {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"1.1", "Connection: closed, enclose\r\n", true},
      {"1.1", "Connection: ,, ,\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  for (const Case& one : cases) {
    const std::string input = "GET / HTTP/" + one.version + "\r\nHost: a\r\n" + one.fields + "\r\n";
    const Parsed parsed = Parse(input);
    ASSERT_EQ(parsed.parse, HttpParse::kComplete) << input;
    EXPECT_EQ(parsed.head->keep_alive, one.keep_alive) << input;
  }
}

TEST(HttpParserTest, Expectations) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n";
  const Parsed parsed = Parse(head + "Expect: 100-Continue\r\n\r\n");
  ASSERT_EQ(parsed.parse, HttpParse::kComplete);
  EXPECT_TRUE(parsed.head->expects_continue);
  EXPECT_EQ(RejectionOf(head + "Expect: 200-ok\r\n\r\n"), 417);
  EXPECT_EQ(RejectionOf(head + "Expect: 100-continue\r\nExpect: x\r\n\r\n"), 417);
  const Parsed old = Parse("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_EQ(old.parse, HttpParse::kComplete);
  EXPECT_FALSE(old.head->expects_continue);
}

TEST(HttpParserTest, ToleratesEmptyLinesBeforeARequest) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const std::string before : {"\r\n", "\r\n\r\n"}) {
    const std::string input = before + request;
    const Parsed parsed = Parse(input);
    ASSERT_EQ(parsed.parse, HttpParse::kComplete);
    EXPECT_EQ(parsed.head->size, input.size());
  }
}

TEST(HttpParserTest, BoundsOfTheTarget) {
  const HttpLimits limits{.target_bytes_max = 100};
  const auto request = [](std::size_t bytes) {
    return "GET /" + std::string(bytes - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(RejectionOf(request(100), limits), 0);
  EXPECT_EQ(RejectionOf(request(101), limits), 414);
  EXPECT_EQ(RejectionOf("GET /" + std::string(100, 'a'), limits), 414);  // without waiting for its end
}

TEST(HttpParserTest, BoundsOfTheHeaderLines) {
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string fields = "Host: a\r\nX: " + std::string(84, 'x') + "\r\n\r\n";
  ASSERT_EQ(fields.size(), 100U);
  EXPECT_EQ(RejectionOf(line + fields + "more", {.header_bytes_max = 100}), 0);
  EXPECT_EQ(RejectionOf(line + fields, {.header_bytes_max = 99}), 431);
  EXPECT_EQ(RejectionOf(line + fields.substr(0, 99), {.header_bytes_max = 99}), 431);
  EXPECT_EQ(Parse(line + fields.substr(0, 98), {.header_bytes_max = 99}).parse, HttpParse::kIncomplete);

  std::string many = line + "Host: a\r\n";
  for (std::size_t i = 1; i < kHttpHeadersMax; ++i) many += "A:\r\n";
  EXPECT_EQ(RejectionOf(many + "\r\n"), 0);
  EXPECT_EQ(RejectionOf(many + "A:\r\n\r\n"), 431);
}

TEST(HttpParserTest, BoundOfTheBody) {
  const auto request = [](int length) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  };
  EXPECT_EQ(RejectionOf(request(10), {.body_bytes_max = 10}), 0);
  EXPECT_EQ(RejectionOf(request(11), {.body_bytes_max = 10}), 413);
}

// A prefix of an input is never refused differently, and never accepted where the whole is not.
TEST(HttpParserTest, EveryPrefixIsIncompleteOrAnswersAsTheWhole) {
  const HttpLimits limits{.target_bytes_max = 40, .header_bytes_max = 120, .body_bytes_max = 10};
  const std::vector<std::string> inputs = {
      "\r\nGET http://h/p?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\nA:b\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /" + std::string(60, 'a') + "\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /" + std::string(20, 'a') + "\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(200, 'x') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
      "GET / HTTP/2.0\r\n\r\n",
      "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
  };
  for (const std::string& input : inputs) {
    const Parsed whole = Parse(input, limits);
    ASSERT_NE(whole.parse, HttpParse::kIncomplete) << input;
    bool decided = false;
    for (std::size_t size = 0; size <= input.size(); ++size) {
      const Parsed prefix = Parse(input.substr(0, size), limits);
      if (prefix.parse == HttpParse::kIncomplete) {
        EXPECT_FALSE(decided) << "decided, then not, at " << size << " of " << input;
        continue;
      }
      decided = true;
      EXPECT_EQ(prefix.parse, whole.parse) << size << " of " << input;
      EXPECT_EQ(prefix.rejection.status, whole.rejection.status) << size << " of " << input;
      EXPECT_EQ(prefix.rejection.detail, whole.rejection.detail) << size << " of " << input;
    }
  }
}

}  // namespace
}  // namespace muster
