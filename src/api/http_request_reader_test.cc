#include "api/http_request_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace muster {
namespace {

// What a connection makes of its input, written down; `pieces` are the sizes in which it arrives, the rest in one.
std::vector<std::string> Transcript(std::string_view input, const std::vector<std::size_t>& pieces,
                                    const HttpLimits& limits) {
  const auto head = std::make_unique<HttpHead>();
  HttpRequestReader reader(limits);
  std::vector<std::string> transcript;
  std::string kept;
  std::size_t at = 0;
  for (std::size_t i = 0; at < input.size(); ++i) {
    const std::size_t piece = i < pieces.size() ? std::min(pieces[i], input.size() - at) : input.size() - at;
    kept += input.substr(at, piece);
    at += piece;
    std::size_t taken = 0;
    HttpParse parse = HttpParse::kComplete;
    while (parse == HttpParse::kComplete && taken < kept.size()) {
      HttpRejection rejection;
      std::size_t consumed = 0;
      parse = reader.Next(std::string_view(kept).substr(taken), *head, consumed, rejection);
      taken += consumed;
      if (parse == HttpParse::kRejected) {
        transcript.push_back(std::to_string(rejection.status) + " " + std::string(rejection.detail));
        return transcript;
      }
      if (parse != HttpParse::kComplete) break;
      std::string line(head->request.method_name);
      line.append(" ").append(head->request.target).append(" body=").append(head->request.body);
      for (const HttpHeader& header : head->request.headers) {
        line.append(" [").append(header.name).append("]=").append(header.value);
      }
      transcript.push_back(line + (head->keep_alive ? " stays" : " closes"));
      reader.Forget();
    }
    kept.erase(0, taken);
  }
  return transcript;
}

const std::vector<std::string>& Requests() {
  static const std::vector<std::string> kRequests = {
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "\r\nGET /empty-line HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
      "POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: "
      "u\r\n\r\n",
      "POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /expect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
      "GET /old HTTP/1.0\r\n\r\n",
      "POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 28\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nxx",
  };
  return kRequests;
}

TEST(HttpRequestReaderTest, EveryTwoPiecesReadAsTheWhole) {
  const HttpLimits limits{.target_bytes_max = 100, .header_bytes_max = 300, .body_bytes_max = 64};
  std::string all;
  for (const std::string& request : Requests()) all += request;
  const std::vector<std::string> whole = Transcript(all, {}, limits);
  ASSERT_EQ(whole.size(), Requests().size());
  EXPECT_EQ(whole[2], "POST /body body=hello world [Host]=a [Content-Length]=11 stays");
  EXPECT_EQ(whole[4], "POST /chunked body=hello world [Host]=a [Transfer-Encoding]=chunked stays");
  EXPECT_EQ(whole[7], "GET /old body= closes");
  for (std::size_t cut = 1; cut < all.size(); ++cut) EXPECT_EQ(Transcript(all, {cut}, limits), whole) << cut;
  EXPECT_EQ(Transcript(all, std::vector<std::size_t>(all.size(), 1), limits), whole);
}

RC_GTEST_PROP(HttpRequestReaderProperty, AnyPiecesOfAnythingReadAsTheWhole, ()) {
  const HttpLimits limits{.target_bytes_max = 50, .header_bytes_max = 100, .body_bytes_max = 20};
  std::string input;
  for (const std::string& request : *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(Requests()))) {
    input += request;
  }
  // Some of it damaged.
  for (const auto& [at, with] : *rc::gen::arbitrary<std::vector<std::pair<std::size_t, char>>>()) {
    if (!input.empty() && at % 3 == 0) input[at % input.size()] = with;
  }
  const auto pieces = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 40));
  RC_ASSERT(Transcript(input, pieces, limits) == Transcript(input, {}, limits));
}

