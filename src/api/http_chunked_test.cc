#include "api/http_chunked.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace muster {
namespace {

struct Decoded {
  HttpParse parse = HttpParse::kIncomplete;
  int status = 0;
  std::string body;
  std::size_t consumed = 0;
};

// Feeds `input` in pieces of `piece` bytes.
Decoded Decode(std::string_view input, const HttpLimits& limits = {}, std::size_t piece = SIZE_MAX) {
  ChunkedDecoder decoder(limits);
  Decoded decoded;
  while (decoded.consumed < input.size() && decoded.parse == HttpParse::kIncomplete) {
    HttpRejection rejection;
    std::size_t consumed = 0;
    decoded.parse = decoder.Feed(input.substr(decoded.consumed, piece), decoded.body, consumed, rejection);
    decoded.consumed += consumed;
    if (decoded.parse == HttpParse::kRejected) decoded.status = rejection.status;
  }
  return decoded;
}

TEST(HttpChunkedTest, JoinsChunks) {
  const std::string input = "5\r\nhello\r\n1\r\n \r\n00A\r\nwonderful \r\n5\r\nworld\r\n0\r\n\r\n";
  for (std::size_t piece = 1; piece <= input.size(); ++piece) {
    const Decoded decoded = Decode(input + "GET", {}, piece);
    EXPECT_EQ(decoded.parse, HttpParse::kComplete);
    EXPECT_EQ(decoded.body, "hello wonderful world");
    EXPECT_EQ(decoded.consumed, input.size());
  }
}

TEST(HttpChunkedTest, DropsExtensionsAndTrailers) {
  const std::string input =
      "3;name=value\r\nabc\r\n2 \t;a=\"b;c\";d\r\nde\r\n0;last\r\nExpires: never\r\nContent-Length: "
      "7\r\nEmpty:\r\n\r\n";
  for (std::size_t piece = 1; piece <= input.size(); ++piece) {
    const Decoded decoded = Decode(input, {}, piece);
    EXPECT_EQ(decoded.parse, HttpParse::kComplete);
    EXPECT_EQ(decoded.body, "abcde");
    EXPECT_EQ(decoded.consumed, input.size());
  }
}

TEST(HttpChunkedTest, RefusesWhatIsMalformed) {
  const std::vector<std::string> inputs = {
      "\r\n",
      "g\r\n",
      "-1\r\n",
      "+1\r\n",
      "0x1\r\na\r\n",
      " 1\r\na\r\n",
      "1 \r\na\r\n",  // white space with nothing after it
      "1 2\r\na\r\n",
      "1\na\r\n",
      "1\ra\r\n",
      "1\r\nab\r\n",          // longer than it says
      "2\r\na\r\n0\r\n\r\n",  // shorter than it says
      "1\r\na\n0\r\n\r\n",
      "1\r\na\rb",
      "1\r\na0\r\n\r\n",
      "000000001\r\na\r\n",  // more digits than any size needs
      "1;a\nb\r\n",
      "1;a\x01\r\n",
      "0\r\n folded\r\n\r\n",
      "0\r\nno colon\r\n\r\n",
      "0\r\nname : value\r\n\r\n",
      "0\r\n: value\r\n\r\n",
      "0\r\na: b\n\r\n",
      "0\r\na: b\rc\r\n",
      "0\r\n\rx",
      "0\n\n",
      ";\r\n",
  };
  for (const std::string& input : inputs) {
    for (const std::size_t piece : {std::size_t{1}, input.size()}) {
      const Decoded decoded = Decode(input, {}, piece);
      EXPECT_EQ(decoded.parse, HttpParse::kRejected) << ::testing::PrintToString(input);
      EXPECT_EQ(decoded.status, 400) << ::testing::PrintToString(input);
    }
  }
}

TEST(HttpChunkedTest, BoundsTheBody) {
  const HttpLimits limits{.body_bytes_max = 10};
  EXPECT_EQ(Decode("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", limits).parse, HttpParse::kComplete);
  EXPECT_EQ(Decode("5\r\nhello\r\n6\r\n", limits).status, 413);  // before any of it has come
  EXPECT_EQ(Decode("b\r\n", limits).status, 413);
  EXPECT_EQ(Decode("ffffffff\r\n", limits).status, 413);
}

TEST(HttpChunkedTest, BoundsExtensionsOfAllChunksTogether) {
  std::string input;
  for (std::size_t bytes = 0; bytes <= kChunkExtensionBytesMax; bytes += 100) {
    input += "1;" + std::string(99, 'x') + "\r\na\r\n";
  }
  EXPECT_EQ(Decode(input).status, 400);
}

TEST(HttpChunkedTest, BoundsTrailers) {
  EXPECT_EQ(Decode("0\r\nA: " + std::string(100, 'x'), {.header_bytes_max = 100}).status, 431);
  std::string fields;
  for (std::size_t i = 0; i <= kHttpHeadersMax; ++i) fields += "a:b\r\n";
  EXPECT_EQ(Decode("0\r\n" + fields + "\r\n").status, 431);
}

}  // namespace
}  // namespace muster
