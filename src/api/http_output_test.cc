#include "api/http_output.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace muster {
namespace {

void Answer(HttpOutput& output, std::uint64_t sequence, std::string_view text) {
  output.Answer(sequence, [text](std::string& to) { to += text; });
}

TEST(HttpOutputTest, ParksWhatComesEarly) {
  BufferPool pool;
  HttpOutput output(pool);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(output.Begin(), i);
  Answer(output, 2, "three");
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(output.bytes(), 5U);
  Answer(output, 1, "two,");
  EXPECT_EQ(output.under_way(), 3U);
  Answer(output, 0, "one,");
  EXPECT_EQ(output.unsent(), "one,two,three");
  EXPECT_EQ(output.bytes(), 13U);
  EXPECT_EQ(output.under_way(), 0U);
}

TEST(HttpOutputTest, AddsALineToWhatWaits) {
  BufferPool pool;
  HttpOutput output(pool);
  for (std::uint64_t i = 0; i < 2; ++i) output.Begin();
  output.AddLine(1, "X: y\r\n");  // is not there yet
  Answer(output, 1, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
  const std::size_t before = output.bytes();
  output.AddLine(1, "X: y\r\n");
  EXPECT_EQ(output.bytes(), before + 6);
  Answer(output, 0, "first,");
  EXPECT_EQ(output.unsent(), "first,HTTP/1.1 200 OK\r\nX: y\r\nA: b\r\n\r\n");
  EXPECT_EQ(output.bytes(), before + 6 + 6);
}

TEST(HttpOutputTest, KeepsWhatTheSocketDoesNotTake) {
  BufferPool pool;
  HttpOutput output(pool);
  output.Begin();
  Answer(output, 0, "0123456789");
  output.Sent(3);
  EXPECT_EQ(output.unsent(), "3456789");
  output.Begin();
  Answer(output, 1, "abc");
  EXPECT_EQ(output.unsent(), "3456789abc");
  output.Sent(6);
  EXPECT_EQ(output.unsent(), "9abc");
  output.AppendInterim("!");
  EXPECT_EQ(output.unsent(), "9abc!");
  EXPECT_EQ(output.bytes(), 5U);
  output.Sent(5);
  EXPECT_TRUE(output.empty());
}

TEST(HttpOutputTest, HoldsNoMemoryWhileEmpty) {
  BufferPool pool;
  HttpOutput output(pool);
  const std::string text(1000, 'x');
  output.Begin();
  Answer(output, 0, text);
  const char* const memory = output.unsent().data();
  output.Sent(1000);
  HttpOutput other(pool);
  other.Begin();
  Answer(other, 0, text);
  EXPECT_EQ(other.unsent().data(), memory);
}

TEST(HttpOutputTest, ARestHoldsNoMoreMemoryThanItNeeds) {
  BufferPool pool;
  HttpOutput output(pool);
  output.Begin();
  Answer(output, 0, std::string(1 << 20, 'x') + "rest");
  const char* const large = output.unsent().data();
  output.Sent(1000);
  output.Fit();
  EXPECT_EQ(output.unsent().data(), large + 1000) << "there is nothing to be won";
  EXPECT_EQ(output.held_bytes(), (std::size_t{1} << 20) + 4);
  output.Sent((1 << 20) - 1000);
  EXPECT_EQ(output.unsent(), "rest");
  EXPECT_EQ(output.held_bytes(), 4U);
}

// A buffer of the pool is as large as whoever had it before made it.
TEST(HttpOutputTest, ASmallAnswerThatStaysLeavesALargeBuffer) {
  BufferPool pool;
  pool.Give(std::string(60'000, 'x'));
  HttpOutput output(pool);
  output.Begin();
  Answer(output, 0, "small");
  const char* const large = output.unsent().data();
  output.Sent(1);
  output.Fit();
  EXPECT_EQ(output.unsent(), "mall");
  EXPECT_NE(output.unsent().data(), large);
  EXPECT_EQ(output.held_bytes(), 4U);
}

TEST(DropFrontTest, LeavesAtMostTwiceTheMemory) {
  std::string buffer(100'000, 'x');
  buffer += "the rest";
  DropFront(buffer, 10);
  EXPECT_EQ(buffer.size(), 99'998U);
  DropFront(buffer, 99'990);
  EXPECT_EQ(buffer, "the rest");
  EXPECT_LE(buffer.capacity(), std::string().capacity());
}

RC_GTEST_PROP(HttpOutputProperty, AnyOrderOfAnswersLeavesInTheOrderOfRequests, ()) {
  const auto texts = *rc::gen::arbitrary<std::vector<std::string>>();
  std::vector<std::size_t> order(texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[*rc::gen::inRange<std::size_t>(0, i)]);

  BufferPool pool;
  HttpOutput output(pool);
  std::string sent;
  for (std::size_t i = 0; i < texts.size(); ++i) output.Begin();
  for (const std::size_t i : order) {
    Answer(output, i, texts[i]);
    const std::size_t count = *rc::gen::inRange<std::size_t>(0, output.unsent().size() + 1);
    sent += output.unsent().substr(0, count);
    output.Sent(count);
  }
  sent += output.unsent();
  RC_ASSERT(sent == std::accumulate(texts.begin(), texts.end(), std::string()));
  RC_ASSERT(output.under_way() == 0U);
}

TEST(BufferPoolTest, IsBounded) {
  BufferPool pool;
  pool.Give(std::string(BufferPool::kBufferBytesMax + 1, 'x'));
  EXPECT_LT(pool.Take().capacity(), 64U);
  for (std::size_t i = 0; i < 2 * BufferPool::kBuffersMax; ++i) pool.Give(std::string(1000, 'x'));
  std::size_t kept = 0;
  while (true) {
    const std::string taken = pool.Take();
    if (taken.capacity() < 1000) break;
    EXPECT_TRUE(taken.empty());
    ++kept;
  }
  EXPECT_EQ(kept, BufferPool::kBuffersMax);
}

}  // namespace
}  // namespace muster