TEST(HttpRequestReaderTest, SaysWhenTheClientWaitsForContinue) {
  const HttpLimits limits;
  const auto head = std::make_unique<HttpHead>();
  HttpRejection rejection;
  std::size_t consumed = 0;
  const std::string expecting = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
  for (const std::string framing : {"Content-Length: 3\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"}) {
    HttpRequestReader waiting(limits);
    EXPECT_EQ(waiting.Next(expecting + framing, *head, consumed, rejection), HttpParse::kIncomplete);
    EXPECT_TRUE(waiting.in_body());
    EXPECT_TRUE(waiting.TakeContinue());
    EXPECT_FALSE(waiting.TakeContinue());

    HttpRequestReader impatient(limits);
    EXPECT_EQ(impatient.Next(expecting + framing + "1", *head, consumed, rejection), HttpParse::kIncomplete);
    EXPECT_FALSE(impatient.TakeContinue());
  }
}

TEST(HttpRequestReaderTest, PostponesWhatIsNotSafe) {
  const HttpLimits limits;
  const auto head = std::make_unique<HttpHead>();
  HttpRejection rejection;
  std::size_t consumed = 0;
  const auto next = [&](HttpRequestReader& reader, const std::string& input, bool safe_only) {
    return reader.Next(input, *head, consumed, rejection, safe_only);
  };
  for (const std::string method : {"GET", "HEAD", "OPTIONS"}) {
    HttpRequestReader reader(limits);
    EXPECT_EQ(next(reader, method + " / HTTP/1.1\r\nHost: a\r\n\r\n", true), HttpParse::kComplete) << method;
  }
  for (const std::string method : {"POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "ANYTHING"}) {
    for (const std::string rest : {"Content-Length: 4\r\n\r\nbody", "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                                   "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"}) {
      HttpRequestReader reader(limits);
      const std::string request = method + " / HTTP/1.1\r\nHost: a\r\n" + rest;
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(next(reader, request, true), HttpParse::kPostponed) << request;
        EXPECT_EQ(consumed, 0U);
        EXPECT_FALSE(reader.in_body());
        EXPECT_EQ(reader.held_bytes(), 0U);
      }
      if (rest.contains("Expect")) {
        EXPECT_EQ(next(reader, request, false), HttpParse::kIncomplete);
        EXPECT_TRUE(reader.TakeContinue());
      } else {
        EXPECT_EQ(next(reader, request, false), HttpParse::kComplete);
        EXPECT_EQ(head->request.body, "body");
        EXPECT_EQ(consumed, request.size());
      }
    }
  }
  HttpRequestReader reader(limits);
  EXPECT_EQ(next(reader, "POST / HTTP/1.1\r\n\r\n", true), HttpParse::kRejected) << "refused at once";
  EXPECT_EQ(next(reader, "POST / HT", true), HttpParse::kIncomplete);
}

TEST(HttpRequestReaderTest, RefusesADeclaredBodyBeforeItComes) {
  const HttpLimits limits{.body_bytes_max = 10};
  const auto head = std::make_unique<HttpHead>();
  HttpRejection rejection;
  std::size_t consumed = 0;
  HttpRequestReader reader(limits);
  EXPECT_EQ(reader.Next("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n", *head,
                        consumed, rejection),
            HttpParse::kRejected);
  EXPECT_EQ(rejection.status, 413);
  EXPECT_FALSE(reader.TakeContinue());
}

TEST(HttpRequestReaderTest, ALongBodyIsNotReadAgainWithEveryPiece) {
  const HttpLimits limits{.body_bytes_max = 1 << 20};
  const auto head = std::make_unique<HttpHead>();
  HttpRejection rejection;
  std::size_t consumed = 0;
  HttpRequestReader reader(limits);
  std::string input = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
  ASSERT_EQ(reader.Next(input, *head, consumed, rejection), HttpParse::kIncomplete);
  // A head that is overwritten meanwhile (it is shared by all connections of a loop) is read again at the end.
  *head = HttpHead();
  input += std::string(1000, 'x');
  ASSERT_EQ(reader.Next(input, *head, consumed, rejection), HttpParse::kComplete);
  EXPECT_EQ(head->request.body, std::string(1000, 'x'));
  EXPECT_EQ(consumed, input.size());
}

}  // namespace
}  // namespace muster
