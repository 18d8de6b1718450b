#include "bench/http_answer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace muster {
namespace {

using State = HttpAnswerReader::State;

struct Read {
  std::vector<int> statuses;
  std::vector<std::string> codes;
  bool is_malformed = false;
  friend bool operator==(const Read&, const Read&) = default;
};

// Feeds the bytes in pieces of these sizes, the last again and again.
Read Feed(std::string_view bytes, const std::vector<std::size_t>& pieces = {SIZE_MAX}) {
  HttpAnswerReader reader;
  Read read;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    std::string_view input = bytes.substr(0, pieces[std::min(i, pieces.size() - 1)]);
    bytes.remove_prefix(input.size());
    while (!input.empty()) {
      const State state = reader.Take(input);
      if (state == State::kMalformed) {
        read.is_malformed = true;
        return read;
      }
      if (state == State::kMore) {
        EXPECT_TRUE(input.empty());
        continue;
      }
      read.statuses.push_back(reader.status());
      read.codes.emplace_back(reader.code());
    }
  }
  return read;
}

constexpr std::string_view kStream =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"
    "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length:  40 \r\nRetry-After: 1\r\n\r\n"
    "{\"type\":\"x\",\"code\" : \"OVERLOADED\",\"s\":1}"
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5;x=y\r\nhello\r\n1F\r\n0123456789012345678901234567890\r\n0\r\nT: v\r\n\r\n"
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n6\r\n{\"code\r\n9\r\n\":\"A_B\"}.\r\n0\r\n\r\n"
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

TEST(HttpAnswerTest, ReadsWhatABenchmarkNeeds) {
  const Read read = Feed(kStream);
  EXPECT_FALSE(read.is_malformed);
  EXPECT_EQ(read.statuses, (std::vector<int>{200, 204, 503, 200, 404, 200}));
  EXPECT_EQ(read.codes, (std::vector<std::string>{"", "", "OVERLOADED", "", "A_B", ""}));
}

TEST(HttpAnswerTest, EveryCutReadsTheSame) {
  const Read whole = Feed(kStream);
  for (std::size_t cut = 1; cut < kStream.size(); ++cut) {
    EXPECT_EQ(Feed(kStream, {cut, SIZE_MAX}), whole) << "cut at " << cut;
    EXPECT_EQ(Feed(kStream, {cut}), whole) << "pieces of " << cut;
  }
}

TEST(HttpAnswerTest, KnowsWhenTheConnectionEnds) {
  for (const auto& [head, closes] :
       {std::pair("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", true),
        std::pair("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        std::pair("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false)}) {
    HttpAnswerReader reader;
    EXPECT_TRUE(reader.is_between_answers());
    std::string_view input = head;
    ASSERT_EQ(reader.Take(input), State::kComplete);
    EXPECT_EQ(reader.closes(), closes);
    EXPECT_TRUE(reader.is_between_answers());
  }
}

TEST(HttpAnswerTest, WhatHasNoEndIsMalformed) {
  for (const char* bytes :
       {"HTTP/2 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    EXPECT_TRUE(Feed(bytes).is_malformed) << bytes;
    EXPECT_TRUE(Feed(bytes, {1}).is_malformed) << bytes;
  }
}

TEST(HttpAnswerTest, HeadsAndLinesAreBounded) {
  const std::string endless(HttpAnswerReader::kHeadBytesMax * 2, 'x');
  EXPECT_TRUE(Feed(endless).is_malformed);
  EXPECT_TRUE(Feed(endless, {1000}).is_malformed);
  EXPECT_TRUE(Feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + endless, {1000}).is_malformed);
}

TEST(HttpAnswerTest, OfAnErrorOnlyTheBeginningIsLookedAt) {
  const std::string body = R"({"detail":")" + std::string(5'000, 'x') + R"(","code":"LATE"})";
  const Read read = Feed("HTTP/1.1 400 X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body, {100});
  EXPECT_EQ(read.statuses, std::vector<int>{400});
  EXPECT_EQ(read.codes, std::vector<std::string>{""});
}

RC_GTEST_PROP(HttpAnswerPropertyTest, NoBytesBreakIt, (const std::string& bytes)) {
  Feed(bytes);
  Feed("HTTP/1.1 200 OK\r\n" + bytes + "\r\n\r\n" + bytes, {3});
}

RC_GTEST_PROP(HttpAnswerPropertyTest, PiecesOfAnySizeReadTheSame, ()) {
  const auto pieces =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 60)));
  RC_ASSERT(Feed(kStream, pieces) == Feed(kStream));
}

}  // namespace
}  // namespace muster
